"""Tasks under a limit that stand in line behind others: what comes of them, and by what."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Final

from ..instruments.beacon import Attempt, Beacon
from ..instruments.history import History
from ..instruments.probes import report_home
from ..instruments.seen import Seen, finish
from ..subject.exceptions import CouldNotRun
from ..subject.subject import Subject
from .batch import refuses, whole_seconds
from .overruns import usual_limit
from .stopping import let_go

#: In this order tasks come that are held, "h", and others under a limit, "w". However few places
#: the executor has, one of the others is among the first to wait for one.
_ORDER: Final = "hwhwhwhhhwhhhhhwhhhhhhw"

#: By how much the limit is longer each time, where tasks behind others have timed out. Under the
#: last one all of them could begin one after the other, by how long the first task of all took.
_LONGER: Final = (1, 2, 8)

#: Turns of the event loop in which a task comes to where it waits, or is handed over.
_TURNS: Final = 20

#: Seconds in which the first task begins, before it is tried without it: a guard.
_PATIENCE: Final = 60.0

_HELD_BACK: Final = "held"


@dataclass(frozen=True, slots=True)
class TimedOut:
    """A task that timed out though it would have returned as soon as it ran."""

    limit: float
    seen: Seen
    #: Whether it had reported to the suite.
    begun: bool
    #: How many tasks before it had begun, and were held.
    held: int
    history: History


def timed_out_in_line(subject: Subject) -> TimedOut | None:
    """A task that times out behind others by its limit, and by nothing but these two; or nothing.

    A machine that is too slow for the limit is no fault of the executor: with limits that are
    longer each time, the task has to time out again, and must not where nobody stands before it, or
    where there is no limit.

    Raises:
        CouldNotRun: without a limit, or with nobody before it, it goes wrong in another way.
    """
    limit, found = usual_limit(subject), None
    for longer in _LONGER:
        limit *= longer
        found = _behind_others(subject, limit)
        if found is not None and limit % 1 and refuses(found.seen):
            limit = whole_seconds(subject, limit)
            found = _behind_others(subject, limit)
        if found is None or not found.seen.timed_out:
            return None
    assert found is not None
    alone = _behind_others(subject, limit, order=_ORDER.replace("h", ""))
    unlimited = _behind_others(subject, -1, seconds=1.25 * limit)
    for other, words in ((alone, "with nobody before it"), (unlimited, "without a limit")):
        if other is not None and not other.seen.timed_out:
            # It may be a place that was lost by those that had timed out: others tell of that.
            raise CouldNotRun(
                f"behind others a task timed out by its limit of {found.limit:g} s; {words} it "
                f"does not complete, either: {other.seen}"
            )
    return found if alone is None and unlimited is None else None


def _behind_others(
    subject: Subject, limit: float, *, order: str = _ORDER, seconds: float | None = None
) -> TimedOut | None:
    """The first task that does not complete, of those that wait under a limit, be it its fault."""
    executor = subject.build(time_limit=-1)
    line = _Line(subject, executor, limit, 1.25 * limit if seconds is None else seconds)
    with subject.recording(executor) as history, subject.beacon(line.answer) as beacon:
        seen = subject.drive(
            lambda: line.story(beacon, order),
            longer=line.seconds,
            progress=lambda: len(beacon.attempts),
        )
        begun = {str(attempt.hello["label"]) for attempt in beacon.attempts}
    for dispatch, each in seen:
        if not each.completed:
            of_task = History(list(history.of(dispatch).events))
            return TimedOut(limit, each, dispatch in begun, line.held, of_task)
    return None


class _Line:
    """Tasks of one instance, of which the first are held while the others wait."""

    def __init__(self, subject: Subject, executor: Any, limit: float, seconds: float) -> None:
        self._subject = subject
        self._executor = executor
        self._limit = limit
        #: For which the first ones are held once one of them has begun.
        self.seconds = seconds
        #: How many of them had begun by the end of that.
        self.held = 0

    def answer(self, attempt: Attempt, _number: int) -> None:
        """Hold those that come first, and let the others return at once."""
        if attempt.hello["label"] != _HELD_BACK:
            attempt.tell(do="return", value=None)

    async def story(self, beacon: Beacon, order: str) -> list[tuple[str, Seen]]:
        """The outcomes of those that wait, with their dispatch ids."""
        first, waiting = [], {}
        for each in order:
            self._executor.time_limit = -1 if each == "h" else self._limit
            dispatch = self._subject.new_dispatch()
            label = _HELD_BACK if each == "h" else dispatch
            executing = asyncio.ensure_future(
                self._subject.execute(
                    self._executor, report_home, (beacon.address, label), dispatch_id=dispatch
                )
            )
            if each == "h":
                first.append(executing)
            else:
                waiting[dispatch] = executing
            await self._come_to_where_they_wait()
        everyone = asyncio.gather(*waiting.values())
        if first:
            await asyncio.wait(
                {asyncio.ensure_future(beacon.reported(1, everyone))}, timeout=_PATIENCE
            )
            await asyncio.wait({everyone}, timeout=self.seconds)
            self.held = sum(a.hello["label"] == _HELD_BACK for a in beacon.attempts)
        for attempt in beacon.answer_with(let_go):
            let_go(attempt, 0)
        seen = [(dispatch, await self._end_of(each)) for dispatch, each in waiting.items()]
        await asyncio.gather(*map(self._end_of, first), return_exceptions=True)
        return seen

    async def _come_to_where_they_wait(self) -> None:
        for _ in range(_TURNS):
            await asyncio.sleep(0)

    async def _end_of(self, executing: asyncio.Task[Seen]) -> Seen:
        seen = await finish(executing, _PATIENCE + self.seconds)
        executing.cancel()
        return seen or Seen(malformed="it has not ended, and nothing holds it")
