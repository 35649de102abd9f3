"""The ways in which a task can end, for what is to hold after each of them."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import threading
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NoReturn

from ..instruments.beacon import Attempt, Beacon
from ..instruments.keepsakes import Keepsakes, hand_back
from ..instruments.probes import report_home
from ..instruments.seen import Seen, finish
from ..subject.exceptions import CouldNotRun
from ..subject.preflight import ANOTHER_PROCESS
from ..subject.subject import Subject

#: Runs one task, on an executor that all tasks of this kind share, to an end of its kind.
Ending = Callable[[], Awaitable[object]]

SUCCEEDS: Final = "succeeds"
FAILS: Final = "fails"
RETRIED: Final = "fails twice, with retries=1"
UNSENT: Final = "has an argument that cannot be pickled"
CANCELLED: Final = "is cancelled by its host"
TOO_LATE: Final = "is stopped by its time_limit"
DIES: Final = "ends its own process"

#: What tasks are given, and no task of another run.
MARK: Final = f"asyncexec-{uuid.uuid4().hex}"

#: Seconds for which a cancelled or stopped `execute` may go on until its task is let go. It decides
#: nothing: an executor that cannot stop a task is right to wait for its end.
_GRACE = 0.5

#: Seconds; a task that has not begun by then is stopped before it does, which is an ending, too.
_LIMIT = 0.15

#: Seconds in which the line of a task that is over is closed: a guard.
_PATIENCE = 15.0


def fail(message: str, *_given: Any) -> NoReturn:
    raise ValueError(message)


def die(*_given: Any) -> None:
    import os

    os._exit(3)


def endings(subject: Subject, executor: Any, keepsakes: Keepsakes) -> Mapping[str, Ending]:
    """The endings that tasks can come to, by the words "a task that ...".

    Args:
        subject: whose tasks they are.
        executor: runs them, but for those with a time limit or retries, which have their own.
        keepsakes: what they are given, and return.
    """

    def ending(kind: str, executor: Any, function: Any, *args: Any) -> Ending:
        return lambda: subject.execute(executor, function, (*args, keepsakes.argument(kind)))

    found: dict[str, Ending] = {
        SUCCEEDS: lambda: _succeeded(subject, executor, keepsakes),
        FAILS: ending(FAILS, executor, fail, MARK),
        UNSENT: lambda: subject.execute(
            executor, hand_back, (threading.Lock(), "", keepsakes.argument(UNSENT))
        ),
    }
    # Something may stay of each attempt but the last. Two attempts are two waits: not in quick.
    if subject.profile != "quick" and (again := _with(subject, executor, retries=1)) is not None:
        found[RETRIED] = ending(RETRIED, again, fail, MARK)
    facts = subject.preflight()
    if facts.blocks_loop_at:
        return found
    if facts.reachable:
        if inspect.iscoroutinefunction(getattr(executor, "execute", None)):
            found[CANCELLED] = lambda: _cancelled(subject, executor, keepsakes)
        if "stop" not in facts.cannot and subject.keeps("TIM-02"):
            limited = _with(subject, executor, time_limit=_LIMIT)
            if limited is not None:
                found[TOO_LATE] = lambda: _stopped(subject, limited, keepsakes)
    # Where it has broken the backend for good, all else is judged without it in another process.
    if facts.place == ANOTHER_PROCESS and subject.keeps("RES-09") and not subject.apart:
        found[DIES] = ending(DIES, executor, die)
    return found


def _with(subject: Subject, executor: Any, **setting: Any) -> Any:
    """One like the executor with a setting of its own, or None where that is not taken."""
    try:
        other = subject.build(**setting)
    except CouldNotRun:
        return None
    with contextlib.suppress(Exception):
        other.cache_dir = executor.cache_dir
    return other


async def _succeeded(subject: Subject, executor: Any, keepsakes: Keepsakes) -> None:
    given = keepsakes.argument(SUCCEEDS), keepsakes.text(SUCCEEDS), MARK
    seen = await subject.execute(executor, hand_back, given)
    if not seen.completed:
        # What earlier tasks have broken says nothing about what this one leaves.
        subject.could_not_run(f"blocked: not even an ordinary task completes any more: {seen}")
    keepsakes.returned(SUCCEEDS, seen)


async def _cancelled(subject: Subject, executor: Any, keepsakes: Keepsakes) -> None:
    with subject.beacon() as beacon:
        given = (beacon.address, MARK, keepsakes.argument(CANCELLED))
        executing = asyncio.ensure_future(subject.execute(executor, report_home, given))
        del given
        if await beacon.reported(1, executing):
            executing.cancel()
        await _over(beacon, executing)


async def _stopped(subject: Subject, executor: Any, keepsakes: Keepsakes) -> None:
    with subject.beacon() as beacon:
        given = (beacon.address, MARK, keepsakes.argument(TOO_LATE))
        executing = asyncio.ensure_future(subject.execute(executor, report_home, given))
        del given
        await asyncio.wait({executing}, timeout=_LIMIT)
        await _over(beacon, executing)


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
