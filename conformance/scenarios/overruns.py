"""Attempts that only a time limit can end, of several kinds, and what became of them."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ..instruments import patience
from ..instruments.beacon import Attempt, Beacon
from ..instruments.history import History
from ..instruments.liveness import answered, still_alive
from ..instruments.probes import echo, grandchild, report_home
from ..instruments.seen import Seen, finish
from ..subject.subject import Subject

#: What the task is at when its limit is over: held in a blocking C call; in pure CPU work; held
#: and deaf to SIGTERM; likewise, with a child process that is.
Kind = Literal["held", "spinning", "deaf", "with a child"]

#: Seconds. The first limit of a trial; doubled while tasks on this machine start too slowly for it.
_FIRST_LIMIT = 0.3
LAST_LIMIT = 64.0

_limits: weakref.WeakKeyDictionary[Subject, float] = weakref.WeakKeyDictionary()
_known: weakref.WeakKeyDictionary[Subject, dict[tuple[Kind, bool], Overrun]] = (
    weakref.WeakKeyDictionary()
)


@dataclass(frozen=True, slots=True)
class Overrun:
    """What was seen of one task that would never have ended by itself."""

    kind: Kind
    limit: float
    #: The outcome; None where there was none long after nothing held the task any more.
    seen: Seen | None
    #: Whether the task had come to where its kind says before the limit was over.
    begun: bool
    #: Whether nothing had stopped it, until it was told to return.
    let_go: bool
    #: Which of its processes, after the outcome was known, did what they were told.
    alive: tuple[str, ...]
    history: History
    #: What became of the next task on the same instance; for the kind "held" only.
    next_seen: Seen | None = None

    @property
    def stopped(self) -> bool:
        """Whether the limit has ended it, as the contract wants it to be told."""
        return self.seen is not None and self.seen.timed_out and not self.let_go


def usual_limit(subject: Subject) -> float:
    """A limit under which tasks of the subject have begun, as far as that is known."""
    return _limits.get(subject, _FIRST_LIMIT)


def keep_limit(subject: Subject, limit: float) -> None:
    """Remember the limit that tasks needed to begin."""
    _limits[subject] = max(limit, usual_limit(subject))


def overruns(subject: Subject, *kinds: Kind) -> dict[Kind, Overrun]:
    """Run a task of each kind over its limit, all at once; what is known already is not repeated.

    A trial whose limit was over before the task had begun is repeated: alone, for an executor may
    queue, and then with a limit twice as long.
    """
    known = _known.setdefault(subject, {})
    template = subject.template_host
    missing = [kind for kind in kinds if (kind, template) not in known]
    limit = usual_limit(subject)
    together = len(missing) > 1
    while missing:
        groups = [missing] if together else [[kind] for kind in missing]
        for group in groups:
            for overrun in _try(subject, group, limit):
                if overrun.begun or (limit >= LAST_LIMIT and not together):
                    known[overrun.kind, template] = overrun
        missing = [kind for kind in missing if (kind, template) not in known]
        if missing and not together:
            limit *= 2
        together = False
    keep_limit(subject, limit)
    return {kind: known[kind, template] for kind in kinds}


def _try(subject: Subject, kinds: Sequence[Kind], limit: float) -> list[Overrun]:
    executors = [subject.build(time_limit=limit, retries=0) for _ in kinds]
    dispatches = [subject.new_dispatch() for _ in kinds]
    with subject.recording(executors[0]) as history:

        async def story() -> list[Overrun]:
            trials = zip(executors, kinds, dispatches, strict=True)
            return await asyncio.gather(
                *(_one(subject, *trial, limit, history) for trial in trials)
            )

        return subject.drive(story, longer=limit + 2 * patience.PAST_LIMIT)


async def _one(
    subject: Subject, executor: Any, kind: Kind, dispatch: str, limit: float, history: History
) -> Overrun:
    with subject.beacon() as beacon:
        executing = asyncio.ensure_future(
            subject.execute(executor, report_home, (beacon.address, "task"), dispatch_id=dispatch)
        )
        begun = await _bring_to(kind, beacon, executing)
        await asyncio.wait({executing}, timeout=limit + patience.PAST_LIMIT)
        let_go = not executing.done()
        # Not what happens later: teardown belongs to the time before the outcome.
        events = History(list(history.of(dispatch).events))
        alive = () if let_go else await still_alive(beacon.attempts)
        for attempt in beacon.attempts:
            attempt.tell(do="return", value="ran to its end")
        seen = await finish(executing)
        next_seen = None
        if kind == "held" and not let_go:
            executor.time_limit = 3600
            next_seen = await subject.execute(executor, echo, ("next",))
    return Overrun(kind, limit, seen, begun, let_go, alive, events, next_seen)


async def _bring_to(kind: Kind, beacon: Beacon, executing: asyncio.Future[Seen]) -> bool:
    """Bring a task to where its kind says; False where it was over before."""

    async def did(attempt: Attempt, **command: Any) -> bool:
        return await answered(attempt, executing, **command)

    if not await beacon.reported(1, executing):
        return False
    task = beacon.attempts[0]
    if kind == "spinning":
        return await did(task, do="spin")
    if kind == "deaf":
        return await did(task, do="ignore_sigterm")
    if kind == "with a child":
        return (
            await did(task, do="ignore_sigterm")
            and await did(task, **grandchild(beacon.address, "child of the task"))
            and await beacon.reported(2, executing)
            and await did(beacon.attempts[1], do="ignore_sigterm")
        )
    return True
