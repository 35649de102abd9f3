"""What the terminal shows while a slow executor is judged."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading

import pytest

from pytest_asyncexec.plugin.status_line import room, status
from screen import COLUMNS, Seat, seat
from small_suite import executor, install, run

pytest_plugins = ["pytester"]

#: How the cursor is put back, which nobody else here does.
SHOWN = "\x1b8"

#: Everything is slow, and is looked at all the time.
HURRIED = """
import pytest_asyncexec.plugin.progress as progress

progress.SLOW = 0.0
progress.TICK = 0.01
"""

in_a_terminal = pytest.mark.skipif(
    not hasattr(os, "openpty") or sys.platform == "win32", reason="there are no pseudo terminals"
)


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A folder with the small suite, and an environment as in front of a terminal."""
    install(pytester)
    pytester.makepyfile(hurried=HURRIED)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(COLUMNS))
    for name in ("CI", "BUILD_NUMBER"):
        monkeypatch.delenv(name, raising=False)
    return pytester


def go(suite: pytest.Pytester) -> None:
    """Let the checks go on that wait."""
    (suite.path / "go").touch()


def finished(terminal: Seat) -> str:
    """All that stands there in the end, but for how long it took."""
    return re.sub(r"=+ (.*) in \d+\.\d+s =+", r"\1", terminal.screen.text)


# ---- the text ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("running", "width", "text"),
    [
        ([("RET-02", 12.9)], 80, "  RET-02 12 s, 37 left"),
        ([("RET-02", 125.0)], 80, "  RET-02 2 min 05 s, 37 left"),
        ([("CNC-05", 3.0), ("RET-02", 12.0)], 80, "  RET-02 12 s, CNC-05 3 s, 37 left"),
        ([("CNC-05", 3.0), ("RET-02", 12.0)], 34, "  RET-02 12 s, CNC-05 3 s, 37 left"),
        ([("CNC-05", 3.0), ("RET-02", 12.0)], 33, "  RET-02 12 s, 1 more, 37 left"),
        ([("CNC-05", 3.0), ("RET-02", 12.0)], 29, "  12 s, 37 left"),
        ([("RET-02", 12.0)], 21, "  12 s, 37 left"),
        ([("RET-02", 12.0)], 14, ""),
        ([("RET-02 執行者", 12.0)], 29, "  RET-02 執行者 12 s, 37 left"),
        ([("RET-02 執行者", 12.0)], 28, "  12 s, 37 left"),
        ([], 80, ""),
    ],
)
def test_what_runs_longest_is_named_first_and_the_time_last_given_up(
    running: list[tuple[str, float]], width: int, text: str
) -> None:
    assert status(running, 37, width) == text


@pytest.mark.parametrize(
    ("written", "columns", "free"),
    [
        (0, 80, 79),
        (30, 80, 49),
        (79, 80, 0),
        # The cursor of a full line may be at its end or on the next one.
        (80, 80, 0),
        (90, 80, 69),
        # pytest does not know how wide a line is on which it went back.
        (-1, 80, 0),
        (30, 0, 0),
    ],
)
def test_only_what_is_free_on_the_line_is_written_on(written: int, columns: int, free: int) -> None:
    assert room(written, columns) == free


# ---- the terminal ------------------------------------------------------------------------------


@in_a_terminal
@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], r"asyncexec/test_alpha.py \.  CON-06 [1-9] s, 2 left"),
        (["-v"], r"asyncexec/test_alpha.py::test_CON_06\S+   CON-06 [1-9] s, 2 left"),
        (["--no-header"], r"asyncexec/test_alpha.py \.  CON-06 [1-9] s, 2 left"),
        (["-n", "1"], r"\.  CON-06 [1-9] s, 2 left"),
        (["-n", "1", "-v"], r"asyncexec/test_alpha.py::test_CON_06\S+   CON-06 [1-9] s, 2 left"),
    ],
    ids=["plain", "verbose", "no header", "worker", "verbose worker"],
)
def test_a_slow_rule_is_named_and_leaves_no_trace(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, arguments: list[str], line: str
) -> None:
    # The check of CON-06 takes its time.
    option = executor(suite, CON_06="wait", LIF_03="fail")
    plugins = "xdist" if "-n" in arguments else ""
    arguments = [option, "asyncexec", *arguments]
    with seat(suite, *arguments, plugins=f"hurried {plugins}") as terminal:
        terminal.until(line)
        go(suite)
        assert terminal.to_the_end() == pytest.ExitCode.TESTS_FAILED
        shown = finished(terminal)

    # What stands there in the end is what stands there without all this.
    monkeypatch.setenv("TERM", "dumb")
    with seat(suite, *arguments, plugins=f"hurried {plugins}") as terminal:
        terminal.to_the_end()
        assert SHOWN not in terminal.raw
        assert shown == finished(terminal)


