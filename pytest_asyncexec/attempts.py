"""Attempts at one task: each under its time limit, and another one after a failure."""

import asyncio
import copy
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, NamedTuple, TypeVar

from .attributes import check_attribute, effective_time_limit
from .outcome import TaskCancelledError, TaskRuntimeError, TaskTimeoutError
from .task import RunningTask
from .waiting import call

__all__ = ["Limits", "attempt_until_done", "own_errors"]

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Limits(NamedTuple):
    """What the template itself has to enforce for an executor."""

    time_limit: float | None
    retries: int

    @classmethod
    def of(cls, executor: Any) -> "Limits":
        """Read the settings of an executor, leaving out what it says it enforces itself.

        A foreign executor may hold anything there: TypeError or ValueError before anything runs.
        """
        enforced: Any = getattr(executor, "enforces", frozenset())
        if isinstance(enforced, str):
            raise TypeError(
                f"{type(executor).__name__}.enforces must be a set of names, not {enforced!r}: "
                f"write frozenset({{{enforced!r}}})"
            )

        def setting(name: str, default: int) -> Any:
            if name in enforced:
                return default
            return check_attribute(name, getattr(executor, name, default), type(executor))

        return cls(effective_time_limit(setting("time_limit", -1)), setting("retries", 0))


async def attempt_until_done(
    executor: Any,
    function: Callable[..., Any],
    args: Iterable[Any],
    kwargs: dict[str, Any],
    task: RunningTask,
    limits: Limits,
) -> Any:
    """Call `run` until it succeeds, at most `retries + 1` times, and return its result.

    The last error wins. A cancelled task is not attempted again.
    """
    for attempt in range(1, limits.retries + 2):
        run = call(executor.run, function, *_copied(args, kwargs), task.metadata())
        try:
            return await own_errors(_limited(run, limits, task, attempt), task)
        except TaskCancelledError:
            raise
        except Exception as error:
            if attempt > limits.retries:
                raise
            if await task.is_cancel_requested():
                raise TaskCancelledError(f"The {task} was cancelled by its host") from error
            logger.info("Attempt %d at the %s failed, trying again", attempt, task, exc_info=True)
    raise AssertionError("unreachable: the last attempt returns or raises")


async def _limited(work: Awaitable[T], limits: Limits, task: RunningTask, attempt: int) -> T:
    if limits.time_limit is None:
        return await work
    clock = asyncio.timeout(limits.time_limit)
    timed_out = TaskTimeoutError(
        f"The {task} took longer than its time_limit of {limits.time_limit:g} seconds "
        f"(attempt {attempt} of {limits.retries + 1})"
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


async def own_errors(work: Awaitable[T], task: RunningTask) -> T:
    """Await `work` of an executor, and tell what it did from what was done to it.

    A cancellation by the host is always raised, even if `work` swallowed it. Without one, a
    CancelledError is the backend's own and becomes TaskCancelledError, and SystemExit becomes
    TaskRuntimeError: neither may end the host.
    """
    try:
        result = await work
    except asyncio.CancelledError as error:
        if task.stopped:
            raise
        raise TaskCancelledError("The task was cancelled by its backend") from error
    except SystemExit as error:
        raised: BaseException = TaskRuntimeError(f"The task exited: SystemExit({error.code!r})")
        raised.__cause__ = error
    except Exception as error:
        raised = error
    else:
        if task.stopped:
            raise asyncio.CancelledError
        return result
    if task.stopped:
        raise asyncio.CancelledError from raised
    raise raised


def _copied(args: Iterable[Any], kwargs: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Copy arguments deeply, so that no attempt sees what another one did to them.

    Values that cannot be copied, locks and open files for example, are handed on as they are.
    """
    args, kwargs = list(args), dict(kwargs)
    if all(type(value) in _ATOMS for value in (*args, *kwargs.values())):
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
