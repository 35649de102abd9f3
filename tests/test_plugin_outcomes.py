"""From findings to reports, the verdict, and the exit status."""

from __future__ import annotations

import json
import re
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


def test_every_outcome_is_told_apart(suite: pytest.Pytester) -> None:
    odd = executor(
        suite, CON_01="not applicable", CON_06="fail", LIF_03="fail", RET_01="could not run"
    )

    result = run(suite, odd)

    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "asyncexec/test_alpha.py -w *",
            "asyncexec/test_beta.py F[?] *",
            "*= FAILURES =*",
            "LIF-03 (MUST, core): *",
            "  seen:      LIF-03 was broken",
            "*= broken SHOULD rules =*",
            "*_ CON-06 Odd _*",
            "CON-06 (SHOULD, core): *",
            "*= executor contract 1.1 =*",
            "Odd: nonconformant, level none: 0 passed, 2 failed (1 MUST, 1 SHOULD),",
            "  1 not applicable, 1 could not run, 0 not run",
            "  failed",
            "    LIF-03  MUST    LIF-03 was broken",
            "    CON-06  SHOULD  CON-06 was broken",
            "  could not run",
            "    RET-01  MUST    there is no backend",
            "  not applicable",
            "    CON-01  MUST    the executor lacks that",
            "  To see one rule again:",
            "    pytest --asyncexec-plugin=odd:Odd -m \"asyncexec(rule='LIF-03')\"",
            "*1 failed*1 not applicable, 1 warned, 1 could not run*",
        ]
    )


def test_a_failure_is_its_message_alone(suite: pytest.Pytester) -> None:
    result = run(suite, executor(suite, LIF_03="fail"), "--showlocals", "--tb=long")

    result.stdout.no_fnmatch_line("*subject*")
    result.stdout.no_fnmatch_line("*.py:[0-9]*:*")
    result.stdout.no_fnmatch_line("*RuleViolation*")


def test_verbose_words(suite: pytest.Pytester) -> None:
    odd = executor(suite, CON_01="not applicable", CON_06="fail", RET_01="could not run")

    result = run(suite, odd, "-v")

    for word in ("CON_01*NOT APPLICABLE", "CON_06*WARNED", "LIF_03*PASSED", "RET_01*COULD NOT RUN"):
        result.stdout.fnmatch_lines([f"*{word} *"])


def test_lines_fit_into_80_columns(suite: pytest.Pytester) -> None:
    odd = executor(suite, CON_06="fail", LIF_03="fail", RET_01="could not run")

    result = run(suite, odd)

    section = result.stdout.str().partition("= executor contract")[2].partition("= short test")[0]
    # What is to be pasted is never broken.
    assert all(len(line) <= 80 for line in section.splitlines() if "pytest --" not in line)


def test_quiet_runs_still_say_the_verdict(suite: pytest.Pytester) -> None:
    odd = executor(suite, CON_06="fail")

    result = run(suite, odd, "-q")

    assert verdict(result, "Odd").startswith("conformant, level hardened")
    # No line of pytest's own names it: it does not fail the run.
    result.stdout.fnmatch_lines(["    CON-06  SHOULD  CON-06 was broken"])
    result.stdout.no_fnmatch_line("*tasks run in*")
    result.stdout.no_fnmatch_line("*= executor contract*")
    result.stdout.no_fnmatch_line("*To see one rule again*")


def test_quiet_runs_say_why_a_rule_could_not_be_run(suite: pytest.Pytester) -> None:
    odd = executor(suite, RET_01="could not run")

    result = run(suite, odd, "-q")

    result.stdout.fnmatch_lines(["  RET-01 could not run: there is no backend"])


def test_what_is_said_of_a_rule_travels_with_its_report(suite: pytest.Pytester) -> None:
    odd = executor(suite, LIF_03="fail", RET_01="could not run", CON_06="fail")

    run(suite, odd, "--junit-xml=report.xml", "-n", "2", plugins=["xdist"])

    cases = {}
    for case in ElementTree.parse(suite.path / "report.xml").iter("testcase"):
        said = {p.get("name"): p.get("value") for p in case.iter("property")}
        cases[said["asyncexec_rule"]] = said
        assert said["asyncexec_target"] == "Odd"
        facts = json.loads(said["asyncexec_facts"])
        assert facts["summary"].startswith("tasks run in this process")
        assert facts["executor"] == "odd:Odd"
        assert facts["needs"] == [
            *("static", "run", "shared-files", "setup", "teardown", "settings"),
            *("awaited-execute", "awaited-writes", "stop", "at-most-once"),
        ]
        assert facts["declared"] == []
        assert said["asyncexec_inherited"] == "False"
    assert {rule: said["asyncexec_outcome"] for rule, said in cases.items()} == {
        "CON-01": "passed",
        "CON-06": "failed",
        "LIF-03": "failed",
        "RET-01": "could_not_run",
    }
    assert cases["LIF-03"]["asyncexec_message"].startswith("LIF-03 (MUST, core)")
    assert json.loads(cases["LIF-03"]["asyncexec_finding"])["seen"] == "LIF-03 was broken"


