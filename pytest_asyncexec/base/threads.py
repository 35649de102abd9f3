"""A thread for each call of a plain method, which may block for as long as it likes."""

import asyncio
import contextvars
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

__all__ = ["in_own_thread"]

T = TypeVar("T")


async def in_own_thread(function: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
    """Call `function` in a new thread with the context variables of the caller, and wait for it.

    What it sets of those the caller finds set afterwards. Whatever it raises is raised here; a
    StopIteration is the RuntimeError that it is in every coroutine.

    Not one of the event loop's threads: those are few, and whoever is left behind in one when the
    caller is cancelled takes it away from others, and keeps `asyncio.run` and the interpreter from
    ending. This one ends with them.
    """
    loop = asyncio.get_running_loop()
    told: asyncio.Future[tuple[T, None] | tuple[None, BaseException]] = loop.create_future()
    context = contextvars.copy_context()

    def called() -> None:
        answer: tuple[T, None] | tuple[None, BaseException]
        try:
            answer = context.run(function, *args, **kwargs), None
        except BaseException as error:
            answer = None, error
        with suppress(RuntimeError):  # the event loop is closed, and nobody waits
            loop.call_soon_threadsafe(_tell, told, answer)
        del answer  # the traceback of an error refers to this frame

    name = f"asyncexec {getattr(function, '__qualname__', '')}".rstrip()
    threading.Thread(target=called, name=name, daemon=True).start()
    result, error = await told
    _take_over(context)
    if error is not None:
        try:
            raise error
        finally:
            # The traceback of the error refers to this frame: without the cycle both are freed
            # as soon as the caller lets go.
            del error, told
    return result  # type: ignore[return-value]  # the pair says: no error, so there is a result


def _tell(told: asyncio.Future[Any], answer: Any) -> None:
    if not told.done():
        told.set_result(answer)


def _take_over(context: contextvars.Context) -> None:
    """Set every context variable here that has another value there."""
    for variable, value in context.items():
        if variable.get(_UNSET) is not value:
            variable.set(value)


_UNSET: Any = object()
