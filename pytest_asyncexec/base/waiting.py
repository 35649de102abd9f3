"""Waiting that cancellation cannot cut short, and calling what may block."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, Protocol, TypeVar

from .eager import started
from .threads import in_own_thread

__all__ = ["call", "ended", "in_thread", "undisturbed"]

T = TypeVar("T")


class Stoppable(Protocol):
    """What can be told that its caller no longer waits for it."""

    def stop(self) -> None:
        """Come to an end soon."""


class _Door(Awaitable[T]):
    """What the caller waits at: whoever cancels the caller knocks here, and the caller waits on.

    In all else it is the task. To asyncio that makes it a future; one of its own, to be told of the
    end of the task, would be one more call in the event loop for each of thousands of tasks.
    """

    __slots__ = ("_asyncio_future_blocking", "behind", "task")

    def __init__(self, task: asyncio.Task[T], behind: Stoppable) -> None:
        self._asyncio_future_blocking = False
        self.behind = behind
        # Kept here, since an event loop itself keeps no task alive.
        self.task = task

    def __await__(self) -> Generator[Any, None, T]:
        try:
            if not self.task.done():
                self._asyncio_future_blocking = True
                yield self
                if not self.task.done():
                    raise RuntimeError("resumed before the end of what is awaited")
            return self.task.result()
        except GeneratorExit:
            self._left()
            raise
        finally:
            # The traceback of an error refers to this frame: without the cycle both are freed as
            # soon as the caller lets go.
            del self

    def cancel(self, msg: Any = None) -> bool:
        if not self.task.done():
            self.behind.stop()
            return True
        if not self.task.cancelled():
            self.task.exception()  # retrieved, or asyncio would log it as forgotten
        return False

    def _left(self) -> None:
        """Have the work stopped whose caller was thrown away, if its event loop goes on."""
        if not self.task.done() and asyncio._get_running_loop() is self.task.get_loop():
            self.behind.stop()
            _left_alone.add(self.task)
            self.task.add_done_callback(_ended_alone)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.task, name)


#: Tasks that nobody waits for, and that come to their end all the same.
_left_alone: set[asyncio.Task[Any]] = set()


def _ended_alone(task: asyncio.Task[Any]) -> None:
    _left_alone.discard(task)
    if not task.cancelled():
        task.exception()  # retrieved, or asyncio would log it as forgotten


def ended(work: Coroutine[Any, Any, T], what: Stoppable) -> Awaitable[T]:
    """Run `work` in a task of its own, and return what to await for its end.

    Whenever the one who awaits it is cancelled, `what` is stopped, and the waiting goes on; only
    after the end of `work` a cancellation ends it.

    A task of its own, because in the caller's a cancellation from outside cannot be told from one
    that `work` makes itself, which a TaskGroup in Python 3.11 leaves standing.
    """
    task = started(work)
    return task if task.done() else _Door(task, what)


async def undisturbed(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end in a task of its own, however often the caller is cancelled meanwhile.

    A cancellation is remembered and raised once `work` has ended.
    """
    cancellation = _Remembered()
    try:
        result = await ended(work, cancellation)
    except BaseException as error:
        if cancellation.has_come and not isinstance(error, asyncio.CancelledError | GeneratorExit):
            raise asyncio.CancelledError from error
        raise
    if cancellation.has_come:
        raise asyncio.CancelledError
    return result


class _Remembered:
    """A cancellation that changes nothing until it is asked for."""

    has_come = False

    def stop(self) -> None:
        self.has_come = True


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


def call(method: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Awaitable[Any]:
    """Call a method of an executor: a coroutine function here, anything else in a thread."""
    if _is_coroutine_function(method):
        return method(*args, **kwargs)  # type: ignore[no-any-return]
    return _call_in_thread(method, *args, **kwargs)


async def _call_in_thread(method: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    result = await in_own_thread(method, *args, **kwargs)
    return await result if inspect.isawaitable(result) else result


def _is_coroutine_function(method: Callable[..., Any]) -> bool:
    # What nearly every method is, without the eight questions that inspect asks.
    try:
        if method.__func__.__code__.co_flags & inspect.CO_COROUTINE:  # type: ignore[attr-defined]
            return True
    except AttributeError:
        pass
    return inspect.iscoroutinefunction(method)
