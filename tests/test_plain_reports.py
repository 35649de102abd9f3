"""Nothing that goes wrong where pytest makes its reports ends a run, or loses a finding."""

from __future__ import annotations

import pytest

from small_suite import executor, install, run, verdict

pytest_plugins = ["pytester"]

PLUGINS = ["accident"]

#: A plugin; what becomes of pytest's reading of source on Python 3.11, at times.
REFUSED = """
import ast

def refuse(*args, **kwargs):
    raise SystemError("AST constructor recursion depth mismatch (before=120, after=173)")

def pytest_collection_finish():
    ast.parse = refuse
"""

#: The same, by what leads to it: the collector ends in the middle what parses as it is ended, as a
#: task does whose error is logged.
GARBAGE = """
import ast
import gc

class Garbage:
    def __init__(self):
        self.me = self

    def __del__(self):
        really("1 + 1")

def parse(*args, **kwargs):
    gc.collect()
    Garbage()
    return really(*args, **kwargs)

really = ast.parse

def pytest_collection_finish():
    ast.parse = parse
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """A folder with the small suite, in which no source can be parsed while checks run."""
    install(pytester)
    pytester.makepyfile(accident=REFUSED)
    return pytester


@pytest.mark.parametrize(
    "style", ["auto", "short", "line", "native", "long --showlocals --full-trace"]
)
def test_a_finding_needs_no_source(suite: pytest.Pytester, style: str) -> None:
    odd = executor(suite, CON_01="could not run", CON_06="not applicable", LIF_03="fail")

    result = run(suite, odd, *f"--tb={style}".split(), plugins=PLUGINS)

    assert result.ret == 1
    assert verdict(result, "Odd") == (
        "nonconformant, level none: 1 passed, 1 failed (1 MUST, 0 SHOULD), 1 not applicable, "
        "1 could not run, 0 not run"
    )
    result.stdout.fnmatch_lines(["    LIF-03  MUST    LIF-03 was broken"])
    result.stdout.no_fnmatch_line("*INTERNALERROR*")


@pytest.mark.parametrize("style", ["auto", "short", "native"])
def test_a_crash_of_the_check_is_told_without_source(suite: pytest.Pytester, style: str) -> None:
    result = run(
        suite, executor(suite, CON_01="fail", LIF_03="crash"), f"--tb={style}", plugins=PLUGINS
    )

    assert result.ret == 1
    assert verdict(result, "Odd").startswith("nonconformant, level none: 2 passed, 1 failed")
    result.stdout.fnmatch_lines(
        [
            "KeyError: 'a mistake in the check'",
            "*test_beta.py*, line *, in test_LIF_03_must_tear_down*",
            "    LIF-03  MUST    the check itself crashed: *",
        ]
    )


@pytest.mark.parametrize("when", ["setup", "teardown"])
def test_a_fixture_of_the_users_may_crash(suite: pytest.Pytester, when: str) -> None:
    fixture = "import pytest\n@pytest.fixture(autouse=True)\ndef broken():\n"
    body = {"setup": "    raise OSError('no database')", "teardown": "    yield\n    1 / 0"}
    suite.makeconftest(fixture + body[when])

    result = run(suite, executor(suite, LIF_03="fail"), plugins=PLUGINS)

    assert result.ret == 1
    # What a finding was made of before its fixtures crashed stays one.
    assert verdict(result, "Odd").startswith(
        "incomplete, level none: 0 passed, 0 failed"
        if when == "setup"
        else "nonconformant, level none: 0 passed, 1 failed"
    )
    words = {"setup": "failed in setup: OSError: no database", "teardown": "ZeroDivisionError"}
    result.stdout.fnmatch_lines([f"*{words[when]}*"])


def test_workers_need_no_source_either(suite: pytest.Pytester) -> None:
    odd = executor(suite, CON_01="crash", LIF_03="fail")

    result = run(suite, odd, "-n", "2", plugins=["xdist", *PLUGINS])

    assert result.ret == 1
    assert verdict(result, "Odd").startswith("nonconformant, level none: 2 passed, 1 failed")


def test_an_interrupted_run_tells_what_it_has_found(suite: pytest.Pytester) -> None:
    interrupt = "def pytest_runtest_call(item):\n    if 'RET_01' in item.name:\n"
    suite.makepyfile(accident=f"{GARBAGE}\n{interrupt}        raise KeyboardInterrupt")
    odd = executor(suite, LIF_03="fail")

    result = run(suite, odd, "--asyncexec-report=report", plugins=PLUGINS)

    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert verdict(result, "Odd").startswith("nonconformant, level none: 2 passed, 1 failed")
    result.stdout.fnmatch_lines(["*the run ended before its check: *", "*! KeyboardInterrupt !*"])
    assert "LIF-03 was broken" in (suite.path / "report/report.html").read_text(encoding="utf-8")


def test_garbage_that_parses_does_no_harm(suite: pytest.Pytester) -> None:
    # The user's own tests are run beside the suite, and judged as ever.
    own = "def test_own(tmp_path): assert 0\n" + "values = [1, 2, 3]\n" * 2000
    suite.makepyfile(accident=GARBAGE, test_own=own)
    odd = executor(suite, CON_01="crash", LIF_03="fail")

    result = run(suite, odd, "asyncexec", "test_own.py", plugins=PLUGINS)

    assert result.ret == 1
    assert verdict(result, "Odd").startswith("nonconformant, level none: 2 passed, 1 failed")
    result.stdout.fnmatch_lines([">   def test_own(tmp_path): assert 0", "*3 failed, 2 passed*"])
