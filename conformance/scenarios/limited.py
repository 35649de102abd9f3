"""Tasks under a time limit, of several kinds: what each is made to do, and what was seen of it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from ..instruments import patience
from ..instruments.beacon import Attempt, Beacon
from ..instruments.history import History
from ..instruments.liveness import answered, still_alive
from ..instruments.probes import echo, grandchild, report_home
from ..instruments.seen import Seen, finish
from ..subject.exceptions import CouldNotRun
from ..subject.subject import Subject
from .batch import refuses
from .stopping import limit_guard

#: What the task is at when its limit is over: held in a blocking C call; in pure CPU work; held
#: and deaf to SIGTERM; likewise, with a child process that is; held in every attempt but the last,
#: which returns. Or, with a limit that nobody comes near: led through its steps by the event loop.
#: Or with one below zero, which is none, held for longer than that would be without its sign. Or
#: cancelled by its host, without a limit, after an attempt that failed.
Kind = Literal[
    "held",
    "spinning",
    "deaf",
    "with a child",
    "retried",
    "led by the loop",
    "with a negative limit",
    "with a tiny negative limit",
    "cancelled in its second attempt",
]

HOUR: Final = 3600.0
#: Seconds for a cancellation to take effect, before the task is let go; it decides nothing.
_GRACE: Final = 0.5
#: Seconds that a first task takes on a backend on which one more wait is worth to be saved.
_SLOW: Final = 0.5


@dataclass(frozen=True, slots=True)
class Limited:
    """What was seen of one task."""

    kind: Kind
    limit: float
    #: The outcome; None where there was none long after nothing held the task any more, or where
    #: `execute` was cancelled.
    seen: Seen | None
    #: Whether the task had come to where its kind says before it was over.
    begun: bool
    #: Whether nothing had stopped it, until it was told to return.
    let_go: bool = False
    #: Which of its processes still did what they were told, after the outcome was known.
    alive: tuple[str, ...] = ()
    #: Likewise, which of one attempt after the next had reported.
    overlap: tuple[str, ...] = ()
    #: How many attempts have reported.
    attempts: int = 0
    #: Where the event loop was blocked, so that it could not lead the task.
    blocked: str = ""
    #: What became of the next task on the same instance, where there was one.
    next_seen: Seen | None = None
    #: The attributes of the instance before and after.
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)
    #: What was awaited for this task until its outcome was known.
    history: History = field(default_factory=History)
    #: Whether it need not be tried again.
    settled: bool = False

    @property
    def stopped(self) -> bool:
        """Whether the limit has ended it, as the contract wants it to be told."""
        return self.seen is not None and self.seen.timed_out and not self.let_go

    @property
    def refused(self) -> bool:
        """Whether the limit was refused, as one with a fraction may be."""
        return self.seen is not None and not self.attempts and refuses(self.seen)

    @property
    def is_right(self) -> bool:
        """Whether all of it is as the contract wants it."""
        if self.kind == "cancelled in its second attempt":
            return self.attempts <= 2 and self.before == self.after
        if self.kind == "led by the loop":
            return not self.blocked
        if self.kind in ("retried", "with a negative limit", "with a tiny negative limit"):
            completed = self.seen is not None and self.seen.completed
            return (completed and not self.overlap) or (self.limit < 0 and self.refused)
        follows = self.next_seen is None or self.next_seen.result == "next"
        return self.stopped and follows and not self.is_wrong

    @property
    def is_wrong(self) -> bool:
        """Whether it is wrong in a way to which nothing that ran beside it can have led."""
        begun, ended = self.history.count("setup"), self.history.count("teardown", "returns")
        left = self.stopped and begun > ended
        return bool(self.let_go or self.alive or self.overlap or self.blocked or left)


class Trial:
    """One task that is about to run, with an executor of its own."""

    def __init__(self, subject: Subject, kind: Kind, limit: float) -> None:
        self.subject = subject
        self.kind: Kind = kind
        #: The shortest limit of the batch, by which others are chosen.
        self.limit = limit
        self.retries = 0
        if kind == "retried":
            self.retries = subject.pick(quick=1, default=2, thorough=3)
        elif kind == "cancelled in its second attempt":
            self.retries = 3
        attributes: dict[str, Any] = {"retries": self.retries}
        #: The one of this task.
        self.set_to = _LIMITS[kind](limit) if kind in _LIMITS else limit
        if kind != "cancelled in its second attempt":
            attributes["time_limit"] = self.set_to
        try:
            self.executor = subject.build(**attributes)
        except CouldNotRun:
            # A negative limit other than the documented one may be refused.
            if self.set_to >= 0:
                raise
            self.set_to = -1
            self.executor = subject.build(**attributes | {"time_limit": -1})
        self.dispatch = subject.new_dispatch()
        self.history = History()
        #: Grows with everything that happens.
        self.steps = 0
        #: Seconds after which a task that has begun is to be over, by its limit or by itself.
        self.due = limit + 3 * subject.preflight().seconds
        #: And after which it is over its limit for good.
        self.patient = self.due + patience.PAST_LIMIT
        #: That of all tasks under the same host.
        self.guard = limit_guard.of(subject)

    def execute(self, beacon: Beacon) -> asyncio.Task[Seen]:
        """Begin the task, which reports to the beacon."""
        return asyncio.ensure_future(
            self.subject.execute(
                self.executor,
                report_home,
                (beacon.address, "task"),
                dispatch_id=self.dispatch,
            )
        )

    def events(self) -> History:
        """What was awaited for the task up to now."""
        return History(list(self.history.of(self.dispatch).events))

    async def end_of(self, executing: asyncio.Task[Seen]) -> Seen | None:
        """The outcome of a task that nothing holds any more."""
        return await finish(executing, self.patient + 60)

    async def next(self) -> Seen:
        """The outcome of an ordinary task on the same instance, for which others may be in line."""
        executing = asyncio.ensure_future(self.subject.execute(self.executor, echo, ("next",)))
        seen = await finish(executing, self.patient + 8 * self.limit + 2 * patience.PAST_LIMIT)
        executing.cancel()
        return seen or Seen(malformed="it has not ended, and nothing holds it")

    def settings(self) -> dict[str, Any]:
        """The attributes that no task may change."""
        return {name: getattr(self.executor, name, None) for name in ("retries", "time_limit")}


#: The limits that are others, by the shortest one of the batch.
_LIMITS: Final[Mapping[Kind, Callable[[float], float]]] = {
    "led by the loop": lambda limit: HOUR,
    "with a negative limit": lambda limit: -limit,
    "with a tiny negative limit": lambda limit: -0.001,
}


async def _over(trial: Trial) -> Limited:
    with trial.subject.beacon() as beacon:
        executing = trial.execute(beacon)
        begun = await _bring_to(trial.kind, beacon, executing)
        trial.steps += 1
        # Counted from here: who queues may begin long after it was called.
        await trial.guard.over(executing, trial.due, merely_waits=trial.kind == "held")
        trial.steps += 1
        let_go = not executing.done()
        # Not what happens later: teardown belongs to the time before the outcome.
        events = trial.events()
        alive = () if let_go else await still_alive(beacon.attempts)
        for attempt in beacon.attempts:
            attempt.tell(do="return", value="ran to its end")
        seen = await trial.end_of(executing)
        next_seen = None
        if trial.kind == "held" and not let_go:
            trial.executor.time_limit = int(HOUR)
            next_seen = await trial.next()
        return Limited(
            trial.kind,
            trial.limit,
            seen,
            begun,
            let_go,
            alive,
            attempts=len(beacon.attempts),
            next_seen=next_seen,
            history=events,
        )


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


async def _retried(trial: Trial) -> Limited:
    overlap: tuple[str, ...] = ()
    last = trial.retries + 1
    with trial.subject.beacon() as beacon:
        executing = trial.execute(beacon)
        await beacon.reported(1, executing)
        for number in range(2, last + 1):
            trial.steps += 1
            guarded = asyncio.ensure_future(
                trial.guard.over(executing, trial.due, merely_waits=False)
            )
            begun = await beacon.reported(number, guarded)
            guarded.cancel()
            if not begun:
                break
            before, latest = beacon.attempts[number - 2 : number]
            # Told in this order: who answers now lives beside the next attempt.
            asked = asyncio.ensure_future(still_alive([before]))
            await asyncio.sleep(0)
            if number == last:
                latest.tell(do="return", value="the last")
            overlap = await asked
            if overlap:
                break
        attempts = len(beacon.attempts)
        if attempts == last and not overlap:
            await trial.guard.over(executing, trial.due, merely_waits=False)
        let_go = not executing.done()
        for attempt in beacon.attempts:
            attempt.tell(do="return", value="let go")
        seen = await trial.end_of(executing)
    # However early the limit was over: nobody has tried again.
    enforced = getattr(trial.executor, "enforces", ())
    once = attempts == trial.events().count("run") == 1 and "retries" not in enforced
    return Limited(
        trial.kind,
        trial.limit,
        seen,
        attempts == last or let_go or bool(overlap) or once,
        let_go,
        overlap=overlap,
        attempts=attempts,
        history=trial.events(),
    )


async def _led(trial: Trial) -> Limited:
    led, blocked = threading.Event(), ""

    def rescue(attempt: Attempt, number: int) -> None:
        nonlocal blocked
        if not led.wait(patience.RESCUE):
            where = trial.subject.where()
            blocked = where if "is blocked" in where else ""
            attempt.tell(do="return", value="rescued")

    with trial.subject.beacon(rescue) as beacon:
        executing = trial.execute(beacon)
        # Only the event loop tells the task what to do, and asks it while it spins.
        begun = await beacon.reported(1, executing)
        if begun:
            attempt = beacon.attempts[0]
            for command in ("spin", "answer"):
                await answered(attempt, executing, do=command)
            attempt.tell(do="return", value="led through")
        led.set()
        seen = await trial.end_of(executing)
    return Limited(trial.kind, trial.set_to, seen, begun, blocked=blocked, history=trial.events())


async def _below_zero(trial: Trial) -> Limited:
    def answer(attempt: Attempt, number: int) -> None:
        time.sleep(0.05 if "tiny" in trial.kind else 1.2 * trial.limit)
        attempt.tell(do="return", value="took its time")

    with trial.subject.beacon(answer) as beacon:
        executing = trial.execute(beacon)
        await beacon.reported(1, executing)
        trial.steps += 1
        seen = await trial.end_of(executing)
        attempts = len(beacon.attempts)
    return Limited(trial.kind, trial.set_to, seen, True, attempts=attempts, history=trial.events())


async def _cancelled(trial: Trial) -> Limited:
    before = trial.settings()
    # On a slow backend its second attempt begins with those of others that are over their limit.
    is_slow = trial.subject.preflight().seconds > _SLOW
    fails_at = time.monotonic() + (trial.limit if is_slow else 0.0)

    def answer(attempt: Attempt, number: int) -> None:
        if number == 1:
            time.sleep(max(0.0, fails_at - time.monotonic()))
            fail(attempt, number)

    with trial.subject.beacon(answer) as beacon:
        executing = trial.execute(beacon)
        begun = await beacon.reported(2, executing)
        trial.steps += 1
        executing.cancel()
        # Who cannot stop a task is right to wait for its end.
        await asyncio.wait({executing}, timeout=_GRACE)
        # It fails now: that is no reason to begin anew, either.
        for attempt in beacon.answer_with(fail):
            fail(attempt, 2)
        over = asyncio.ensure_future(trial.end_of(executing))
        await beacon.reported(3, over)
        await asyncio.wait({over})
        seen = over.result() if not over.cancelled() and over.exception() is None else None
        return Limited(
            trial.kind,
            trial.set_to,
            seen,
            begun,
            let_go=not executing.done(),
            attempts=len(beacon.attempts),
            before=before,
            after=trial.settings(),
            history=trial.events(),
        )


def fail(attempt: Attempt, number: int) -> None:
    """Let an attempt fail."""
    attempt.tell(do="raise", type="ValueError", message=f"failure of attempt {number}")


#: Who runs a task of each kind.
RUN_BY: Final[Mapping[Kind, Callable[[Trial], Awaitable[Limited]]]] = {
    "held": _over,
    "spinning": _over,
    "deaf": _over,
    "with a child": _over,
    "retried": _retried,
    "led by the loop": _led,
    "with a negative limit": _below_zero,
    "with a tiny negative limit": _below_zero,
    "cancelled in its second attempt": _cancelled,
}
