"""Tasks that are stopped: who can be, how it ended, and whether anything of it is still there."""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
from collections.abc import Coroutine
from typing import Any, Final, Self

from ...contract.wording import short_error
from ..instruments.beacon import Attempt
from ..instruments.outlasting import Outlasting
from ..subject.exceptions import CouldNotRun
from ..subject.kept import Kept
from ..subject.subject import Subject

#: Seconds in which the kernel tells of a death that has happened: a guard, it takes none.
_DEATH = 10.0

#: Seconds after which an attempt that should be dead is asked whether it is.
_SUSPICION = 2.0

#: What the tasks share that their limit is to stop, whichever check runs them.
limit_guard: Final = Kept(lambda _: Outlasting())


def is_awaited(subject: Subject, executor: Any) -> bool:
    """Whether the host awaits what the executor does, so that a cancellation reaches it."""
    method = "run" if subject.template_host else "execute"
    return inspect.iscoroutinefunction(getattr(executor, method, None))


def cancellable(subject: Subject) -> Any:
    """An executor that can be cancelled: what it does is awaited."""
    executor = subject.build()
    if not is_awaited(subject, executor):
        method = "run" if subject.template_host else "execute"
        # Where that is so of its own host, the rule is not judged at all.
        subject.could_not_run(f"{method} is synchronous: nothing awaits it that could be cancelled")
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


async def still_there(attempt: Attempt, patience: float = _SUSPICION) -> str:
    """How an attempt that should be dead shows that it is not; or nothing.

    Args:
        attempt: that was stopped.
        patience: seconds after which it is asked whether it is dead.
    """
    if await within(attempt.gone, patience):
        return ""
    # By its death its end of the line would be closed. Who answers has not died.
    answer = attempt.ask(do="answer")
    await within(answer)
    if attempt.gone.done():
        return ""
    return "and still answers" if answer.done() else f"though it gives no answer for {_DEATH:g} s"


async def still_runs(attempt: Attempt, patience: float = _SUSPICION, who: str = "its task") -> str:
    """The same as a sentence: `its task still runs (process 123)`."""
    said = await still_there(attempt, patience)
    silent = "" if said == "and still answers" else f", {said}"
    return said and f"{who} still runs (process {attempt.hello['pid']}){silent}"


async def within(future: concurrent.futures.Future[Any], limit: float = _DEATH) -> bool:
    await asyncio.wait({asyncio.wrap_future(future)}, timeout=limit)
    return future.done()


class Together:
    """Stories that are told at the same time; one that could not be is told of when all are over.

    What each has found is in `ended`, in the order in which they were begun.
    """

    def __init__(self) -> None:
        self._under_way: list[asyncio.Future[str]] = []
        self.ended: list[str] = []

    def begin(self, story: Coroutine[Any, Any, str]) -> None:
        """Let one begin."""
        self._under_way.append(asyncio.ensure_future(story))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc_info: object) -> None:
        found = await asyncio.gather(*self._under_way, return_exceptions=True)
        errors = [each for each in found if isinstance(each, BaseException)]
        self.ended = ["" if isinstance(each, BaseException) else each for each in found]
        # What the others have found is a finding all the same.
        if errors and not any(self.ended):
            raise errors[0]
