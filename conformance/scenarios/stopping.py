"""Tasks that are stopped: who can be, how it ended, and whether anything of it is still there."""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
from typing import Any

from ...contract.wording import short_error
from ..instruments.beacon import Attempt
from ..subject.exceptions import CouldNotRun
from ..subject.subject import Subject

#: Seconds in which the kernel tells of a death that has happened: a guard, it takes none.
_DEATH = 10.0

#: Seconds after which an attempt that should be dead is asked whether it is.
_SUSPICION = 2.0


def is_awaited(subject: Subject, executor: Any) -> bool:
    """Whether the host awaits what the executor does, so that a cancellation reaches it."""
    method = "run" if subject.template_host else "execute"
    return inspect.iscoroutinefunction(getattr(executor, method, None))


def cancellable(subject: Subject) -> Any:
    """An executor that can be cancelled: what it does is awaited."""
    executor = subject.build()
    if not is_awaited(subject, executor):
        method = "run" if subject.template_host else "execute"
        subject.not_applicable(
            f"{method} is synchronous: nothing awaits it that could be cancelled"
        )
    return executor


def with_a_retry(subject: Subject) -> Any:
    try:
        return subject.build(retries=1)
    except CouldNotRun:
        return subject.build()


def let_go(attempt: Attempt, _number: int) -> None:
    attempt.tell(do="return", value="ran to its end")


def ending_of(executing: asyncio.Future[Any]) -> str:
    error = executing.exception()
    return f"execute raised {short_error(error)}" if error else str(executing.result())


async def still_there(attempt: Attempt) -> str:
    """How an attempt that should be dead shows that it is not; or nothing."""
    if await within(attempt.gone, _SUSPICION):
        return ""
    # By its death its end of the line would be closed. Who answers has not died.
    answer = attempt.ask(do="answer")
    await within(answer)
    if attempt.gone.done():
        return ""
    return "and still answers" if answer.done() else f"though it gives no answer for {_DEATH:g} s"


async def within(future: concurrent.futures.Future[Any], limit: float = _DEATH) -> bool:
    await asyncio.wait({asyncio.wrap_future(future)}, timeout=limit)
    return future.done()
