"""The suite as a part of a pytest session: where it stands, and how it is selected from."""

from __future__ import annotations

import os

import pytest

from small_suite import GOOD, IDS, checks_shown, executor, install, run, verdict

pytest_plugins = ["pytester"]

ALPHA_1, ALPHA_2, BETA_1, BETA_2 = IDS


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A folder with the small suite, its executors, and one test of the user's own."""
    install(pytester)
    pytester.makepyfile(test_own="def test_own(): pass")
    monkeypatch.setenv("PYTHONPATH", str(pytester.path), prepend=os.pathsep)
    return pytester


def test_own_tests_come_first_and_the_suite_after_them(suite: pytest.Pytester) -> None:
    result = run(suite, GOOD, "--asyncexec-plugin=executors:Other", "-v")

    result.assert_outcomes(passed=9)
    result.stdout.fnmatch_lines(["test_own.py::test_own PASSED*", f"{ALPHA_1[:30]}*PASSED*"])
    others = tuple(shown.replace("[Good]", "[Other]") for shown in IDS)
    assert tuple(checks_shown(result)) == IDS + others


def test_the_header_says_what_the_executor_can_do(suite: pytest.Pytester) -> None:
    result = run(suite, GOOD)

    result.stdout.fnmatch_lines(
        [
            "collected 5 items",
            "executor contract 1.1: 4 rules",
            "  Good: tasks run in this process, *",
            "test_own.py .*",
            "Good: conformant, *",
            "  tasks run in this process, *",
        ]
    )


def test_naming_conventions_of_the_user_are_for_the_users_files(suite: pytest.Pytester) -> None:
    suite.makeini(
        """
        [pytest]
        python_functions = check_*
        python_classes = Check*
        python_files = check_*.py
        collect_imported_tests = false
        """
    )

    assert "4 passed" in verdict(run(suite, GOOD))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["asyncexec"], IDS),
        (["asyncexec/"], IDS),
        (["asyncexec/test_beta.py"], (BETA_1, BETA_2)),
        ([BETA_1.partition("[")[0]], (BETA_1,)),
        ([BETA_2, ALPHA_2], (ALPHA_2, BETA_2)),
        (["-k", "tear_down or CON_06"], (ALPHA_2, BETA_1)),
        (["-k", "asyncexec and not beta"], (ALPHA_1, ALPHA_2)),
        (["-m", "asyncexec"], IDS),
        (["-m", "asyncexec(rule='LIF-03')"], (BETA_1,)),
        (["asyncexec", "--deselect", ALPHA_1], (ALPHA_2, BETA_1, BETA_2)),
        (["asyncexec", "--deselect", "asyncexec/test_alpha.py"], (BETA_1, BETA_2)),
    ],
)
def test_selections(
    suite: pytest.Pytester, arguments: list[str], expected: tuple[str, ...]
) -> None:
    result = run(suite, GOOD, "-v", *arguments)

    assert result.ret == 0
    assert tuple(checks_shown(result)) == expected
    result.assert_outcomes(passed=len(expected), deselected=_deselected(arguments, expected))


def _deselected(arguments: list[str], expected: tuple[str, ...]) -> int:
    if not arguments[0].startswith("-"):
        return 4 - len(expected) if "--deselect" in arguments else 0
    return 5 - len(expected)


def test_paths_and_selections_go_together(suite: pytest.Pytester) -> None:
    result = run(suite, GOOD, "-v", ALPHA_1, "test_own.py")

    result.assert_outcomes(passed=2)
    assert checks_shown(result) == [ALPHA_1]


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        ("asyncexec/test_betta.py", "*Did you mean test_beta*"),
        ("asyncexec/test_beta.py::test_LIF_03_must_teardown", "*mean test_LIF_03_must_tear_down*"),
        (BETA_1.replace("Good", "Gut"), "*Targets of this run: Good.*"),
        ("asyncexec::test_LIF_03", "*name a module*"),
    ],
)
def test_a_selection_of_nothing_is_a_usage_error(
    suite: pytest.Pytester, argument: str, says: str
) -> None:
    result = run(suite, GOOD, argument)

    assert result.ret == 4
    result.stderr.fnmatch_lines([says])


def test_what_lies_on_disk_is_a_path(suite: pytest.Pytester) -> None:
    for name in ("asyncexec", "conformance"):
        suite.mkdir(name).joinpath(f"test_{name}_of_mine.py").write_text("def test_mine(): pass")

    folder = run(suite, GOOD, "asyncexec/", "-v")
    everything = run(suite, GOOD, "-v")
    check = run(suite, GOOD, ALPHA_1, "-v")

    folder.stdout.fnmatch_lines(["asyncexec/test_asyncexec_of_mine.py::test_mine PASSED*"])
    everything.stdout.fnmatch_lines(["conformance/test_conformance_of_mine.py::test_mine PASSED*"])
    assert "4 passed" in verdict(everything)
    check.assert_outcomes(passed=1)
    assert checks_shown(check) == [ALPHA_1]


