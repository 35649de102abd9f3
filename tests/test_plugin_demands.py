"""What a project asks of the suite: a profile, a level, and what it waives."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from small_suite import GOOD, executor, install, run, squeezed, verdict

pytest_plugins = ["pytester"]

OWN = "def test_own(): pass"


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """A folder with the small suite and its executors."""
    install(pytester)
    return pytester


def configure(suite: pytest.Pytester, *lines: str) -> None:
    suite.makeini("\n".join(["[pytest]", *lines]) + "\n")


def waive(suite: pytest.Pytester, *lines: str) -> None:
    configure(suite, "asyncexec_waivers =", *(f"    {line}" for line in lines))


# ---- the profile -----------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["alone", "workers"])
@pytest.mark.parametrize(
    ("ini", "option", "said"),
    [
        ("", [], "default, 2"),
        ("", ["--asyncexec-profile=quick"], "quick, 1"),
        ("asyncexec_profile = quick", ["--asyncexec-profile=thorough"], "thorough, 3"),
        ("asyncexec_profile = thorough", [], "thorough, 3"),
    ],
)
def test_checks_are_told_the_profile(
    suite: pytest.Pytester, ini: str, option: list[str], said: str, workers: list[str]
) -> None:
    configure(suite, ini)

    result = run(
        suite, executor(suite, LIF_03="tell profile"), *option, *workers, plugins=["xdist"]
    )

    assert result.ret == 0
    assert f"LIF-03 MUST profile {said}" in squeezed(result)
    name = said.partition(",")[0]
    unusual = name != "default"
    assert (f"asyncexec: profile {name}" in result.stdout.lines) is unusual
    level = f"level hardened, profile {name}" if unusual else "level hardened"
    assert verdict(result, "Odd").startswith(f"conformant, {level}: 3 passed")


# ---- the level -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("behaviour", "level", "code", "words"),
    [
        ({}, "hardened", 0, "conformant, level hardened"),
        ({"CON_06": "fail"}, "core", 0, "conformant, level hardened"),
        ({"RET_01": "fail"}, "core", 0, "conformant, level core"),
        ({"RET_01": "could not run"}, "core", 0, "conformant, level core"),
        ({"RET_01": "fail"}, "resilient", 1, "nonconformant, level core"),
        ({"RET_01": "could not run"}, "resilient", 1, "incomplete, level core"),
        ({"CON_06": "could not run"}, "core", 1, "incomplete, level hardened"),
        ({"LIF_03": "fail"}, "core", 1, "nonconformant, level none"),
    ],
)
@pytest.mark.parametrize("by", ["option", "configuration"])
def test_a_level_is_demanded(
    suite: pytest.Pytester, behaviour: dict[str, str], level: str, code: int, words: str, by: str
) -> None:
    configure(suite, f"asyncexec_level = {level}" if by == "configuration" else "")
    option = [f"--asyncexec-level={level}"] if by == "option" else []

    result = run(suite, executor(suite, **behaviour), *option)

    assert result.ret == code
    assert verdict(result, "Odd").startswith(words)
    assert f"asyncexec: level {level} demanded" in result.stdout.lines


def test_what_keeps_an_executor_from_the_level_is_said(suite: pytest.Pytester) -> None:
    odd = executor(suite, RET_01="could not run", LIF_03="fail", CON_01="fail")

    result = run(suite, odd, "--asyncexec-level=resilient")
    quiet = run(suite, odd, "--asyncexec-level=resilient", "-q")

    sentence = (
        "level resilient was demanded, none was reached: because of CON-01, LIF-03 (failed), "
        "RET-01 (could not run)"
    )
    assert sentence in squeezed(result)
    assert sentence in squeezed(quiet)


def test_a_failure_above_the_level_is_a_warning(suite: pytest.Pytester) -> None:
    result = run(suite, executor(suite, RET_01="fail"), "--asyncexec-level=core")

    result.stdout.fnmatch_lines(
        [
            "asyncexec/test_beta.py .w *",
            "*= broken rules above level core =*",
            "*_ RET-01 Odd _*",
            "RET-01 (MUST, resilient): *",
            "  failed",
            "    RET-01  MUST    RET-01 was broken",
            "*3 passed, 1 warned*",
        ]
    )
    result.stdout.no_fnmatch_line("*was demanded*")


@pytest.mark.parametrize(
    ("by", "arguments", "code"),
    [
        ("option", ["-k", "LIF_03"], 1),
        ("configuration", ["-k", "LIF_03"], 0),
        ("configuration", ["-k", "RET_01"], 1),
    ],
)
def test_a_selection_reaches_no_level(
    suite: pytest.Pytester, by: str, arguments: list[str], code: int
) -> None:
    configure(suite, "asyncexec_level = resilient" if by == "configuration" else "")
    option = ["--asyncexec-level=resilient"] if by == "option" else []

    assert run(suite, executor(suite, RET_01="could not run"), *arguments, *option).ret == code


def test_an_expression_that_selects_all_reaches_a_level(suite: pytest.Pytester) -> None:
    assert run(suite, GOOD, "-m", "not slow", "--asyncexec-level=hardened").ret == 0


def test_a_demanded_level_brings_the_suite(suite: pytest.Pytester) -> None:
    configure(suite, "asyncexec_plugins = executors:Good")
    suite.makepyfile(test_own=OWN)

    run(suite, "test_own.py").assert_outcomes(passed=1)
    run(suite, "test_own.py", "--asyncexec-level=core").assert_outcomes(passed=5)


# ---- waivers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["alone", "workers"])
def test_a_waived_rule_is_told_and_caps_the_level(
    suite: pytest.Pytester, workers: list[str]
) -> None:
    waive(suite, "RET-01 until 9999-12-31: the backend retries once, mended in 2.0")

    result = run(
        suite,
        executor(suite, RET_01="fail"),
        *workers,
        "-v",
        "--junit-xml=report.xml",
        plugins=["xdist"],
    )

    assert result.ret == 0
    assert verdict(result, "Odd").startswith("conformant, level core: 3 passed, 0 failed, 1 waived")
    result.stdout.fnmatch_lines(
        [
            "asyncexec: waived: RET-01",
            "*WAIVED*",
            "*= waived rules =*",
            "*_ RET-01 Odd _*",
            "RET-01 (MUST, resilient): *",
            "  seen: *RET-01 was broken",
            "  waived: the backend retries once, mended in 2.0 (until 9999-12-31)",
            "  waived",
            "    RET-01  MUST    the backend retries once, mended in 2.0 (until 9999-12-31)",
            "                    RET-01 was broken",
            "*3 passed, 1 waived*",
        ]
    )
    said = {
        (p.get("name"), p.get("value"))
        for p in ElementTree.parse(suite.path / "report.xml").iter("property")
    }
    assert ("asyncexec_outcome", "waived") in said
    assert (
        "asyncexec_waiver",
        "the backend retries once, mended in 2.0 (until 9999-12-31)",
    ) in said


def test_a_waived_rule_does_not_reach_a_demanded_level(suite: pytest.Pytester) -> None:
    waive(suite, "RET-01: known")
    odd = executor(suite, RET_01="fail")

    assert run(suite, odd, "--asyncexec-level=core").ret == 0
    result = run(suite, odd, "--asyncexec-level=resilient")

    assert result.ret == 1
    assert "was demanded, core was reached: because of RET-01 (waived)" in squeezed(result)


def test_a_waived_rule_that_passes_is_an_error(suite: pytest.Pytester) -> None:
    waive(suite, "RET-01: known")

    result = run(suite, GOOD, "-q")

    assert result.ret == 1
    assert "RET-01 is waived and passes: remove its waiver" in squeezed(result)
    assert run(suite, GOOD, "-k", "RET_01").ret == 1
    assert run(suite, GOOD, "-k", "LIF_03").ret == 0


@pytest.mark.parametrize("how", ["not applicable", "could not run", "crash"])
def test_a_waiver_changes_nothing_but_a_failure(suite: pytest.Pytester, how: str) -> None:
    odd = executor(suite, RET_01=how)
    plain = run(suite, odd)
    waive(suite, "RET-01: known")

    waived = run(suite, odd)

    assert waived.ret == plain.ret
    assert verdict(waived, "Odd") == verdict(plain, "Odd")


def test_a_waiver_may_be_for_one_executor(suite: pytest.Pytester) -> None:
    waive(suite, "Odd RET-01: known", "Third LIF-03: elsewhere")

    result = run(suite, GOOD, executor(suite, RET_01="fail"))

    assert result.ret == 0
    assert "1 waived" in verdict(result, "Odd")
    assert verdict(result, "Good").startswith("conformant, level hardened: 4 passed")
    result.stdout.fnmatch_lines(
        ["asyncexec: waived: RET-01; waivers for Third, not judged in this run"]
    )


# ---- mistakes --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ini", "arguments", "says"),
    [
        ("", [GOOD, "--asyncexec-profile=quik"], "--asyncexec-profile: there is no 'quik'.*quick?"),
        (
            "",
            [GOOD, "--asyncexec-profile="],
            "--asyncexec-profile: there is no ''.*Known are quick*",
        ),
        ("", [GOOD, "--asyncexec-level=Hardened"], "--asyncexec-level: *Did you mean hardened?"),
        ("", [GOOD, "--asyncexec-level=top"], "--asyncexec-level: *Known are core, resilient*"),
        ("asyncexec_level = x", [GOOD], "asyncexec_level in the configuration: there is no 'x'*"),
        ("asyncexec_profile = x", [GOOD], "asyncexec_profile in the configuration: there is no*"),
        ("", ["--asyncexec-level=core"], "--asyncexec-level * no executor is named*plugin=*"),
        ("", ["--asyncexec-profile=quick"], "--asyncexec-profile * no executor is named*"),
        ("asyncexec_waivers = RET-1: r", [GOOD], "asyncexec_waivers: 'RET-1: r'*mean RET-01?"),
        (
            "asyncexec_waivers = RET-01",
            [GOOD, "-n2"],
            "asyncexec_waivers: 'RET-01'*RULE-ID: reason*",
        ),
        (
            "asyncexec_waivers = RET-01 until 2000-01-01: r",
            [GOOD],
            "asyncexec_waivers: *ended on 2000-01-01*",
        ),
    ],
)
def test_a_mistake_is_a_usage_error(
    suite: pytest.Pytester, ini: str, arguments: list[str], says: str
) -> None:
    configure(suite, ini)

    result = run(suite, *arguments, plugins=["xdist"])

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    errors = " ".join(line for line in result.stderr.lines if line)
    assert pytest.LineMatcher([errors]).fnmatch_lines([f"ERROR: {says}"]) is None
    assert "Traceback" not in result.stderr.str()
    assert "passed" not in result.stdout.str()


def test_the_configuration_alone_is_no_reason_to_judge(suite: pytest.Pytester) -> None:
    configure(suite, "asyncexec_level = core", "asyncexec_waivers = nonsense")
    suite.makepyfile(test_own=OWN)

    result = run(suite)

    assert result.ret == 0
    result.assert_outcomes(passed=1)
