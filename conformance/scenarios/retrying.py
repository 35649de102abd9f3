"""Tasks that fail more than ten times: few authors try so many, and some stop counting there."""

from __future__ import annotations

import asyncio
import inspect
from dataclasses import dataclass
from typing import Any, Final

from ..instruments import patience
from ..instruments.beacon import Attempt
from ..instruments.blocking import nobody_sleeps_on_a_loop
from ..instruments.history import History
from ..instruments.probes import report_home
from ..instruments.seen import Seen
from ..subject.subject import Subject

#: Retries, and how often the task fails first; the last one always does.
_TRIALS: Final = ((12, 11), (11, 12))


@dataclass(frozen=True, slots=True)
class Retried:
    """What was seen of one task that fails often."""

    retries: int
    failures: int
    attempts: int
    seen: Seen
    history: History

    @property
    def due(self) -> int:
        """How many attempts there have to be."""
        return min(self.retries, self.failures) + 1

    @property
    def always_fails(self) -> bool:
        """Whether there is no attempt that succeeds."""
        return self.failures > self.retries


def past_ten(subject: Subject) -> list[Retried]:
    """Tasks that fail more than ten times, where only real ones can show how often they are tried.

    Where `execute` makes the attempts, as it does for a `run` that fails by itself, nothing has to
    be waited for. Whoever waits long between two attempts is not waited for, either.
    """
    if subject.profile != "thorough" and all(_by_execute(subject, *each) for each in _TRIALS):
        return []
    executors = [subject.build(retries=retries) for retries, _ in _TRIALS]
    with subject.recording(executors[0]) as history, nobody_sleeps_on_a_loop(executors[0]):

        async def story() -> list[Retried | None]:
            return await asyncio.gather(
                *(
                    _one(subject, executor, *trial, history)
                    for executor, trial in zip(executors, _TRIALS, strict=True)
                )
            )

        return [each for each in subject.drive(story) if each is not None]


def _by_execute(subject: Subject, retries: int, failures: int) -> bool:
    """Whether `execute` calls a `run` that fails as often as it has to."""
    calls = 0

    def fails(original: Any, executor: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls <= failures:
            raise ValueError(f"failure of attempt {calls}")
        return f"result of attempt {calls}"

    async def fails_awaited(*args: Any, **kwargs: Any) -> Any:
        return fails(*args, **kwargs)

    executor = subject.build(retries=retries)
    awaited = inspect.iscoroutinefunction(getattr(subject.cls, "run", None))
    replacement = fails_awaited if awaited else fails
    with subject.recording(executor, run=replacement), nobody_sleeps_on_a_loop(executor):

        async def story() -> Seen | None:
            executing = asyncio.ensure_future(subject.execute(executor, len, ("",)))
            await asyncio.wait({executing}, timeout=patience.RESCUE)
            executing.cancel()
            await asyncio.wait({executing}, timeout=patience.RESCUE)
            return executing.result() if executing.done() and not executing.cancelled() else None

        seen = subject.drive(story)
    if seen is None or calls != min(retries, failures) + 1:
        return False
    return failures > retries or seen.result == f"result of attempt {calls}"


async def _one(
    subject: Subject, executor: Any, retries: int, failures: int, history: History
) -> Retried | None:
    """One such task; None where it was given up."""

    def answer(attempt: Attempt, number: int) -> None:
        if number <= failures:
            attempt.tell(do="raise", type="ValueError", message=f"failure of attempt {number}")
        else:
            attempt.tell(do="return", value=f"result of attempt {number}")

    dispatch = subject.new_dispatch()
    guard = patience.RESCUE + 3 * subject.preflight().seconds
    with subject.beacon(answer) as beacon:
        executing = asyncio.ensure_future(
            subject.execute(executor, report_home, (beacon.address,), dispatch_id=dispatch)
        )
        known = -1
        while not executing.done():
            await asyncio.wait({executing}, timeout=guard)
            if known == len(beacon.attempts):
                break
            known = len(beacon.attempts)
        if not executing.done():
            executing.cancel()
            await asyncio.wait({executing}, timeout=guard)
            return None
        events = History(list(history.of(dispatch).events))
        return Retried(retries, failures, len(beacon.attempts), executing.result(), events)


def goes_on_after_a_cancellation(subject: Subject) -> tuple[bool, History]:
    """Cancel a task when its first attempt has just failed: is another one left to work on?

    One that begins in the same moment may know nothing of the cancellation; it has to be told.
    """
    executor = subject.build(retries=3)
    attempts, is_over = 0, False
    executing: asyncio.Task[Seen]

    async def fails_and_then_waits(*args: Any, **kwargs: Any) -> Any:
        nonlocal attempts
        attempts += 1
        if attempts > 1:
            await asyncio.Event().wait()
        asyncio.get_running_loop().call_soon(executing.cancel)
        raise ValueError("on purpose")

    async def story() -> None:
        nonlocal executing, is_over
        executing = asyncio.ensure_future(subject.execute(executor, len, ("",)))
        await asyncio.wait({executing}, timeout=patience.RESCUE)
        is_over = executing.done()
        executing.cancel()
        await asyncio.wait({executing}, timeout=patience.RESCUE)

    with subject.recording(executor, run=fails_and_then_waits) as history:
        subject.drive(story)
    return attempts > 1 and not is_over, history