def test_from_another_folder_shown_ids_can_be_pasted_back(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(suite.mkdir("sub"))

    whole = run(suite, GOOD, "-v")
    pasted = run(suite, GOOD, "-v", f"../{BETA_1}")
    rooted = run(suite, GOOD, "-v", f"--rootdir={suite.path / 'sub'}", BETA_1)

    assert whole.ret == 0
    whole.stdout.fnmatch_lines([f"../{BETA_1[:40]}*"])
    for result in (pasted, rooted):
        result.assert_outcomes(passed=1)
        assert checks_shown(result) == [BETA_1]


def test_collect_only_judges_nothing(suite: pytest.Pytester) -> None:
    result = run(suite, GOOD, "--collect-only")

    assert result.ret == 0
    result.stdout.fnmatch_lines(["*<Suite asyncexec>", "*<SuiteModule test_alpha.py>"])
    result.stdout.no_fnmatch_line("*conformant*")
    result.stdout.no_fnmatch_line("*tasks run in*")


@pytest.mark.parametrize("option", ["--fixtures", "--fixtures-per-test"])
def test_what_lists_fixtures_judges_nothing(suite: pytest.Pytester, option: str) -> None:
    result = run(suite, GOOD, option)

    assert result.ret == 0
    result.stdout.no_fnmatch_line("*incomplete*")


def test_last_failed_knows_checks_and_own_tests(suite: pytest.Pytester) -> None:
    odd = executor(suite, LIF_03="fail")
    suite.makepyfile(test_own="def test_own(): assert 0\ndef test_other(): pass")
    failed = BETA_1.replace("Good", "Odd")

    assert run(suite, odd).ret == 1
    last = run(suite, odd, "--lf", "-v")
    first = run(suite, odd, "--ff", "-v")

    last.assert_outcomes(failed=2, deselected=3)
    assert checks_shown(last) == [failed]
    last.stdout.fnmatch_lines(["Odd: nonconformant, *"])
    assert checks_shown(first)[0] == failed
    first.assert_outcomes(failed=2, passed=4)


def test_stepwise_and_new_first_take_the_suite_as_any_file(suite: pytest.Pytester) -> None:
    odd = executor(suite, LIF_03="fail")

    stopped = run(suite, odd, "--sw")
    resumed = run(suite, odd, "--sw", "-v")

    stopped.assert_outcomes(passed=3, failed=1)
    assert checks_shown(resumed) == [BETA_1.replace("Good", "Odd")]
    assert "4 passed" in verdict(run(suite, GOOD, "--nf"))


def test_workers_judge_the_same(suite: pytest.Pytester) -> None:
    odd = executor(suite, LIF_03="fail", CON_06="fail")

    result = run(suite, GOOD, odd, "-n", "2", plugins=["xdist"])
    pasted = run(suite, GOOD, "-n", "2", ALPHA_1, BETA_2, plugins=["xdist"])

    result.assert_outcomes(passed=7, failed=1)
    assert result.ret == 1
    assert verdict(result, "Good").startswith("conformant, level hardened: 4 passed")
    assert "2 failed (1 MUST, 1 SHOULD)" in verdict(result, "Odd")
    result.stdout.fnmatch_lines(
        ["  tasks run in this process*", "    LIF-03  MUST    LIF-03 was *"]
    )
    assert pasted.ret == 0
    pasted.assert_outcomes(passed=2)
    assert verdict(pasted).startswith("incomplete (selection)")


#: One word for every strictness since pytest 9.
STRICT = (
    "strict = true"
    if pytest.version_tuple >= (9,)
    else "addopts = --strict-markers --strict-config"
)


@pytest.mark.parametrize(
    ("ini", "arguments"),
    [
        (f"{STRICT}\nfilterwarnings = error\nxfail_strict = true", []),
        ("addopts = --strict-markers --strict-config --import-mode=importlib", []),
        ("asyncio_mode = auto", []),
        ("anyio_mode = auto", ["-p", "no:asyncio"]),
        ("", ["-p", "no:asyncio", "-p", "no:anyio", "-p", "no:cacheprovider"]),
        ("", ["-p", "no:warnings", "--strict-markers"]),
    ],
    ids=["strict", "importlib", "asyncio", "anyio", "bare", "no-warnings"],
)
def test_configurations(suite: pytest.Pytester, ini: str, arguments: list[str]) -> None:
    scope = "" if "no:asyncio" in arguments else "asyncio_default_fixture_loop_scope = function"
    suite.makeini(f"[pytest]\n{scope}\n{ini}\n")
    if "auto" in ini:
        suite.makepyfile(test_own="async def test_own(): pass")
    odd = executor(suite, CON_01="warn")

    result = run(suite, odd, *arguments, plugins=None)

    assert result.ret == 0
    result.assert_outcomes(passed=5, warnings=0 if "no:warnings" in arguments else 1)
    assert verdict(result, "Odd").startswith("conformant, level hardened: 4 passed")


def test_a_root_conftest_can_replace_the_fixture(suite: pytest.Pytester) -> None:
    suite.makeconftest(
        """
        import pytest

        @pytest.fixture(scope="session")
        def asyncexec_subject(asyncexec_subject):
            print("a fixture of the user's")
            return asyncexec_subject
        """
    )

    result = run(suite, GOOD, "-s")

    result.stdout.fnmatch_lines(["*a fixture of the user's*"])
    assert verdict(result).startswith("conformant")


def test_a_suite_with_a_missing_module_is_an_error(suite: pytest.Pytester) -> None:
    (suite.path / ".checks" / "test_beta.py").unlink()

    result = run(suite, GOOD)

    assert result.ret != 0
    result.stdout.fnmatch_lines(["*the module test_beta of the suite is missing; reinstall*"])
