"""Attempts of a `run` that is a plain method, in a thread, and how one of them is stopped."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from .task import RunningTask
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
    until `run` returns: attempts never overlap. Where the executor says that it cannot stop a task,
    its thread is left behind.
    """
    task.attempt_is_over = False
    work = asyncio.ensure_future(call(executor.run, function, args, kwargs, task.metadata()))
    try:
        result = await asyncio.shield(work)
    except BaseException as error:
        if work.done() or task.is_thrown_away_by(error):
            raise
        task.attempt_is_over = True
        if cannot_stop(executor):
            raise
        await undisturbed(_stopped(executor, work, task))
        raise
    finally:
        # The traceback of an error refers to this frame: without the cycle both are freed as soon
        # as the caller lets go.
        del work
    if asyncio.iscoroutine(result):
        result.close()  # nobody is going to await it, of which Python would warn
        raise TypeError(
            f"{type(executor).__name__}.run returned a coroutine: it is to return the result of "
            f"the task. Derive from AsyncBaseExecutor to await something in `run`"
        )
    return result


async def _stopped(executor: Any, work: asyncio.Future[Any], task: RunningTask) -> None:
    """Have the work stopped, and return once it has ended."""
    pause, is_stopped, asked_with = FIRST_PAUSE, False, object()
    while not work.done():
        # The backend may know the job only later, by another handle or none.
        if not is_stopped or asked_with is not task.job_handle:
            asked_with = task.job_handle
            is_stopped = await _cancelled(executor, task)
        await asyncio.wait({work}, timeout=pause)
        pause = min(2 * pause, LONGEST_PAUSE)


async def _cancelled(executor: Any, task: RunningTask) -> bool:
    try:
        return bool(await call(executor.cancel, task.metadata(), task.job_handle))
    except Exception:
        logger.warning("The %s could not be cancelled", task, exc_info=True)
        return False
