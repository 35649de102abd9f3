"""Run the conformance suite on the executor in this folder; exit with 0 if every rule passed.

It is also the pytest plugin that ends the run at the first rule that did not. A SHOULD rule counts
as any other here: a mutant was noticed, or not.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

#: What prctl calls the wish to become the parent of all orphans among one's descendants.
_PR_SET_CHILD_SUBREAPER = 36


class Strict:
    """Ends the run at the first rule that did not pass, and says which."""

    def __init__(self, session: pytest.Session) -> None:
        self.session = session
        self.noticed = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        said = dict(report.user_properties)
        outcome = said.get("asyncexec_outcome", "not_run")
        if report.when == "call" and outcome != "passed" and not self.noticed:
            self.noticed = f"{said.get('asyncexec_rule')} {outcome}"
            self.session.shouldstop = f"noticed by {self.noticed}"

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.noticed:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_sessionstart(session: pytest.Session) -> None:
    session.config.pluginmanager.register(Strict(session))


def main() -> int:
    seconds, *arguments = sys.argv[1:]
    # A mutant may well leave workers behind; none may live on beside the next mutants.
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
    command = [sys.executable, "-m", "pytest", "-q", "--tb=short"]
    command += ["-p", "no:cacheprovider", "--disable-plugin-autoload"]
    command += ["-p", "pytest_asyncexec.plugin", "-p", Path(__file__).stem, *arguments]
    suite = subprocess.Popen(command)
    try:
        return suite.wait(timeout=float(seconds))
    except subprocess.TimeoutExpired:
        print("the suite did not end")
        return 1
    finally:
        end_descendants()


def end_descendants() -> None:
    """Kill what is left of our own children, until none is left."""
    while True:
        for file in Path("/proc/self/task").glob("*/children"):
            for pid in file.read_text().split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
        try:
            os.wait()
        except ChildProcessError:
            return


if __name__ == "__main__":
    sys.exit(main())
