"""Two event loops in two threads, on each of which tasks run at the same time."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from dataclasses import dataclass, field
from typing import Any, Final

from ..instruments import patience
from ..instruments.beacon import Attempt, Beacon
from ..instruments.history import History
from ..instruments.loop import Hang, WatchedLoop
from ..instruments.probes import echo, report_home
from ..instruments.seen import Seen
from ..subject.kept import Kept
from ..subject.subject import Subject

#: Tasks on each loop: a lock belongs to a loop from the moment on that somebody waits for it.
_TASKS: Final = 3

#: Turns of an event loop in which its tasks come to where they run or wait.
_TURNS: Final = 20


@dataclass(frozen=True, slots=True)
class OnLoops:
    """What became of the tasks on each of some event loops: the first that went wrong, or any."""

    #: Of each loop the executor, which no other loop has seen.
    executors: tuple[Any, ...]
    seen: tuple[Seen | str, ...]
    history: History = field(default_factory=History)

    @property
    def wrong(self) -> int:
        """The number of the first loop on which something went wrong, from 1; 0 if none."""
        numbers = range(1, len(self.seen) + 1)
        return next((n for n in numbers if not is_its_own(self.seen[n - 1], n)), 0)


def on_two_loops(subject: Subject) -> OnLoops:
    """What becomes of tasks on two event loops at the same time; they run once for all rules."""
    return _two_loops.of(subject)


def on_one_loop(subject: Subject) -> OnLoops:
    """The same on one loop that no other is beside."""
    return _on_loops(subject, 1)


_two_loops: Final = Kept(lambda subject: _on_loops(subject, 2))


def is_its_own(seen: Seen | str, number: int) -> bool:
    """Whether a task of the loop with this number, from 1, came to its own result."""
    return isinstance(seen, Seen) and seen.completed and seen.result == f"on loop {number}"


def _on_loops(subject: Subject, loops: int) -> OnLoops:
    executors = tuple(subject.build() for _ in range(loops))
    held = _Held(subject, loops)
    facts = subject.preflight()
    with subject.recording(executors[0]) as history, subject.elsewhere():
        if not facts.reachable or facts.blocks_loop_at:
            seen = _in_threads(subject, executors, None)
        else:
            with subject.beacon(held.answer) as beacon:
                seen = _in_threads(subject, executors, beacon, held)
    return OnLoops(executors, seen, history)


def _in_threads(
    subject: Subject,
    executors: tuple[Any, ...],
    beacon: Beacon | None,
    held: _Held | None = None,
) -> tuple[Seen | str, ...]:
    handed_over = [threading.Event() for _ in executors]
    with concurrent.futures.ThreadPoolExecutor(
        len(executors), thread_name_prefix="asyncexec-loops"
    ) as threads:
        running = [
            threads.submit(_on_a_loop, subject, executor, number, beacon, handed_over)
            for number, executor in enumerate(executors, 1)
        ]
        if held is not None:
            held.let_go_in_turn(running)
        return tuple(each.result() for each in running)


class _Held:
    """Tasks that wait until all have begun, where the executor lets them, and end loop by loop."""

    def __init__(self, subject: Subject, loops: int) -> None:
        self._loops = loops
        self._quiet = max(0.1, 2 * subject.preflight().seconds)
        self._changed = threading.Condition()
        self._held: list[Attempt] = []
        self._begun = 0
        #: The loops whose tasks may end.
        self._free: set[str] = set()

    def answer(self, attempt: Attempt, _number: int) -> None:
        with self._changed:
            self._begun += 1
            self._held.append(attempt)
            self._changed.notify_all()
            self._answer()

    def _answer(self) -> None:
        for attempt in self._held:
            if attempt.hello["label"] in self._free:
                attempt.tell(do="return", value=f"on loop {attempt.hello['label']}")
        self._held = [each for each in self._held if each.hello["label"] not in self._free]

    def let_go_in_turn(self, running: list[concurrent.futures.Future[Seen | str]]) -> None:
        with self._changed:
            known = -1
            # Who queues is right, and is only judged without all of them at once.
            while known < self._begun < _TASKS * self._loops:
                known = self._begun
                self._changed.wait_for(lambda known=known: self._begun > known, self._quiet)  # type: ignore[misc]
        for number, each in enumerate(running, 1):
            with self._changed:
                self._free.add(str(number))
                self._answer()
            # What waits on the other loop for their places is to be woken by these alone.
            concurrent.futures.wait([each], timeout=self._quiet)


def _on_a_loop(
    subject: Subject,
    executor: Any,
    number: int,
    beacon: Beacon | None,
    handed_over: list[threading.Event],
) -> Seen | str:
    # Where places are few, those of the first loop have them all: whoever has none on the second
    # is woken by nothing else than what the first one does.
    for earlier in handed_over[: number - 1]:
        earlier.wait(patience.RESCUE)
    # All of both loops may stand in one line, and are held meanwhile, see `let_go_in_turn`.
    guard = patience.PAST_LIMIT + 8 * _TASKS * subject.preflight().seconds
    work = (
        (echo, (f"on loop {number}",))
        if beacon is None
        else (report_home, (beacon.address, str(number)))
    )

    async def story() -> Seen:
        tasks = [asyncio.ensure_future(subject.execute(executor, *work)) for _ in range(_TASKS)]
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        handed_over[number - 1].set()
        try:
            _, pending = await asyncio.wait(tasks, timeout=guard)
            for executing in pending:
                executing.cancel()
            if pending:
                await asyncio.wait(pending, timeout=5)
                return Seen(malformed=f"execute had not ended after {guard:.0f} s")
            outcomes = [executing.result() for executing in tasks]
            return next((o for o in outcomes if not is_its_own(o, number)), outcomes[0])
        finally:
            await asyncio.get_running_loop().shutdown_default_executor()

    loop = WatchedLoop()
    try:
        return loop.drive(story, guard + subject.patience)
    except Hang as hang:
        return f"execute never ended: {hang}"
    except asyncio.CancelledError:
        return "execute ended in CancelledError, and nobody had cancelled it"
    finally:
        loop.close()