@in_a_terminal
def test_nobody_has_to_ask_for_it(suite: pytest.Pytester) -> None:
    with seat(suite, executor(suite, CON_01="wait"), "asyncexec") as terminal:
        # The seconds are counted, and none is told before it is worth it.
        line = r"asyncexec/test_alpha.py   CON-01 (\d+) s, 3 left"
        first = int(terminal.until(line)[1])
        assert first >= 2
        terminal.until(line.replace(r"\d+", f"(?!{first} )\\d+"))
        go(suite)
        assert terminal.to_the_end() == pytest.ExitCode.OK


@in_a_terminal
def test_with_workers_all_rules_are_named_that_run(suite: pytest.Pytester) -> None:
    option = executor(suite, CON_01="wait", LIF_03="wait")
    with seat(suite, option, "asyncexec", "-n", "2", plugins="hurried xdist") as terminal:
        named = terminal.until(r"  (\S+) \d+ s, (\S+) \d+ s, 2 left")
        assert {*named.groups()} == {"CON-01", "LIF-03"}
        go(suite)
        assert terminal.to_the_end() == pytest.ExitCode.OK


@in_a_terminal
def test_of_several_executors_the_one_is_named_that_is_judged(suite: pytest.Pytester) -> None:
    options = ["--asyncexec-plugin=executors:Good", executor(suite, CON_01="wait")]
    with seat(suite, *options, "asyncexec", plugins="hurried") as terminal:
        terminal.until(r"asyncexec/test_alpha.py   CON-01 Odd \d+ s, 3 left")
        go(suite)
        assert terminal.to_the_end() == pytest.ExitCode.OK


@in_a_terminal
def test_the_first_look_is_named(suite: pytest.Pytester) -> None:
    # The backend is slow to answer to the first task of all.
    suite.makepyfile(
        odd="""
        import asyncio
        import os
        from executors import Good

        class Odd(Good):
            async def run(self, function, args, kwargs, task_metadata):
                while not os.path.exists("go"):
                    await asyncio.sleep(0.02)
                return await super().run(function, args, kwargs, task_metadata)
        """
    )
    option = "--asyncexec-plugin=odd:Odd"
    with seat(suite, option, "asyncexec", plugins="hurried") as terminal:
        terminal.until(r"  first look at Odd \d+ s, 4 left")
        go(suite)
        assert terminal.to_the_end() == pytest.ExitCode.OK
        assert "first look" not in terminal.screen.text


@in_a_terminal
def test_an_interrupted_run_ends_on_a_clean_line(suite: pytest.Pytester) -> None:
    with seat(suite, executor(suite, CON_06="wait"), "asyncexec", plugins="hurried") as terminal:
        terminal.until(r".*  CON-06 \d+ s, 2 left")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.to_the_end() == pytest.ExitCode.INTERRUPTED
        assert "asyncexec/test_alpha.py ." in terminal.screen.text.splitlines()


@in_a_terminal
def test_the_rule_of_a_worker_that_died_does_not_run_any_more(suite: pytest.Pytester) -> None:
    # The worker of CON-01 ends while the other one is at work.
    option = executor(suite, CON_01="wait die", LIF_03="wait on")
    with seat(suite, option, "asyncexec", "-n", "2", plugins="hurried xdist") as terminal:
        terminal.until(r"  (\S+) \d+ s, (\S+) \d+ s, 2 left")
        go(suite)
        terminal.until(r".*  LIF-03 \d+ s, \d left")
        (suite.path / "go on").touch()
        assert terminal.to_the_end() == pytest.ExitCode.TESTS_FAILED


@in_a_terminal
def test_the_end_of_a_worker_is_told_on_a_clean_line(suite: pytest.Pytester) -> None:
    option = executor(suite, CON_01="wait die", LIF_03="wait on")
    with seat(suite, option, "asyncexec", "-n", "2", "-v", plugins="hurried xdist") as terminal:
        # There is no room for names behind the id.
        terminal.until(r"asyncexec/.*\[Odd\]   \d+ s, 2 left")
        go(suite)
        while "node down: Not properly terminated" not in terminal.raw:
            assert terminal.watch()
        (suite.path / "go on").touch()
        assert terminal.to_the_end() == pytest.ExitCode.TESTS_FAILED
        assert " left" not in terminal.screen.text


@in_a_terminal
def test_one_thread_is_there_from_the_first_look_to_the_end(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        noting="""
        import pathlib
        import threading
        import pytest

        def note():
            names = [thread.name for thread in threading.enumerate()]
            with pathlib.Path("threads").open("a") as file:
                print(names.count("asyncexec-progress"), file=file)

        @pytest.hookimpl(trylast=True)
        def pytest_runtest_logstart(nodeid):
            note()

        @pytest.hookimpl(wrapper=True)
        def pytest_unconfigure(config):
            yield
            note()
        """
    )
    with seat(suite, executor(suite), "asyncexec", plugins="hurried noting") as terminal:
        assert terminal.to_the_end() == pytest.ExitCode.OK
    assert (suite.path / "threads").read_text().split() == ["1", "1", "1", "1", "0"]


