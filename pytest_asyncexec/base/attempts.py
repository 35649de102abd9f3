"""Attempts at one task: each under its time limit, and another one after a failure."""

import asyncio
import copy
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

from .attributes import check_retries, check_time_limit, effective_time_limit
from .outcome import TaskCancelledError, TaskRuntimeError, TaskTimeoutError
from .task import RunningTask
from .waiting import call

__all__ = ["attempt_until_done", "limits_of", "own_error"]

logger = logging.getLogger(__name__)

T = TypeVar("T")


def limits_of(executor: Any) -> tuple[float | None, int]:
    """Return the time limit, in seconds, and the retries that the template has to enforce.

    What the executor says it enforces itself is left out. A foreign one may hold anything there:
    TypeError or ValueError before anything runs.
    """
    enforced: Any = getattr(executor, "enforces", frozenset())
    if isinstance(enforced, str):
        raise TypeError(
            f"{type(executor).__name__}.enforces must be a set of names, not {enforced!r}: "
            f"write frozenset({{{enforced!r}}})"
        )
    time_limit, retries = None, 0
    if "time_limit" not in enforced:
        value = getattr(executor, "time_limit", -1)
        time_limit = effective_time_limit(check_time_limit(value, type(executor)))
    if "retries" not in enforced:
        retries = check_retries(getattr(executor, "retries", 0), type(executor))
    return time_limit, retries


async def attempt_until_done(
    executor: Any,
    function: Callable[..., Any],
    args: Iterable[Any],
    kwargs: dict[str, Any],
    task: RunningTask,
    time_limit: float | None,
    retries: int,
) -> Any:
    """Call `run` until it succeeds, at most `retries + 1` times, and return its result.

    The last error wins. A cancelled task is not attempted again.
    """
    for attempt in range(1, retries + 2):
        try:
            run = call(executor.run, function, *_copied(args, kwargs), task.metadata())
            if time_limit is not None:
                run = _limited(run, time_limit, f"The {task}", f"{attempt} of {retries + 1}")
            result = await run
            task.check()
            return result
        except (Exception, asyncio.CancelledError, SystemExit) as caught:
            error = own_error(caught, task)
            is_final = isinstance(error, TaskCancelledError) or not isinstance(error, Exception)
            try:
                if is_final or attempt > retries:
                    raise error
                if await task.is_cancel_requested():
                    raise TaskCancelledError(f"The {task} was cancelled by its host") from error
                again = "Attempt %d at the %s failed, trying again"
                logger.info(again, attempt, task, exc_info=error)
            finally:
                del error  # its traceback refers to this frame, as do those below
    raise AssertionError("unreachable: the last attempt returns or raises")


async def _limited(work: Awaitable[T], seconds: float, task: str, attempt: str) -> T:
    clock = asyncio.timeout(seconds)
    timed_out = TaskTimeoutError(
        f"{task} took longer than its time_limit of {seconds:g} seconds (attempt {attempt})"
    )
    # Whatever `run` made of being stopped, once the clock has run out it was over its limit.
    try:
        async with clock:
            result = await work
    except (Exception, asyncio.CancelledError, SystemExit) as error:
        if clock.expired():
            raise timed_out from error
        raise
    if clock.expired():
        raise timed_out
    return result


def own_error(error: BaseException, task: RunningTask) -> BaseException:
    """Return the error that what was raised by an executor's method stands for.

    After a cancellation by the host that is always CancelledError. Without one, a CancelledError
    is the backend's own and becomes TaskCancelledError, and SystemExit becomes TaskRuntimeError:
    neither may end the host.
    """
    meant = error
    if task.stopped:
        meant = error if isinstance(error, asyncio.CancelledError) else asyncio.CancelledError()
    elif isinstance(error, asyncio.CancelledError):
        meant = TaskCancelledError("The task was cancelled by its backend")
    elif isinstance(error, SystemExit):
        meant = TaskRuntimeError(f"The task exited: SystemExit({error.code!r})")
    if meant is not error:
        meant.__cause__ = error
    return meant


def _copied(args: Iterable[Any], kwargs: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
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
