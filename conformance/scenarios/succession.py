"""Tasks of every kind at once, and the ones that come after them: two waits for many rules.

The first change their process, write below Python, leave something behind, start processes, read
their input. The second look around, on the same instances and in the same workers.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ..instruments import patience
from ..instruments.beacon import Beacon
from ..instruments.in_tasks import (
    METHODS,
    WRITES,
    read_input,
    start_child,
    use_asyncio,
    write_below,
)
from ..instruments.leftovers import CHANGES, draw_again, leave, look, run_once, speak_late
from ..instruments.overhearing import overheard
from ..instruments.own_input import endless_input
from ..instruments.seen import Seen
from ..subject.kept import Kept
from ..subject.preflight import THIS_PROCESS
from ..subject.subject import Subject
from .leaving import (
    CHILD,
    EQUAL,
    LOOKER,
    THREAD,
    WRITER,
    Left,
    code_of_child,
    leave_child,
    leave_thread,
)
from .recovery import no_end

#: What is equal in all that can be compared, behind a line to the same beacon.
_SAME: Final = ((1, "two"), {"third": [3.0]})

#: Seconds, beyond what a task takes to begin, for one more of those that look around to do so
#: before a thread of an earlier task writes. It decides nothing.
_GRACE: Final = 1.0

#: Seconds for such a thread to write, with which it is the same.
_TO_WRITE: Final = 5.0


@dataclass(frozen=True, slots=True)
class Trial:
    """One task, and the rule that is asked of it."""

    rule_id: str
    #: What the task does, as an author reads it: `writes to ...`.
    what: str
    function: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    #: What it returns, where that is known.
    result: Any = None
    #: Of what it leaves behind that reports to a beacon, see `leaving`.
    leaves: str = ""
    #: Whether it meets another one that is equal.
    meets: bool = False
    #: The words that nobody but this task may be told to have written.
    word: str = ""


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
    return _run(subject, _trials(subject))


_kept: Final = Kept(_run_all)


def again_alone(subject: Subject, trial: Trial) -> Ending:
    """What becomes of one of them where nothing else runs, and who waits is given longer."""
    return _run(subject, [trial], longer=2.0).first[0]


def next_alone(subject: Subject, trial: Trial) -> Ending:
    """What becomes of the task that comes next to one of them, where nothing else runs."""
    return _run(subject, [trial]).second[0]


def _trials(subject: Subject) -> list[Trial]:
    """The first ones; what may end a worker comes before what would go unseen by that."""
    facts = subject.preflight()
    every = subject.profile != "quick"
    trials = []
    if facts.reachable:
        trials += [Trial("RES-16", "leaves a child process", leave_child, leaves=CHILD)]
        if every:
            apart = "leaves a child process in a session of its own"
            trials.append(Trial("RES-16", apart, leave_child, (True,), leaves=CHILD))
        trials.append(Trial("RES-16", "leaves a daemon thread", leave_thread, leaves=THREAD))
    if facts.place != THIS_PROCESS:
        trials += [*_inside(), *_changing("ISO-02", every=every)]
    # A thread of the suite's own process goes on for longer than anybody hears what it writes.
    all_ways = [
        [way for way in group if facts.place != THIS_PROCESS or "thread" not in way]
        for group in WRITES
    ]
    for ways in _parts(all_ways, every=every):
        word = secrets.token_hex(4)
        what = f"writes to the descriptors 1 and 2: {', '.join(ways)}"
        trials.append(Trial("RES-15", what, write_below, (word, *ways), result=word))
    if facts.place != THIS_PROCESS:
        trials += [*_late(reachable=facts.reachable), *_changing("ISO-01", every=every)]
        trials.append(Trial("ISO-04", "sets the random generators", draw_again))
    args, kwargs = _SAME
    equal = Trial("RES-14", "is equal to others", run_once, args, kwargs, meets=True)
    return [*trials, equal, equal]


def _parts(groups: Sequence[Sequence[str]], *, every: bool) -> list[Sequence[str]]:
    """All of a group in one task, or each thing in a task of its own."""
    return [(each,) for group in groups for each in group] if every else list(groups)


def _changing(rule_id: str, *, every: bool) -> list[Trial]:
    return [
        Trial(rule_id, f"changes {', '.join(changes)}", leave, tuple(changes))
        for changes in _parts(CHANGES[rule_id], every=every)
    ]


def _inside() -> list[Trial]:
    import multiprocessing
    import sys

    word = secrets.token_hex(4)
    # What the platform has is known of this one alone; to fork is not safe on every one that can.
    known = set(multiprocessing.get_all_start_methods())
    begins = patience.OUTCOME
    methods = [m for m in METHODS if m in known and (m, sys.platform) != ("fork", "darwin")]
    return [
        Trial("RES-17", "calls asyncio.run()", use_asyncio, (word,), result=word),
        *(
            Trial("RES-17", f"starts a process by {method}", start_child, (method, begins), {}, "")
            for method in methods
        ),
        Trial("RES-18", "reads its standard input", read_input, (patience.TURN,), result=""),
    ]


def _late(*, reachable: bool) -> list[Trial]:
    words = [f"late-{secrets.token_hex(6)}" for _ in range(2)]
    at_exit = "leaves words for the end of its interpreter, and for when an object is freed"
    trials = [Trial("ISO-03", at_exit, speak_late, (words[0],), word=words[0])]
    if reachable:
        by_thread = "leaves a thread that writes later"
        trials.append(
            Trial("ISO-03", by_thread, leave_thread, (words[1],), leaves=WRITER, word=words[1])
        )
    return trials


def _next_to(trial: Trial, number: int, *, looks: bool) -> Trial:
    if trial.rule_id == "RES-14":
        return trial
    what = f"comes next to one that {trial.what}"
    if not looks:
        return Trial("", what, run_once)
    # Every other one leaves something for which its worker may be ended, at whose end words of
    # earlier tasks may come.
    return Trial("", what, look, (bool(number % 2),))


def _run(subject: Subject, trials: Sequence[Trial], longer: float = 1.0) -> Succession:
    facts = subject.preflight()
    for_left = longer * (patience.LEFTOVERS + 3 * facts.seconds)
    executors = [subject.build() for _ in trials]
    in_this_process = facts.place == THIS_PROCESS
    seconds = [
        _next_to(trial, number, looks=not in_this_process) for number, trial in enumerate(trials)
    ]
    over: list[object] = []

    async def story() -> Succession:
        with contextlib.ExitStack() as stack:
            left = Left()
            beacon: Beacon | None = None
            if facts.reachable:
                beacon = stack.enter_context(subject.beacon(left))
            stack.callback(left.let_go, CHILD, THREAD, WRITER, LOOKER, EQUAL)
            meeting = asyncio.ensure_future(_let_meet(subject, left))
            stack.callback(meeting.cancel)
            first = await _first(subject, trials, executors, left, beacon, over, for_left)
            second = await _second(subject, seconds, executors, left, beacon, over)
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


def _begin(
    subject: Subject, trial: Trial, executor: Any, args: tuple[Any, ...], over: list[object]
) -> asyncio.Task[Seen]:
    work = subject.execute(executor, trial.function, args, dict(trial.kwargs))
    executing = asyncio.ensure_future(work)
    executing.add_done_callback(over.append)
    return executing


async def _first(
    subject: Subject,
    trials: Sequence[Trial],
    executors: Sequence[Any],
    left: Left,
    beacon: Beacon | None,
    over: list[object],
    patience_for_left: float,
) -> list[Ending]:
    executing = [
        _begin(subject, trial, executor, _arguments(trial, number, beacon), over)
        for number, (trial, executor) in enumerate(zip(trials, executors, strict=True))
    ]
    leaving = [task for task, trial in zip(executing, trials, strict=True) if trial.leaves]
    # Whoever leaves something may be in the way of those that wait in line.
    pending = await _over([task for task in executing if task not in leaving], _patience(subject))
    behind = await _over(leaving, patience_for_left)
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
    executors: Sequence[Any],
    left: Left,
    beacon: Beacon | None,
    over: list[object],
) -> list[Ending]:
    # Where a thread of an earlier task lives it writes while as many as can be are under way.
    meets = left.holds(WRITER) and not subject.preflight().blocks_loop_at
    executing = []
    for number, (trial, executor) in enumerate(zip(trials, executors, strict=True)):
        args = _arguments(trial, number, beacon)
        if beacon is not None and meets and trial.function is look:
            args = (*args, beacon.address, f"{LOOKER} {number}")
        executing.append(_begin(subject, trial, executor, args, over))
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
