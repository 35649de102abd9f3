"""Attempts of a `run` that is a plain method, in a thread, and how one of them is stopped."""

import asyncio
import inspect
import logging
from collections.abc import Callable
from typing import Any

from .task import RunningTask
from .threads import ThreadCall
from .waiting import call, undisturbed

__all__ = ["Plain", "cannot_stop", "run_in_thread"]

logger = logging.getLogger(__name__)

#: Seconds until `cancel` is asked again that could not stop the work, and the most of them: each
#: pause is twice as long as the one before.
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0


class Plain:
    """What an executor derives from whose `run` is a plain method, ended by its `cancel`."""


def cannot_stop(executor: Any) -> bool:
    """Whether an executor says that it cannot stop a task: in a name, or a collection of names."""
    declared: Any = getattr(executor, "cannot", None) or ()
    return "stop" in ({declared} if isinstance(declared, str) else declared)


async def run_in_thread(
    executor: Any,
    function: Callable[..., Any],
    args: list[Any],
    kwargs: dict[str, Any],
    task: RunningTask,
) -> Any:
    """Call `run` in a thread, and return once it has returned, cancelled or not.

    When this is cancelled, `get_cancel_requested` is true from then on and `cancel` is called,
    unless the executor says that it cannot stop a task, until `run` returns: neither another
    attempt nor `teardown` comes upon it.
    """
    task.attempt_is_over = False
    work = ThreadCall(executor.run, function, args, kwargs, task.metadata())
    try:
        await asyncio.shield(work.over)
    except BaseException as error:
        if not task.is_thrown_away_by(error):
            task.attempt_is_over = True
            await undisturbed(_stopped(executor, work.over, task))
            work.drop()
        raise
    result = work.result()
    if inspect.iscoroutine(result):
        result.close()  # nobody is going to await it, of which Python would warn
        raise TypeError(
            f"{type(executor).__name__}.run returned a coroutine: it is to return the result of "
            f"the task. Derive from AsyncBaseExecutor to await something in `run`"
        )
    return result


async def _stopped(executor: Any, over: asyncio.Future[None], task: RunningTask) -> None:
    """Have the work stopped, and return once it has ended."""
    if cannot_stop(executor):
        await asyncio.wait({over})
    pause, is_stopped, asked_with = FIRST_PAUSE, False, object()
    while not over.done():
        # The backend may know the job only later, by another handle or none.
        if not is_stopped or asked_with is not task.job_handle:
            asked_with = task.job_handle
            is_stopped = await _cancelled(executor, task)
        await asyncio.wait({over}, timeout=pause)
        pause = min(2 * pause, LONGEST_PAUSE)


async def _cancelled(executor: Any, task: RunningTask) -> bool:
    try:
        return bool(await call(executor.cancel, task.metadata(), task.job_handle))
    except Exception:
        logger.warning("The %s could not be cancelled", task, exc_info=True)
        return False
