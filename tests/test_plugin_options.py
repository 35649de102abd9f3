"""The plugin's options: what they cost, what they accept, and the errors for everything else."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from pytest_asyncexec.contract.catalogue import RULES
from small_suite import EXECUTORS, GOOD, IDS, checks_shown, install, run, squeezed, verdict

pytest_plugins = ["pytester"]

HEAVY = (
    *("hypothesis", "aiofiles", "cloudpickle"),
    *(
        "pytest_asyncexec.conformance",
        "pytest_asyncexec.plugin.run",
        "pytest_asyncexec.base.executor",
    ),
)

OWN = "def test_own(): pass"

_PLUGIN = ("-p", "pytest_asyncexec.plugin")


def test_the_plugin_module_loads_nothing_heavy() -> None:
    program = (
        f"import sys, pytest_asyncexec.plugin; print([m for m in {HEAVY} if m in sys.modules])"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"


def test_the_catalogue_is_printed_in_an_empty_folder(pytester: pytest.Pytester) -> None:
    every, chapter, rule = (
        pytester.runpytest_subprocess(
            "--disable-plugin-autoload", *_PLUGIN, f"--asyncexec-rules{x}"
        )
        for x in ("", "=RET", "=ret-02")
    )

    assert every.ret == chapter.ret == rule.ret == 0
    every.stdout.fnmatch_lines(
        [f"executor contract 1.1: {len(RULES)} rules, *", "  SEC-05  SHOULD  hardened *"]
    )
    chapter.stdout.fnmatch_lines(["RET: retries", "  RET-01  MUST    resilient *"])
    chapter.stdout.no_fnmatch_line("*CON-01*")
    rule.stdout.fnmatch_lines(
        ["RET-02, MUST, level resilient", "why  *", "decided  *", "*class NeverRetries(*"]
    )
    for result in (every, chapter, rule):
        result.stdout.no_fnmatch_line("*test session starts*")
        assert not result.stderr.str()
    assert not (pytester.path / ".pytest_cache").exists()


def test_the_catalogue_fits_the_terminal(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "61")

    result = pytester.runpytest_subprocess("--asyncexec-rules=LIF")

    assert max(map(len, result.stdout.lines)) <= 60


def test_the_catalogue_comes_instead_of_anything_else(pytester: pytest.Pytester) -> None:
    install(pytester)
    pytester.makepyfile(test_own="print('loaded'); assert False")
    pytester.makeini("[pytest]\nasyncexec_plugins = nosuch:Thing\n")

    result = run(pytester, "test_own.py", "-n", "2", "--asyncexec-rules", plugins=["xdist"])

    assert result.ret == 0
    result.stdout.fnmatch_lines(["executor contract 1.1: 4 rules, 3 MUST and 1 SHOULD"])
    result.stdout.no_fnmatch_line("*loaded*")


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["--asyncexec-rules=LIF-33"], "  Did you mean LIF-03*"),
        (["--asyncexec-rules", "tests/"], "  Write --asyncexec-rules=RET-02 for one rule, *"),
    ],
)
def test_an_unknown_rule_is_a_usage_error(
    pytester: pytest.Pytester, arguments: list[str], hint: str
) -> None:
    result = pytester.runpytest_subprocess(*arguments)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    word = arguments[-1].rpartition("=")[2]
    result.stderr.fnmatch_lines(
        [f"ERROR: --asyncexec-rules: the contract has no rule and no chapter {word!r}.", hint]
    )
    assert not result.stdout.str()


def test_without_a_target_a_run_is_as_it_was(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(OWN)
    pytester.makeconftest(
        f"""
        import sys
        def pytest_unconfigure():
            print("loaded:", [m for m in {HEAVY} if m in sys.modules])
        """
    )

    result = pytester.runpytest_subprocess(
        "--disable-plugin-autoload",
        *("-p", "pytest_asyncexec.plugin", "--strict-markers", "--strict-config"),
    )

    assert result.ret == 0
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*loaded: []*"])
    result.stdout.no_fnmatch_line("*executor*")


def test_the_plugin_can_be_switched_off(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(OWN)

    assert pytester.runpytest_subprocess("-p", "no:asyncexec").ret == 0
    result = pytester.runpytest_subprocess("-p", "no:asyncexec", "--asyncexec-plugin=x:Y")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*unrecognized arguments: --asyncexec-plugin=x:Y*"])


def test_help_and_markers_say_what_there_is(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nasyncexec_plugins = nosuch:Thing\n")

    helped, markers = (
        pytester.runpytest_subprocess("--help"),
        pytester.runpytest_subprocess("--markers"),
    )

    assert (helped.ret, markers.ret) == (0, 0)
    helped.stdout.fnmatch_lines(["*--asyncexec-plugin=TARGET*", "*asyncexec_plugins (linelist)*"])
    markers.stdout.fnmatch_lines(["@pytest.mark.asyncexec(rule): *"])


def test_the_ini_value_is_the_default_of_the_option(pytester: pytest.Pytester) -> None:
    install(pytester)
    pytester.makeini("[pytest]\nasyncexec_plugins =\n    executors:Good\n    executors:Other\n")

    both = run(pytester)
    one = run(pytester, "--asyncexec-plugin=executors.Other")

    assert both.ret == one.ret == 0
    assert "conformant" in verdict(both, "Good")
    assert "conformant" in verdict(both, "Other")
    assert "conformant" in verdict(one, "Other")
    one.stdout.no_fnmatch_line("Good: *")


def test_what_is_wrong_with_the_ini_value_is_told_of_it(pytester: pytest.Pytester) -> None:
    ini = pytester.makeini("[pytest]\nasyncexec_plugins =\n    nosuchplug:Thing\n")

    result = pytester.runpytest_subprocess()

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [f"*asyncexec_plugins in {ini}: *there is no module 'nosuchplug'.*"]
    )


@pytest.mark.parametrize(
    ("option", "expression", "rule"),
    [
        ("-m", "asyncexec(rules='LIF-03')", "LIF-03"),
        ("-m", "LIF-03", "LIF-03"),
        ("-k", "lif-03", "LIF-03"),
        ("-k", "nothing_of_the_kind", "RET-02"),
    ],
)
def test_how_a_rule_is_selected_is_told_where_nothing_was(
    pytester: pytest.Pytester, option: str, expression: str, rule: str
) -> None:
    install(pytester)

    result = run(pytester, GOOD, option, expression)

    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    said = squeezed(result)
    assert f"-m \"asyncexec(rule='{rule}')\", or by its check's name: -k " in said
    assert run(pytester, GOOD, "-m", "asyncexec(rule='LIF-03')").ret == 0


def test_with_the_ini_value_paths_mean_only_these_paths(pytester: pytest.Pytester) -> None:
    install(pytester)
    pytester.makeini("[pytest]\nasyncexec_plugins = executors:Good\n")
    pytester.makepyfile(test_own=OWN)

    paths = run(pytester, "test_own.py")
    with_suite = run(pytester, "test_own.py", "asyncexec")
    with_option = run(pytester, "test_own.py", GOOD)

    paths.assert_outcomes(passed=1)
    assert paths.ret == 0
    paths.stdout.fnmatch_lines(["asyncexec: only the paths given; *judge Good"])
    with_suite.assert_outcomes(passed=5)
    with_option.assert_outcomes(passed=5)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--asyncexec-plugin=nosuchplug:Thing"], "*there is no module 'nosuchplug'.*"),
        (["--asyncexec-plugin=executors:Goood"], "*has no 'Goood'.*"),
        ([GOOD, "--asyncexec-plugin=executors.Good"], "*'executors.Good' is given twice*"),
        ([GOOD, "-m", "asyncexec(rule='LIF-33')"], "*no rule 'LIF-33'.*"),
        ([GOOD, "asyncexec/test_alfa.py"], "*the suite has no module test_alfa.py.*"),
        (["asyncexec/test_alpha.py"], "*no executor is named.*"),
    ],
)
def test_a_mistake_is_a_usage_error(
    pytester: pytest.Pytester, arguments: list[str], says: str
) -> None:
    install(pytester)
    pytester.makepyfile(test_own=OWN)

    result = run(pytester, *arguments)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {says}", "  ?*"])
    output = result.stdout.str() + result.stderr.str()
    assert output.count("ERROR") == 1
    assert "Traceback" not in output
    assert "passed" not in output


def test_a_near_rule_is_named(pytester: pytest.Pytester) -> None:
    install(pytester)

    result = run(pytester, GOOD, "-m", "asyncexec(rule='lif-3')")

    assert result.ret == 4
    result.stderr.fnmatch_lines(["*Did you mean LIF-03*"])


def test_a_usage_error_of_pytest_itself_brings_no_verdict(pytester: pytest.Pytester) -> None:
    install(pytester)

    result = run(pytester, GOOD, "no_such_folder")

    assert result.ret == 4
    result.stdout.no_fnmatch_line("Good: *")


def test_a_usage_error_also_comes_before_workers_start(pytester: pytest.Pytester) -> None:
    install(pytester)

    result = run(pytester, "--asyncexec-plugin=executors:Goood", "-n", "2", plugins=["xdist"])

    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: *has no 'Goood'.*"])


def test_targets_of_one_name_go_by_what_was_written(pytester: pytest.Pytester) -> None:
    install(pytester)
    pytester.makepyfile(more=EXECUTORS)

    result = run(pytester, GOOD, "--asyncexec-plugin=more:Good", "-v", "asyncexec/test_alpha.py")

    assert result.ret == 0
    assert [shown.rpartition("[")[2] for shown in checks_shown(result)] == [
        "executors:Good]",
        "executors:Good]",
        "more:Good]",
        "more:Good]",
    ]


def test_a_module_in_the_folder_of_the_call_is_found(pytester: pytest.Pytester) -> None:
    install(pytester)
    sub = pytester.mkdir("sub")
    (sub / "near_by.py").write_text(EXECUTORS, encoding="utf-8")
    (sub / "test_own.py").write_text(OWN, encoding="utf-8")

    path = os.environ.get("PYTHONPATH", "")
    # -P: `python -m pytest` would put the folder on the path itself.
    done = subprocess.run(
        [
            *(sys.executable, "-P", "-m", "pytest", "-p", "small_suite", "--co", "-q"),
            "--asyncexec-plugin=near_by:Good",
        ],
        cwd=sub,
        env={**os.environ, "PYTHONPATH": f"{pytester.path}{os.pathsep}{path}"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert "test_own" in done.stdout
    assert "test_CON_01" in done.stdout, done.stdout + done.stderr


def test_ids_are_what_the_tests_of_the_plugin_say(pytester: pytest.Pytester) -> None:
    install(pytester)

    result = run(pytester, GOOD, "--collect-only", "-q")

    assert tuple(checks_shown(result)) == IDS


@pytest.mark.parametrize(
    "part",
    [
        *("fixtures", "collection", "absence", "recorder"),
        *("plain-reports", "progress", "terminal", "ending"),
    ],
)
def test_no_part_of_the_plugin_can_be_left_out(pytester: pytest.Pytester, part: str) -> None:
    install(pytester)
    pytester.makeini(f"[pytest]\naddopts = -p no:asyncexec-{part}\n")
    result = run(pytester, GOOD)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*-p no:asyncexec-{part}: this is a part of what judges*"])
    # Whoever judges nothing may leave out what he likes.
    pytester.makepyfile(OWN)
    assert run(pytester).ret == 0
