"""Attempts at one task: each under its time limit, and another one after a failure."""

import asyncio
import copy
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

from .attributes import check_retries, check_time_limit, effective_time_limit
from .failures import own_error
from .outcome import TaskCancelledError, TaskTimeoutError
from .stopping import Plain, cannot_stop, run_in_thread
from .task import RunningTask, TaskStreams
from .waiting import call

__all__ = ["OWN_QUESTIONS", "attempt_until_done", "check_wanted", "limits_of", "question_of"]

logger = logging.getLogger(__name__)

#: What asks the host as `RunningTask.is_cancel_requested` does.
OWN_QUESTIONS: set[Any] = set()

T = TypeVar("T")


def limits_of(executor: Any) -> tuple[float | None, int]:
    """Return the time limit, in seconds, and the retries that the template has to enforce.

    What the executor says it enforces itself is left out. A foreign one may hold anything there:
    TypeError or ValueError before anything runs; and ValueError for a limit on one that says it
    cannot stop a task, since a limit that is taken and ignored is the worst of all.
    """
    enforced: Any = getattr(executor, "enforces", frozenset())
    if isinstance(enforced, str):
        raise TypeError(
            f"{type(executor).__name__}.enforces must be a set of names, not {enforced!r}: "
            f"write frozenset({{{enforced!r}}})"
        )
    time_limit, retries = None, 0
    unstoppable = cannot_stop(executor)
    if "time_limit" not in enforced or unstoppable:
        value = check_time_limit(getattr(executor, "time_limit", -1), type(executor))
        time_limit = effective_time_limit(value)
        if unstoppable and time_limit is not None:
            raise ValueError(
                f"{type(executor).__name__} cannot keep time_limit={value!r}, since it says it "
                f"cannot stop a task: pass time_limit=-1 for no limit, or use an executor that can"
            )
    if "retries" not in enforced:
        retries = check_retries(getattr(executor, "retries", 0), type(executor))
    return time_limit, retries


def question_of(executor: Any, task: RunningTask) -> Callable[[], Awaitable[Any]] | None:
    """Return what asks the host whether it wants the task no more, as the executor would.

    None where there is nobody to ask.
    """
    if isinstance(executor, TaskStreams):
        asks = getattr(executor, "get_cancel_requested", None)
        if asks is not None and getattr(asks, "__func__", None) not in OWN_QUESTIONS:
            return partial(call, asks)
    return None if task.cancel_requested is None else task.is_cancel_requested


async def check_wanted(task: RunningTask) -> None:
    """Raise TaskCancelledError if the host wants the task no more.

    A host that cannot be asked is no reason to give up its task.
    """
    if task.question is None:
        return
    try:
        is_wanted = not await task.question()
    except Exception:
        logger.warning("The host could not be asked about the %s", task, exc_info=True)
        return
    if not is_wanted:
        raise TaskCancelledError(f"The {task} was cancelled by its host")


async def attempt_until_done(
    executor: Any,
    function: Callable[..., Any],
    args: list[Any],
    kwargs: dict[str, Any],
    task: RunningTask,
    time_limit: float | None,
    retries: int,
) -> Any:
    """Call `run` until it succeeds, at most `retries + 1` times, and return its result.

    The last error wins. A cancelled task is not attempted again.
    """
    if task.question is not None:
        await check_wanted(task)
    for attempt in range(1, retries + 2):
        try:
            given = (function, *_copied(args, kwargs))
            run: Awaitable[Any]
            if isinstance(executor, Plain):
                run = run_in_thread(executor, *given, task)
            else:
                run = call(executor.run, *given, task.metadata())
            if time_limit is not None:
                run = _limited(run, time_limit, task, f"{attempt} of {retries + 1}")
            result = await run
            task.check()
            return result
        except BaseException as caught:
            if task.is_thrown_away_by(caught):
                raise
            error = own_error(caught, task)
            is_final = isinstance(error, TaskCancelledError | asyncio.CancelledError)
            try:
                if is_final or attempt > retries:
                    raise error
                try:
                    await check_wanted(task)
                except TaskCancelledError as cancelled:
                    raise cancelled from error
                again = "Attempt %d at the %s failed, trying again"
                logger.info(again, attempt, task, exc_info=error)
            finally:
                del error  # its traceback refers to this frame, as do those below
    raise AssertionError("unreachable: the last attempt returns or raises")


async def _limited(work: Awaitable[T], seconds: float, task: RunningTask, attempt: str) -> T:
    clock = asyncio.timeout(seconds)
    timed_out = TaskTimeoutError(
        f"The {task} took longer than its time_limit of {seconds:g} seconds (attempt {attempt})"
    )
    # Whatever `run` made of being stopped, once the clock has run out it was over its limit.
    try:
        async with clock:
            result = await work
    except BaseException as error:
        if clock.expired() and not task.is_thrown_away_by(error):
            raise timed_out from error
        raise
    if clock.expired():
        raise timed_out
    return result


def _copied(args: list[Any], kwargs: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Copy arguments deeply, so that no attempt sees what another one did to them.

    Values that cannot be copied, locks and open files for example, are handed on as they are.
    """
    args, kwargs = list(args), dict(kwargs)
    for value in (*args, *kwargs.values()):
        if type(value) not in _ATOMS:
            break
    else:
        return args, kwargs
    try:
        return copy.deepcopy((args, kwargs))
    except Exception:
        return (
            [_copied_or_same(value) for value in args],
            {name: _copied_or_same(value) for name, value in kwargs.items()},
        )


#: Values of these types are their own copies.
_ATOMS = frozenset({type(None), bool, int, float, complex, str, bytes})


def _copied_or_same(value: Any) -> Any:
    try:
        return copy.deepcopy(value)
    except Exception:
        return value
