"""Waiting that cancellation cannot cut short, and calling what may block."""

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, TypeVar

__all__ = ["call", "in_thread", "stoppable", "undisturbed"]

T = TypeVar("T")


async def stoppable(
    work: Coroutine[Any, Any, T], stopping: Callable[[], None], context: Context
) -> T:
    """Run `work` in a task of its own, and pass every cancellation of the caller on to it.

    `stopping` is called first each time: in that task alone a cancellation by the caller cannot be
    told from one of its own making, which a TaskGroup in Python 3.11 leaves standing. Cancelled,
    this raises CancelledError once `work` has ended, whatever `work` made of it.
    """
    task = asyncio.create_task(work, context=context)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
            stopping()
            task.cancel()
    if cancelled is None:
        return task.result()
    if not task.cancelled():
        task.exception()  # retrieved, or asyncio would log it as forgotten
    raise cancelled


async def undisturbed(work: Coroutine[Any, Any, T], context: Context | None = None) -> T:
    """Run `work` to its end in a task of its own, however often the caller is cancelled meanwhile.

    A cancellation is remembered and raised once `work` has ended.
    """
    task = asyncio.create_task(work, context=context)
    cancelled = False
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            cancelled = True
    if not cancelled:
        return task.result()
    if not task.cancelled() and (error := task.exception()) is not None:
        raise asyncio.CancelledError from error
    raise asyncio.CancelledError


async def in_thread(function: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
    """Call `function` in a thread, whatever it raises.

    As `asyncio.to_thread`, which before Python 3.12 waits for ever where the function raises
    StopIteration; here that becomes the RuntimeError it is in every coroutine.
    """

    def caught() -> tuple[T, None] | tuple[None, BaseException]:
        try:
            return function(*args, **kwargs), None
        except BaseException as error:
            return None, error

    result, error = await asyncio.to_thread(caught)
    if error is not None:
        try:
            raise error
        finally:
            # The traceback of the error refers to this frame: without the cycle both are freed
            # as soon as the caller lets go.
            del error
    return result  # type: ignore[return-value]  # the pair says: no error, so there is a result


async def call(method: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Call a method of an executor: a coroutine function here, anything else in a thread."""
    if inspect.iscoroutinefunction(method):
        return await method(*args, **kwargs)
    result = await in_thread(method, *args, **kwargs)
    return await result if inspect.isawaitable(result) else result
