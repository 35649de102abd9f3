"""The ways in which a task can end, for what is to hold after each of them."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NoReturn

from ..instruments.beacon import Attempt, Beacon
from ..instruments.probes import echo, report_home
from ..instruments.seen import Seen, finish
from ..subject.subject import Subject

#: Runs one task on an executor, to an end of its kind.
Ending = Callable[[Any], Awaitable[object]]

#: Seconds for which a cancelled or stopped `execute` may go on until its task is let go. It decides
#: nothing: an executor that cannot stop a task is right to wait for its end.
_GRACE = 0.5

#: Seconds; a task that has not begun by then is stopped before it does, which is an ending, too.
_LIMIT = 0.15

#: Seconds in which the line of a task that is over is closed: a guard.
_PATIENCE = 15.0


def fail(message: str) -> NoReturn:
    raise ValueError(message)


def endings(subject: Subject, executor: Any, *, stopped: bool = False) -> Mapping[str, Ending]:
    """The endings that tasks of this executor can come to, by the words "a task that ...".

    Args:
        stopped: whether by a time limit is one of them; it costs as long as its limit.
    """
    found: dict[str, Ending] = {
        "succeeds": lambda executor: _succeeded(subject, executor),
        "fails": lambda executor: subject.execute(executor, fail, ("on purpose",)),
    }
    facts = subject.preflight()
    if not facts.reachable or facts.blocks_loop_at:
        return found
    if inspect.iscoroutinefunction(getattr(executor, "execute", None)):
        found["is cancelled by its host"] = lambda executor: _cancelled(subject, executor)
    limits = subject.findings.get("TIM-02")
    if stopped and "stop" not in facts.cannot and (limits is None or limits.outcome == "passed"):
        found["is stopped by its time_limit"] = lambda executor: _stopped(subject, executor)
    return found


async def _succeeded(subject: Subject, executor: Any) -> None:
    seen = await subject.execute(executor, echo, ("result",))
    if not seen.completed:
        # What earlier tasks have broken says nothing about what this one leaves.
        subject.could_not_run(f"blocked: not even an ordinary task completes any more: {seen}")


async def _cancelled(subject: Subject, executor: Any) -> None:
    with subject.beacon() as beacon:
        executing = asyncio.ensure_future(subject.execute(executor, report_home, (beacon.address,)))
        if await beacon.reported(1, executing):
            executing.cancel()
        await _over(beacon, executing)


async def _stopped(subject: Subject, executor: Any) -> None:
    before = getattr(executor, "time_limit", -1)
    # Who refuses a limit ends every task without one.
    with contextlib.suppress(Exception):
        executor.time_limit = _LIMIT
    try:
        with subject.beacon() as beacon:
            executing = asyncio.ensure_future(
                subject.execute(executor, report_home, (beacon.address,))
            )
            await asyncio.wait({executing}, timeout=_LIMIT)
            await _over(beacon, executing)
    finally:
        executor.time_limit = before


def _return(attempt: Attempt, number: int) -> None:
    attempt.tell(do="return", value=None)


async def _over(beacon: Beacon, executing: asyncio.Future[Seen]) -> None:
    """Wait until a task that nothing holds any more is over, on the suite's side as well."""
    await asyncio.wait({executing}, timeout=_GRACE)
    for attempt in beacon.answer_with(_return):
        _return(attempt, 0)
    with contextlib.suppress(asyncio.CancelledError):
        await finish(executing)
    gone = [asyncio.wrap_future(attempt.gone) for attempt in beacon.attempts]
    if gone:
        await asyncio.wait(gone, timeout=_PATIENCE)