def test_an_executor_that_cannot_be_built_is_one_failure(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        odd="""
        from executors import Good
        class Odd(Good):
            def __init__(self):
                raise RuntimeError("no licence")
        """
    )
    # The small suite asks for an executor in CON-01; the others are not even asked.
    result = run(suite, "--asyncexec-plugin=odd:Odd")

    assert result.ret == 1
    said = verdict(result, "Odd")
    assert said.startswith(("incomplete", "nonconformant"))
    line = suite.path.joinpath("odd.py").read_text(encoding="utf-8").splitlines()
    number = next(n for n, text in enumerate(line, 1) if "raise RuntimeError" in text)
    place = f"{suite.path / 'odd.py'}:{number}"
    assert f" Odd: could not be built: RuntimeError: no licence, at {place} " in squeezed(result)
    result.stdout.fnmatch_lines(["*blocked: no executor could be built*"])


@pytest.mark.parametrize("workers", [[], ["-n", "2"]])
def test_messages_may_quote_anything(suite: pytest.Pytester, workers: list[str]) -> None:
    odd = executor(suite, LIF_03="quote", CON_06="quote")

    result = run(suite, odd, *workers, "--junit-xml=report.xml", plugins=["xdist"])

    assert result.ret == 1
    assert "2 failed (1 MUST, 1 SHOULD)" in verdict(result, "Odd")
    result.stdout.fnmatch_lines([r"    LIF-03  MUST    it said \x00 \x1b[[]31m \udc80"])
    ElementTree.parse(suite.path / "report.xml")


def test_one_reason_for_many_rules_is_told_once(suite: pytest.Pytester) -> None:
    odd = executor(
        suite, **dict.fromkeys(("CON_01", "CON_06", "LIF_03", "RET_01"), "could not run")
    )

    result = run(suite, odd)

    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "Odd: incomplete, *",
            "  could not run",
            "    4 rules: there is no backend",
            "      (CON-01 to CON-06, LIF-03, RET-01)",
        ]
    )


HOOKS = {
    "skips": (
        "import pytest\ndef pytest_runtest_setup(item): pytest.skip('not today')",
        "skipped in setup: not today (hooks.py:2)",
    ),
    "replaces the call": (
        "def pytest_pyfunc_call(pyfuncitem): return True",
        "something else was run in the place of the check",
    ),
    "replaces the phase": (
        "import pytest\n@pytest.hookimpl(tryfirst=True)\n"
        "def pytest_pycollect_makeitem(collector, name, obj):\n"
        "    return [] if name.startswith('test_') else None",
        "its check was never collected; look at pytest_pycollect_makeitem in hooks.py",
    ),
    "fails in a fixture": (
        "import pytest\n@pytest.fixture(autouse=True)\ndef broken(): raise OSError('no disk')",
        "failed in setup: OSError: no disk",
    ),
    "takes away": (
        "def pytest_collection_modifyitems(items): items[:] = []",
        "its check was taken from the list of tests; look at pytest_collection_modifyitems in "
        "hooks.py",
    ),
    "deselects": (
        "def pytest_collection_modifyitems(config, items):\n"
        "    config.hook.pytest_deselected(items=items[:])\n"
        "    items[:] = []",
        "deselected by a hook, hooks.py:2",
    ),
    "marks with skip": (
        "import pytest\ndef pytest_collection_modifyitems(items):\n"
        "    for item in items: item.add_marker(pytest.mark.skip(reason='too slow'))",
        "skipped in setup: too slow",
    ),
    "marks with xfail": (
        "import pytest\ndef pytest_collection_modifyitems(items):\n"
        "    for item in items: item.add_marker(pytest.mark.xfail(run=False, reason='known'))",
        "skipped in setup: [NOTRUN] known",
    ),
    "replaces the function": (
        "def pytest_collection_modifyitems(items):\n"
        "    for item in items: item.obj = lambda asyncexec_subject: None",
        "something else was run in the place of the check",
    ),
    "swallows the protocol": (
        "def pytest_runtest_protocol(item, nextitem): return True",
        "nothing was reported of its check; look at pytest_runtest_protocol in hooks.py",
    ),
    "changes the outcome": (
        "import pytest\n@pytest.hookimpl(hookwrapper=True, tryfirst=True)\n"
        "def pytest_runtest_makereport(item, call):\n"
        "    outcome = yield\n"
        "    if call.when == 'call':\n"
        "        outcome.get_result().outcome = 'skipped'\n"
        "        outcome.get_result().longrepr = ('file', 1, 'why')\n",
        "the check passed, but the test was then skipped in call: why",
    ),
}


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_that_keeps_checks_from_running_is_never_green(
    suite: pytest.Pytester, hook: str
) -> None:
    code, reason = HOOKS[hook]
    suite.makepyfile(hooks=code)

    result = run(suite, GOOD, plugins=["hooks"])

    assert result.ret == 1
    assert verdict(result).startswith("incomplete, level none: 0 passed")
    assert "4 not run" in verdict(result)
    assert f" not run 4 rules: {reason}" in squeezed(result)


