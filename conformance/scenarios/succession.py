"""Tasks of every kind at once, and the ones that come after them: two waits for many rules.

The first change their process, write below Python, leave something behind, start processes, read
their input. The second look around, on the same instances and in the same workers.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from ..instruments import patience
from ..instruments.beacon import Beacon
from ..instruments.leftovers import look
from ..instruments.overhearing import overheard
from ..instruments.own_input import endless_input
from ..instruments.seen import Seen
from ..subject.kept import Kept
from ..subject.preflight import THIS_PROCESS
from ..subject.subject import Subject
from .leaving import CHILD, EQUAL, LOOKER, THREAD, WRITER, Left, code_of_child
from .recovery import no_end
from .trials import Hand, Trial, next_to, trials_of

#: Seconds, beyond what a task takes to begin, for one more of those that look around to do so
#: before a thread of an earlier task writes. It decides nothing.
_GRACE: Final = 1.0

#: Seconds for such a thread to write, with which it is the same.
_TO_WRITE: Final = 5.0


@dataclass(frozen=True, slots=True)
class Ending:
    """What became of one of them."""

    trial: Trial
    seen: Seen
    #: Whether its outcome came only when what it had left behind was let go.
    held_up: bool = False

    @property
    def returned(self) -> Mapping[str, Any]:
        """What it has returned, if it is what such tasks return."""
        given = self.seen.result
        return given if self.seen.completed and isinstance(given, dict) else {}


@dataclass(frozen=True, slots=True)
class Succession:
    """What became of all of them."""

    first: Sequence[Ending]
    #: The tasks that came next, each on the instance of one of the first, or on a fresh one.
    second: Sequence[Ending]

    def of(self, rule_id: str) -> list[Ending]:
        """The first ones that are asked by a rule."""
        return [ending for ending in self.first if ending.trial.rule_id == rule_id]

    def next_to(self, rule_id: str) -> list[tuple[Ending, Ending]]:
        """The first ones of a rule, and the next task on the instance of each."""
        return [
            (one, two)
            for one, two in zip(self.first, self.second, strict=False)
            if one.trial.rule_id == rule_id
        ]


def succession_of(subject: Subject) -> Succession:
    """What became of them; they run when they are first asked for."""
    return _kept.of(subject)


def _run_all(subject: Subject) -> Succession:
    return _run(subject, trials_of(subject))


_kept: Final = Kept(_run_all)


def again_alone(subject: Subject, trial: Trial) -> Ending:
    """What becomes of one of them where nothing else runs, and who waits is given longer."""
    return _run(subject, [trial], longer=2.0).first[0]


def next_alone(subject: Subject, trial: Trial) -> Ending:
    """What becomes of the task that comes next to one of them, where nothing else runs."""
    return _run(subject, [trial]).second[0]


def _run(subject: Subject, trials: Sequence[Trial], longer: float = 1.0) -> Succession:
    facts = subject.preflight()
    for_left = longer * (patience.LEFTOVERS + 3 * facts.seconds)
    executors = [subject.build() for _ in trials]
    # What comes next is of the same workflow: a backend may keep something for all of it.
    dispatches = [subject.new_dispatch() for _ in trials]
    nodes = [0 if trial.same_ids else 1 for trial in trials]
    meeting = [number for number, trial in enumerate(trials) if trial.meets]
    for number in meeting[1:]:
        executors[number] = executors[meeting[0]]
    in_this_process = facts.place == THIS_PROCESS
    seconds = [
        next_to(trial, number, looks=not in_this_process) for number, trial in enumerate(trials)
    ]
    over: list[object] = []

    async def story() -> Succession:
        with contextlib.ExitStack() as stack:
            left = Left()
            beacon: Beacon | None = None
            if facts.reachable:
                beacon = stack.enter_context(subject.beacon(left))
            stack.callback(left.let_go, CHILD, THREAD, WRITER, LOOKER, EQUAL)
            going = asyncio.ensure_future(_let_meet(subject, left))
            stack.callback(going.cancel)
            hands = [
                Hand(subject, *each, 0, over) for each in zip(executors, dispatches, strict=True)
            ]
            first = await _first(subject, trials, hands, left, beacon, for_left)
            hands = [replace(hand, node=node) for hand, node in zip(hands, nodes, strict=True)]
            second = await _second(subject, seconds, hands, left, beacon)
            return Succession(first, second)

    with contextlib.ExitStack() as stack:
        if in_this_process:
            file = subject.new_folder() / "printed"
            stack.enter_context(overheard(file, descriptors=True))
        else:
            stack.enter_context(endless_input())
        guards = 3 * _patience(subject) + for_left
        return subject.drive(story, longer=guards, progress=lambda: len(over))


def _patience(subject: Subject) -> float:
    """Seconds for whoever has nothing left to do, of as many as wait in line."""
    return patience.PAST_LIMIT + 3 * subject.preflight().seconds


async def _first(
    subject: Subject,
    trials: Sequence[Trial],
    hands: Sequence[Hand],
    left: Left,
    beacon: Beacon | None,
    patience_for_left: float,
) -> list[Ending]:
    executing = [
        hand.begin(trial, _arguments(trial, number, beacon))
        for number, (trial, hand) in enumerate(zip(trials, hands, strict=True))
    ]
    leaving = [task for task, trial in zip(executing, trials, strict=True) if trial.leaves]
    # Whoever leaves something may be in the way of those that wait in line.
    pending = await _over([task for task in executing if task not in leaving], _patience(subject))
    behind: set[asyncio.Task[Seen]] = set(leaving)
    begun: list[int] | None = None
    while behind and begun != (begun := [n for n in range(len(trials)) if left.begun(n)]):
        # Who has begun meanwhile is given as long as the others were.
        behind = set(await _over(leaving, patience_for_left))
    # Who waits for what was left behind ends when that does, and by nothing else.
    late = {
        number for number, task in enumerate(executing) if task in behind and left.begun(number)
    }
    left.let_go(CHILD, THREAD, *([WRITER] if late else []))
    if pending or behind:
        pending = await _over(executing, _patience(subject))
    return [
        Ending(trial, seen, number in late)
        for number, (trial, seen) in enumerate(
            zip(trials, await _ended(subject, executing, pending), strict=True)
        )
    ]


async def _let_meet(subject: Subject, left: Left) -> None:
    """Let those that are equal go when two have met, or one is there and no other comes."""
    facts = subject.preflight()
    if not facts.blocks_loop_at:
        await _counted(lambda: left.reported(EQUAL), 1, float("inf"))
        await _counted(lambda: left.reported(EQUAL), 2, _GRACE + 3 * facts.seconds)
    left.let_go(EQUAL)


def _arguments(trial: Trial, number: int, beacon: Beacon | None) -> tuple[Any, ...]:
    if trial.meets:
        return (() if beacon is None else (beacon.address, f"{EQUAL} 0"), *trial.args)
    if not trial.leaves:
        return trial.args
    assert beacon is not None
    if trial.leaves == CHILD:
        code = code_of_child(beacon.address, number)
        return (beacon.address, number, code, os.getpid(), *(trial.args or (False,)))
    return (beacon.address, number, *trial.args)


async def _second(
    subject: Subject,
    trials: Sequence[Trial],
    hands: Sequence[Hand],
    left: Left,
    beacon: Beacon | None,
) -> list[Ending]:
    # Where a thread of an earlier task lives it writes while as many as can be are under way.
    meets = left.holds(WRITER) and not subject.preflight().blocks_loop_at
    executing = []
    for number, (trial, hand) in enumerate(zip(trials, hands, strict=True)):
        args = _arguments(trial, number, beacon)
        if beacon is not None and meets and trial.function is look:
            args = (*args, beacon.address, f"{LOOKER} {number}")
        executing.append(hand.begin(trial, args))
    if meets:
        await _let_write(subject, left, len(executing))
    left.let_go(WRITER, LOOKER)
    pending = await _over(executing, _patience(subject))
    seen = await _ended(subject, executing, pending)
    return [Ending(trial, each) for trial, each in zip(trials, seen, strict=True)]


async def _let_write(subject: Subject, left: Left, most: int) -> None:
    grace = _GRACE + 3 * subject.preflight().seconds
    known, begun = -1, 0
    while known < begun < most or known < 0:
        known = begun
        begun = await _counted(lambda: left.holds(LOOKER), known + 1, grace)
    writers = left.holds(WRITER)
    left.let_go(WRITER)
    await _counted(lambda: left.written, writers, _TO_WRITE)


async def _counted(count: Callable[[], int], enough: int, limit: float) -> int:
    """Wait until there are enough, but not for longer than this; how many there are."""
    loop = asyncio.get_running_loop()
    end = loop.time() + limit
    while count() < enough and loop.time() < end:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    return count()


async def _over(executing: Sequence[asyncio.Task[Seen]], limit: float) -> set[asyncio.Task[Seen]]:
    """Those that have not ended when for so many seconds none has."""
    pending = {task for task in executing if not task.done()}
    moves = True
    while pending and moves:
        done, pending = await asyncio.wait(
            pending, timeout=limit, return_when=asyncio.FIRST_COMPLETED
        )
        moves = bool(done)
    return pending


async def _ended(
    subject: Subject, executing: Sequence[asyncio.Task[Seen]], pending: set[asyncio.Task[Seen]]
) -> list[Seen]:
    for task in pending:
        task.cancel()
    if pending:
        await asyncio.wait(pending, timeout=5)
    given_up = no_end(_patience(subject))
    return [given_up if task in pending else task.result() for task in executing]