# ---- where nothing is shown --------------------------------------------------------------------

REPORTER = """
import pytest

class Reporter(pytest.TerminalReporter):
    pass

@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    manager = config.pluginmanager
    manager.unregister(name="terminalreporter")
    manager.register(Reporter(config), "terminalreporter")
"""


@in_a_terminal
@pytest.mark.parametrize(
    "arguments",
    [
        ["-q"],
        ["-s"],
        ["--capture=sys"],
        ["--capture=tee-sys"],
        ["--pdb"],
        ["--setup-show"],
        ["--log-cli-level=INFO"],
        ["-o", "log_cli=true"],
        ["-p", "no:terminal"],
        ["-p", "no:logging"],
        ["-p", "reporter"],
    ],
    ids=" ".join,
)
def test_nothing_is_shown_where_somebody_else_writes_or_nobody_wants_it(
    suite: pytest.Pytester, arguments: list[str]
) -> None:
    suite.makepyfile(reporter=REPORTER)
    option = executor(suite, CON_01="pause")
    with seat(suite, option, "asyncexec", *arguments, plugins="hurried") as terminal:
        assert terminal.to_the_end() == pytest.ExitCode.OK
        # Of all these only the logging plugin may as well be away.
        assert (SHOWN in terminal.raw) is (arguments == ["-p", "no:logging"])


@in_a_terminal
@pytest.mark.parametrize(
    ("name", "value"), [("TERM", "dumb"), ("TERM", ""), ("CI", "true"), ("BUILD_NUMBER", "7")]
)
def test_nothing_is_shown_on_a_terminal_that_cannot_go_back_or_is_a_log(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with seat(suite, executor(suite, CON_01="pause"), "asyncexec", plugins="hurried") as terminal:
        assert terminal.to_the_end() == pytest.ExitCode.OK
        assert SHOWN not in terminal.raw


def test_nothing_is_written_to_a_file(suite: pytest.Pytester) -> None:
    result = run(suite, executor(suite, CON_01="pause"), "asyncexec", plugins=["hurried"])
    assert result.ret == pytest.ExitCode.OK
    assert "\x1b" not in result.stdout.str() + result.stderr.str()


@in_a_terminal
@pytest.mark.parametrize("workers", [[], ["-n", "1"]], ids=["alone", "worker"])
def test_nothing_is_shown_for_a_users_own_tests(suite: pytest.Pytester, workers: list[str]) -> None:
    suite.makepyfile(test_own="import time\ndef test_own(): time.sleep(0.5)\n")
    arguments = [executor(suite, CON_01="pause"), "asyncexec", "test_own.py", "-v", *workers]
    plugins = "hurried xdist" if workers else "hurried"
    with seat(suite, *arguments, plugins=plugins) as terminal:
        assert terminal.to_the_end() == pytest.ExitCode.OK
        lines = re.split(r"\r?\n", terminal.raw)
        assert any(SHOWN in line for line in lines if "test_CON_01" in line)
        assert not any(SHOWN in line for line in lines if "test_own" in line)


@in_a_terminal
def test_who_debugs_has_the_terminal_to_himself(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        odd="""
        from executors import Good

        class Odd(Good):
            stopped = False

            @property
            def behaviour(self):
                if not Odd.stopped:
                    Odd.stopped = True
                    breakpoint()
                return {}
        """
    )
    option = "--asyncexec-plugin=odd:Odd"
    with seat(suite, option, "asyncexec", plugins="hurried") as terminal:
        terminal.until(r"\(Pdb\)")
        terminal.type("import time; time.sleep(0.3); print('stay' + 'ed')\n")
        terminal.type("continue\n")
        assert terminal.to_the_end() == pytest.ExitCode.OK
        debugged = terminal.raw[terminal.raw.index("(Pdb)") :]
        assert "stayed" in debugged
        assert SHOWN not in debugged


# ---- a log ---------------------------------------------------------------------------------------


def test_a_log_has_a_line_once_in_a_while(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        often="import hurried, pytest_asyncexec.plugin.status_line as line\nline.EVERY = 0.0"
    )
    option = executor(suite, CON_01="pause")
    threading.Timer(1.0, go, [suite]).start()

    result = run(suite, option, "asyncexec", plugins=["often"])

    assert result.ret == 0
    result.stdout.re_match_lines([r"  CON-01 \d+ s, \d left"])
    assert SHOWN not in result.stdout.str()


def test_a_log_has_no_line_where_nothing_takes_long(suite: pytest.Pytester) -> None:
    result = run(suite, executor(suite))

    result.stdout.no_re_match_line(r".* s, \d+ left")
