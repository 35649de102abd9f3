"""Tasks that leave a child process or a thread behind, which goes on until the suite lets it go."""

from __future__ import annotations

import inspect
import threading
from typing import Final

from ..instruments.beacon import Address, Attempt
from ..instruments.probes import report_home

#: What is left, by the label under which it reports.
CHILD: Final = "child"
THREAD: Final = "thread"
#: A thread that writes when it is let go, and reports again when it has.
WRITER: Final = "writer"
#: Nothing that is left, but the task that comes next.
LOOKER: Final = "looker"
#: Nor this: two tasks that are to meet.
EQUAL: Final = "equal"
_KINDS: Final = (CHILD, THREAD, WRITER)
_TASK: Final = "task"
_WROTE: Final = "has written"


def leave_child(address: Address, number: int, code: str, host: int, apart: bool) -> int:
    """Start a child process that holds the output of the task open; return when both have reported.

    Args:
        address: of a beacon.
        number: of the task, which is its result.
        code: see `code_of_child`.
        host: the process of the suite.
        apart: whether the child is in a session of its own.
    """
    import os
    import subprocess
    import sys
    import threading

    child = subprocess.Popen(
        [sys.executable, "-S", "-c", code], stdin=subprocess.DEVNULL, start_new_session=apart
    )
    if os.getpid() == host:
        # A process that lives on gives back what its children were.
        threading.Thread(target=child.wait, daemon=True).start()
    report_home(address, f"task {number}")
    return number


def leave_thread(address: Address, number: int, word: str = "") -> int:
    """Start a daemon thread that keeps the streams of the task; return when both have reported.

    Args:
        address: of a beacon.
        number: of the task, which is its result.
        word: what the thread writes when it is let go, if anything.
    """
    import os
    import sys
    import threading

    kept = sys.stdout, sys.stderr

    def go_on() -> None:
        try:
            report_home(address, f"{'writer' if word else 'thread'} {number}")
            if not word:
                return
            for stream in (*kept, sys.stdout, sys.stderr):
                try:
                    print(f"{word} by a thread", file=stream, flush=True)
                except Exception:
                    continue
            for descriptor in (1, 2):
                os.write(descriptor, f"{word} by a thread\n".encode())
            report_home(address, f"has written {number}")
        except OSError:
            pass

    threading.Thread(target=go_on, daemon=True).start()
    report_home(address, f"task {number}")
    return number


def code_of_child(address: Address, number: int) -> str:
    """What a child process runs that lives until it is let go, or the suite is gone."""
    return (
        f"from __future__ import annotations\n{inspect.getsource(report_home)}\n"
        f"try:\n    report_home({address!r}, 'child {number}')\n"
        "except OSError:\n    pass\n"
    )


class Left:
    """Lets each task return when what it leaves is there, and knows who is still held.

    It answers a beacon, on the threads of that: an executor may well block the event loop.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: dict[str, list[Attempt]] = {}
        self._free: set[str] = set()

    def __call__(self, attempt: Attempt, number: int) -> None:
        """Answer an attempt that reports."""
        label = str(attempt.hello["label"])
        what, _, whose = label.rpartition(" ")
        with self._lock:
            self._lines.setdefault(label, []).append(attempt)
            is_left = any(f"{kind} {whose}" in self._lines for kind in _KINDS)
            tasks = list(self._lines.get(f"{_TASK} {whose}", ())) if is_left else []
            goes = what in self._free or what == _WROTE
        for each in [*tasks, *([attempt] if goes else [])]:
            _let_go(each)

    def begun(self, number: int) -> bool:
        """Whether a task has left what it was to leave, and was told to return."""
        return f"{_TASK} {number}" in self._lines and any(
            f"{kind} {number}" in self._lines for kind in _KINDS
        )

    def let_go(self, *kinds: str) -> None:
        """Let all that is left of these kinds end, and whoever is left later."""
        with self._lock:
            self._free.update(kinds)
            lines = [line for kind in kinds for line in self._of(kind)]
        for attempt in lines:
            _let_go(attempt)

    def holds(self, kind: str) -> int:
        """How many of a kind live."""
        with self._lock:
            return sum(not attempt.gone.done() for attempt in self._of(kind))

    def reported(self, kind: str) -> int:
        """How many of a kind have come."""
        with self._lock:
            return len(self._of(kind))

    @property
    def written(self) -> int:
        """How many have written since they were let go."""
        return self.reported(_WROTE)

    def _of(self, kind: str) -> list[Attempt]:
        return [
            attempt
            for label, attempts in self._lines.items()
            if label.rpartition(" ")[0] == kind
            for attempt in attempts
        ]


def _let_go(attempt: Attempt) -> None:
    attempt.tell(do="return", value=None)