def test_a_hook_cannot_turn_a_failure_into_a_pass(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        hooks="""
        import pytest
        @pytest.hookimpl(hookwrapper=True, tryfirst=True)
        def pytest_runtest_makereport(item, call):
            outcome = yield
            outcome.get_result().outcome = "passed"

        def pytest_collection_modifyitems(items):
            for item in items:
                item.add_marker(pytest.mark.xfail)
        """
    )

    result = run(suite, executor(suite, LIF_03="fail"), plugins=["hooks"])

    assert result.ret == 1
    assert verdict(result, "Odd").startswith("nonconformant")


def test_a_mark_cannot_excuse_a_must(suite: pytest.Pytester) -> None:
    suite.makeconftest(
        """
        import pytest
        def pytest_collection_modifyitems(items):
            for item in items:
                item.add_marker(pytest.mark.xfail(reason="known"))
        """
    )

    result = run(suite, executor(suite, LIF_03="fail"))

    assert result.ret == 1
    result.stdout.fnmatch_lines(["asyncexec/test_beta.py F*"])


def test_a_crash_of_the_check_leaves_its_rule_open(suite: pytest.Pytester) -> None:
    result = run(suite, executor(suite, LIF_03="crash"))

    assert result.ret == 1
    assert verdict(result, "Odd").startswith("incomplete, level none: 3 passed, 0 failed")
    result.stdout.fnmatch_lines(
        ["*KeyError: 'a mistake in the check'*", "    LIF-03  MUST    the check itself crashed: *"]
    )


def test_a_crashed_worker_leaves_its_rule_open(suite: pytest.Pytester) -> None:
    odd = executor(suite, LIF_03="die")

    result = run(suite, odd, "-n", "2", plugins=["xdist"])

    assert result.ret == 1
    assert verdict(result, "Odd").startswith("incomplete, level none: 3 passed, 0 failed")
    result.stdout.fnmatch_lines(["    LIF-03  MUST    worker '*' crashed*"])


def test_of_two_runs_of_one_check_the_worse_counts(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        odd="""
        from executors import Good
        class Odd(Good):
            behaviour = {"LIF-03": "fail"}
        """
    )
    suite.makeconftest(
        """
        from _pytest.runner import runtestprotocol

        def pytest_runtest_protocol(item, nextitem):
            import odd
            runtestprotocol(item, nextitem=nextitem, log=True)
            odd.Odd.behaviour = {}
            runtestprotocol(item, nextitem=nextitem, log=True)
            return True
        """
    )

    result = run(suite, "--asyncexec-plugin=odd:Odd", "asyncexec/test_beta.py", "-v")

    result.stdout.fnmatch_lines(["*LIF_03*FAILED*", "*LIF_03*PASSED*"])
    assert verdict(result, "Odd").startswith("nonconformant")


def test_what_a_check_found_says_nothing_of_its_next_run(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        hooks="""
        from _pytest.runner import runtestprotocol

        again = []

        def pytest_runtest_protocol(item, nextitem):
            runtestprotocol(item, nextitem=nextitem, log=True)
            again.append(item)
            runtestprotocol(item, nextitem=nextitem, log=True)
            return True

        def pytest_pyfunc_call(pyfuncitem):
            return True if pyfuncitem in again else None
        """
    )

    result = run(suite, GOOD, plugins=["hooks"])

    assert verdict(result).startswith("incomplete, level none: 0 passed")


