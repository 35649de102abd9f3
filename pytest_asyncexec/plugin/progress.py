"""While a slow executor is judged: which rule runs, for how long, and how many are left."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Generator, Iterable, Iterator, Sequence
from time import monotonic

import pytest

from .collection import judged_by
from .recording import Recorder
from .registration import register
from .selection import Plan, runs_nothing
from .status_line import LogLine, StatusLine

#: From how many seconds on something is slow enough to be named, and how often its time is told.
SLOW = 2.0
TICK = 1.0

#: The key of what runs before all checks.
_FIRST_LOOK = ""


class Progress:
    """Decides, once all plugins are there, whether anything is shown."""

    def __init__(self, plan: Plan, recorder: Recorder) -> None:
        self.plan = plan
        self.recorder = recorder

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Begin to show progress where somebody can see it and nobody is disturbed by it."""
        config = session.config
        if not _is_reported(config) or _is_shared(config):
            return
        try:
            output = sys.stdout.fileno()
        except (AttributeError, OSError, ValueError):
            return
        line: StatusLine | LogLine | None = None
        if not os.isatty(output):
            line = LogLine(output)
        elif _is_watched(config):
            line = StatusLine(config, output)
        if line is not None:
            ticker = Ticker(self.plan, self.recorder, line)
            register(config, ticker, "asyncexec-ticker")


def _is_reported(config: pytest.Config) -> bool:
    """Whether pytest's own reporter writes, and is wanted to say what goes on."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    # A reporter of another make has ideas of its own of what is on the line.
    if type(reporter) is not pytest.TerminalReporter:
        return False
    return config.get_verbosity() >= 0 and not runs_nothing(config)


def _is_watched(config: pytest.Config) -> bool:
    """Whether there is a terminal in front of somebody, which obeys."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or not reporter.isatty:
        return False
    # A job's log keeps all that is erased. Consoles of Windows may need to be told to obey.
    environ = os.environ
    moves = environ.get("TERM", "dumb") not in ("", "dumb") and sys.platform != "win32"
    return moves and not (environ.get("CI") or environ.get("BUILD_NUMBER"))


def _is_shared(config: pytest.Config) -> bool:
    """Whether others write to the terminal while a test runs: then the cursor may be anywhere."""
    # With any other capture, -s first of all, the executor's processes do.
    if config.getoption("capture", "no") != "fd":
        return True
    if config.pluginmanager.hasplugin("logging") and config.getini("log_cli"):
        return True
    chatty = ("log_cli_level", "setuponly", "setupshow", "usepdb")
    return any(config.getoption(name, None) for name in chatty)


class Ticker:
    """Keeps the status line of a session up to date."""

    def __init__(self, plan: Plan, recorder: Recorder, line: StatusLine | LogLine) -> None:
        self.plan = plan
        self.recorder = recorder
        self._line = line
        self._known: set[str] = set()
        self._waiting: dict[str, str] = {}
        self._running: dict[str, tuple[str, float]] = {}
        # Whoever writes to the terminal, pytest or the thread, holds it.
        self._lock = threading.RLock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._tick, name="asyncexec-progress", daemon=True)

    # ---- what there is to do -----------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Count the checks of this process."""
        judged = ((item.nodeid, judged_by(item)) for item in session.items)
        self._expect((nodeid, names) for nodeid, names in judged if names is not None)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """Count the checks of the workers, which all have the same."""
        for nodeid in ids:
            target, rule_id = self.recorder.guess(nodeid)
            if target in self.recorder.outcomes and rule_id in self.plan.contract.judged:
                self._expect([(nodeid, (str(target), str(rule_id)))])

    def _expect(self, checks: Iterable[tuple[str, tuple[str, str]]]) -> None:
        for nodeid, (target, rule_id) in checks:
            if nodeid in self._known:
                continue
            self._known.add(nodeid)
            with self._lock:
                several = len(self.plan.targets) > 1
                self._waiting[nodeid] = f"{rule_id} {target}" if several else rule_id
            # Before anything is judged: there are rules about the threads of this process.
            if self._thread.ident is None:
                self._thread.start()

    # ---- what runs ---------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_report_collectionfinish(self) -> Generator[None, object, object]:
        """Name what the first look is for, which takes its time where a backend hangs."""
        targets = [target.name for target in self.plan.targets]
        whom = targets[0] if len(targets) == 1 else f"{len(targets)} executors"
        with self._erased():
            if self._known:
                self._running[_FIRST_LOOK] = (f"first look at {whom}", monotonic())
        try:
            return (yield)
        finally:
            with self._erased():
                self._running.pop(_FIRST_LOOK, None)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logstart(self, nodeid: str) -> Generator[None, object, object]:
        with self._erased():
            if nodeid in self._waiting:
                self._running[nodeid] = (self._waiting.pop(nodeid), monotonic())
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(
        self, report: pytest.TestReport
    ) -> Generator[None, object, object]:
        with self._erased():
            # Of a worker that died nothing else is heard.
            if report.when not in ("setup", "call", "teardown"):
                self._running.pop(report.nodeid, None)
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logfinish(self, nodeid: str) -> Generator[None, object, object]:
        with self._erased():
            self._running.pop(nodeid, None)
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True, optionalhook=True)
    def pytest_testnodedown(self) -> Generator[None, object, object]:
        with self._erased():
            return (yield)

    # ---- the end -----------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        """Whatever ends the run, what is written about that begins on a clean line."""
        try:
            return (yield)
        finally:
            self._end()

    def pytest_enter_pdb(self) -> None:
        """Leave the terminal to who debugs."""
        self._end()

    def pytest_unconfigure(self) -> None:
        self._end()

    def _end(self) -> None:
        self._over.set()
        with self._lock:
            self._line.close()
        if self._thread.is_alive():
            self._thread.join()

    # ---- the terminal ------------------------------------------------------------------------

    @contextlib.contextmanager
    def _erased(self) -> Iterator[None]:
        """Nothing is shown within this block, in which pytest may write."""
        with self._lock:
            self._line.erase()
            yield

    def _tick(self) -> None:
        # Of a mistake in here nobody who judges an executor wants to hear.
        with contextlib.suppress(Exception):
            while not self._over.wait(TICK):
                with self._lock:
                    if not self._over.is_set():
                        self._show(monotonic())

    def _show(self, now: float) -> None:
        lasting = [(name, now - since) for name, since in self._running.values()]
        slow = [(name, seconds) for name, seconds in lasting if seconds >= SLOW]
        if slow:
            self._line.show(slow, len(self._waiting))
