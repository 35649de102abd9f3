"""A host of its own that is killed while its task runs: this end of it."""

from __future__ import annotations

import concurrent.futures
import contextlib
import time
from collections.abc import Iterator
from typing import Any, Final

from ..instruments import patience
from ..instruments.beacon import Attempt
from ..instruments.processes import is_started_by, parents
from ..subject.kept import Kept
from ..subject.preflight import ANOTHER_PROCESS
from ..subject.subject import Subject
from .interpreter import Fresh

#: Seconds between two looks at whether the host is still there.
_LOOK: Final = 0.05

#: Seconds for a worker that was told to end itself: a guard.
_TO_END: Final = 10.0


def killed_host(subject: Subject) -> KilledHost | None:
    """A host that runs a task from now on; None where its worker is not on this machine."""
    facts = subject.preflight()
    if facts.place != ANOTHER_PROCESS or not facts.reachable:
        return None
    hosts = _hosts.of(subject)
    if not hosts or hosts[-1].is_given_up:
        hosts.append(KilledHost(subject))
    return hosts[-1]


class KilledHost:
    """A process that hosts the subject and runs one task, until it is killed."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._guard = patience.PAST_LIMIT + 3 * subject.preflight().seconds
        self._line = contextlib.ExitStack()
        self._beacon = self._line.enter_context(subject.beacon())
        self._before = frozenset(parents() or ())
        self._host = Fresh(subject, "doomed", address=self._beacon.address)
        #: What is still running of it, in words; None as long as it was not looked at.
        self._left: str | None = None
        #: Whether it has ended before anybody could see its task.
        self.is_given_up = False
        #: Why no task of it could be seen.
        self.error = ""

    def kill_within(self, seconds: float) -> None:
        """Kill it as soon as its task has begun; give it up where that takes too long."""
        if self._has_begun(seconds):
            self.left()
        elif self._host.process.poll() is None:
            self.is_given_up = True
            self._host.end()
            self._line.close()

    def left(self) -> str:
        """What its death left running, in words; empty where that is nothing, or `error` is set."""
        if self._left is None:
            with self._subject.elsewhere(), self._line:
                self._left = self._kill_and_look()
        return self._left

    def _kill_and_look(self) -> str:
        if not self._has_begun(self._subject.patience):
            self.error = self._host.answer.get("error", "the task ended before it had reported")
            return ""
        self._host.end()
        ended = [attempt.gone for attempt in self._beacon.attempts]
        concurrent.futures.wait(ended, timeout=self._guard)
        living = list(self._living())
        for attempt in living:
            # It does so itself: no process is ended by a number that may be another's by now.
            attempt.tell(do="exit", code=1)
        concurrent.futures.wait([attempt.gone for attempt in living], timeout=_TO_END)
        numbers = ", ".join(str(attempt.hello["pid"]) for attempt in living)
        return (
            f"still ran and answered {self._guard:.0f} s later (process {numbers})"
            if living
            else ""
        )

    def _has_begun(self, seconds: float) -> bool:
        arrival = self._beacon.arrival(1)
        end = time.monotonic() + seconds
        while not arrival.done() and self._host.process.poll() is None and time.monotonic() < end:
            concurrent.futures.wait([arrival], timeout=_LOOK)
        return arrival.done()

    def _living(self) -> Iterator[Attempt]:
        asked: list[tuple[Attempt, concurrent.futures.Future[Any]]] = [
            (attempt, attempt.ask(do="answer"))
            for attempt in self._beacon.attempts
            if not attempt.gone.done()
        ]
        concurrent.futures.wait([answer for _, answer in asked], timeout=self._guard)
        for attempt, answer in asked:
            is_alive = answer.done() and answer.result() is not None
            # A backend that was there before is nobody's to end.
            if is_alive and not is_started_by(attempt.hello["pid"], self._before):
                yield attempt


_hosts: Final[Kept[list[KilledHost]]] = Kept(lambda _: [])