@pytest.mark.parametrize(
    ("behaviour", "arguments", "code", "word"),
    [
        ({}, [], 0, "conformant, level hardened"),
        ({"CON_06": "fail"}, [], 0, "conformant, level hardened"),
        ({"CON_01": "not applicable"}, [], 0, "conformant, level hardened"),
        ({"LIF_03": "fail"}, [], 1, "nonconformant, level none"),
        ({"RET_01": "fail"}, [], 1, "nonconformant, level core"),
        ({"RET_01": "could not run"}, [], 1, "incomplete, level core"),
        ({"CON_06": "could not run"}, [], 1, "incomplete, level hardened"),
        ({"RET_01": "fail"}, ["-k", "LIF_03"], 0, "incomplete (selection), level none"),
        ({"RET_01": "fail"}, ["-k", "RET_01"], 1, "nonconformant, level none"),
        ({"RET_01": "could not run"}, ["-k", "RET"], 1, "incomplete (selection), level none"),
        ({"LIF_03": "fail"}, ["-x"], 1, "nonconformant, level none"),
        ({"LIF_03": "fail"}, ["asyncexec/test_alpha.py"], 0, "incomplete (selection), level none"),
    ],
)
def test_exit_status(
    suite: pytest.Pytester, behaviour: dict[str, str], arguments: list[str], code: int, word: str
) -> None:
    result = run(suite, executor(suite, **behaviour), *arguments)

    assert result.ret == code
    assert verdict(result, "Odd").startswith(word)


def test_exit_status_of_own_tests_stays(suite: pytest.Pytester) -> None:
    suite.makepyfile(test_own="def test_own(): assert 0")

    failing = run(suite, GOOD)
    selected = run(suite, GOOD, "-k", "nothing_of_that_name")

    assert failing.ret == 1
    assert verdict(failing).startswith("conformant")
    assert selected.ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_own_tests_alone_are_not_held_against_the_executor(suite: pytest.Pytester) -> None:
    suite.makepyfile(test_own=OWN)

    result = run(suite, executor(suite, LIF_03="fail"), "-k", "test_own")

    assert result.ret == 0
    assert verdict(result, "Odd").startswith("incomplete (selection)")


def test_a_run_of_nothing_is_never_green(suite: pytest.Pytester) -> None:
    suite.makepyfile(test_own=OWN)
    suite.makeconftest("def pytest_collection_modifyitems(items): del items[1:]")

    result = run(suite, GOOD)

    result.assert_outcomes(passed=1)
    assert result.ret == 1
    assert verdict(result).startswith("incomplete, level none: 0 passed")


@pytest.mark.parametrize("workers", [[], ["-n", "2"]])
def test_warnings_of_one_line_are_told_once_with_a_count(
    suite: pytest.Pytester, workers: list[str]
) -> None:
    suite.makeini("[pytest]\nfilterwarnings = error::ResourceWarning\n")
    suite.makepyfile(
        odd="""
        import itertools
        import warnings
        from executors import Good

        number = itertools.count()

        class Odd(Good):
            def __init__(self):
                super().__init__()
                for _ in range(10):
                    warnings.warn(f"unclosed file number {next(number)}", ResourceWarning)
        """,
        test_own="""
        import warnings

        def test_own():
            for number in range(3):
                warnings.warn(f"my own number {number}", UserWarning)
        """,
    )

    arguments = ["--asyncexec-plugin=odd:Odd", "test_own.py", "asyncexec", *workers]
    result = run(suite, *arguments, plugins=["xdist"])

    assert result.ret == 0
    told = squeezed(result)
    assert told.count("UserWarning: my own number") == 3
    # The one that writes the report has had a look at it, too.
    processes = 3 if workers else 1
    assert 1 <= told.count("ResourceWarning: unclosed file number ") <= processes
    counts = re.findall(r"ResourceWarning: (\d+) more of this kind, the first of which was:", told)
    # Ten from the first look, and from each of four checks; what two processes say alike is told
    # together.
    assert 1 <= len(counts) <= processes
    assert workers or counts == ["49"]


def test_the_first_look_is_no_part_of_the_users_run(suite: pytest.Pytester) -> None:
    suite.makeini("[pytest]\nfilterwarnings = error\n")
    suite.makepyfile(
        odd="""
        import os
        import warnings
        from executors import Good
        class Odd(Good):
            def __init__(self):
                super().__init__()
                os.write(1, b"look at me")
                warnings.warn("old-fashioned", DeprecationWarning)
        """
    )

    result = run(suite, "--asyncexec-plugin=odd:Odd")

    result.stdout.no_fnmatch_line("*look at me*")
    assert verdict(result, "Odd").startswith("conformant")
