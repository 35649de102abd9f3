"""Tasks that end in every way at once, and what they do on the thread of the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from unittest import mock

from ..instruments.beacon import Attempt
from ..instruments.blocking import Deadlock, Deadlocks, deadlocks, task_of_this_call
from ..instruments.history import METHODS, History
from ..instruments.probes import report_home
from ..instruments.seen import Seen, finish
from ..instruments.turns import LongTurn, long_turns, stepped
from ..subject.exceptions import CouldNotRun
from ..subject.host import call_method
from ..subject.subject import Subject

SUCCEEDS: Final = "succeeds"
FAILS: Final = "fails"
FAILS_AGAIN: Final = "fails in each of three attempts"
IS_CANCELLED: Final = "is cancelled by its host"
IS_STOPPED: Final = "is stopped by cancel()"
TAKES_MUCH: Final = "is given a large argument"

#: Seconds for which a `cancel` may go on: a guard, far beyond what it takes.
_PATIENCE: Final = 60.0

#: Seconds in which a task ends that is stopped. It decides nothing: who cannot stop one waits for
#: its end.
_GRACE: Final = 0.5


def large() -> bytes:
    """An argument of 4 MiB, which takes no time to be pickled, and much to be compressed."""
    return random.Random(4).randbytes(4 << 20)


@dataclass(slots=True)
class Held:
    """What kept the event loop from going on while some tasks ran."""

    blocked: list[Deadlock] = field(default_factory=list)
    #: What the coroutine of one task took, with how it ends.
    own: list[tuple[str, LongTurn]] = field(default_factory=list)
    #: What all that ran on the loop took, one after the other.
    busy: list[LongTurn] = field(default_factory=list)
    history: History = field(default_factory=History)


def endings(subject: Subject) -> list[str]:
    """The ways in which tasks of this subject can end, or go on."""
    facts = subject.preflight()
    found = [SUCCEEDS, FAILS, FAILS_AGAIN, TAKES_MUCH]
    if inspect.iscoroutinefunction(getattr(subject.cls, "execute", None)) and facts.reachable:
        found.append(IS_CANCELLED)
    if facts.cancels and facts.reachable:
        found.append(IS_STOPPED)
    return found


def held_up(subject: Subject, wanted: Sequence[str]) -> Held:
    """Run one task of each of these endings, all at once, and see what holds up their loop."""
    executor = subject.build()
    try:
        retrying = subject.build(retries=2)
    except CouldNotRun:
        retrying = executor

    own: list[tuple[str, LongTurn]] = []

    async def execute(ending: str, on: Any, function: Any, value: Any, **named: Any) -> Seen:
        # Around the executor's own work alone: what the suite does beside it may block.
        with seen.calling("execute", ending):
            taken: list[LongTurn] = []
            try:
                return await stepped(subject.execute(on, function, (value,), **named), taken)
            finally:
                own.extend((ending, turn) for turn in taken)

    async def one(ending: str) -> None:
        if ending in (IS_CANCELLED, IS_STOPPED):
            await _stopped(subject, executor, seen, ending, functools.partial(execute, ending))
            return
        on = retrying if ending == FAILS_AGAIN else executor
        function = _fail if ending in (FAILS, FAILS_AGAIN) else _take
        await execute(ending, on, function, large() if ending == TAKES_MUCH else "value")

    async def story() -> list[LongTurn]:
        with long_turns() as busy:
            # What becomes of them other rules judge.
            await asyncio.gather(*map(one, wanted), return_exceptions=True)
        return busy

    with (
        deadlocks(executor) as seen,
        subject.recording(executor, **{m: seen.within(m) for m in METHODS}) as history,
    ):
        busy = subject.drive(story)
    return Held(seen.found, own, busy, history)


def _take(value: Any) -> None:
    pass


def _fail(value: Any) -> None:
    raise ValueError(value)


async def _stopped(
    subject: Subject,
    executor: Any,
    seen: Deadlocks,
    ending: str,
    execute: Callable[..., Awaitable[Seen]],
) -> None:
    dispatch = subject.new_dispatch()
    metadata = {"dispatch_id": dispatch, "node_id": 0, "results_dir": str(subject.folder)}
    with subject.beacon() as beacon, _handles_of(executor) as handles:
        executing = asyncio.ensure_future(
            execute(executor, report_home, beacon.address, dispatch_id=dispatch)
        )
        if await beacon.reported(1, executing):
            if ending == IS_CANCELLED:
                executing.cancel()
            else:
                handle = handles[-1] if handles else None
                await _cancel(executor, seen, metadata, handle)
        await asyncio.wait({executing}, timeout=_GRACE)
        # Whatever came of it: nothing holds it any more.
        for attempt in beacon.answer_with(_let_go):
            _let_go(attempt, 0)
        with contextlib.suppress(asyncio.CancelledError):
            await finish(executing)


async def _cancel(executor: Any, seen: Deadlocks, metadata: dict[str, Any], handle: Any) -> None:
    with seen.calling("cancel", IS_STOPPED):
        cancelling = asyncio.ensure_future(call_method(executor.cancel, metadata, handle))
    await asyncio.wait({cancelling}, timeout=_PATIENCE)
    cancelling.cancel()


@contextlib.contextmanager
def _handles_of(executor: Any) -> Iterator[list[Any]]:
    """The job handles that the one task tells its host which is to be stopped."""
    told: list[Any] = []
    original = getattr(type(executor), "set_job_handle", None)
    if original is None:
        yield told
        return

    @functools.wraps(original)
    def set_job_handle(self: Any, handle: Any, *args: Any, **kwargs: Any) -> Any:
        if task_of_this_call() == IS_STOPPED:
            told.append(handle)
        return original(self, handle, *args, **kwargs)

    with mock.patch.object(type(executor), "set_job_handle", set_job_handle):
        yield told


def _let_go(attempt: Attempt, number: int) -> None:
    attempt.tell(do="return", value=None)
