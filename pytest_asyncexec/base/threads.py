"""Threads for what may block as long as it likes: none keeps the interpreter from ending."""

import asyncio
import contextvars
import inspect
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from .failures import failure_of

__all__ = ["OneThread", "ThreadCall", "in_own_thread"]

T = TypeVar("T")


class ThreadCall:
    """A call of a plain method in a new thread, with the context variables of the caller.

    Not in one of the event loop's threads: those are few, and whoever is left behind in one when
    the caller is cancelled takes it away from others, and keeps `asyncio.run` and the interpreter
    from ending. This one ends with them.
    """

    def __init__(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> None:
        self._loop = asyncio.get_running_loop()
        self._context = contextvars.copy_context()
        self._returned: Any = None
        self._error: BaseException | None = None
        #: Done when the call has ended, in whatever.
        self.over: asyncio.Future[None] = self._loop.create_future()
        name = f"asyncexec {getattr(function, '__qualname__', '')}".rstrip()
        self._call: Callable[[], Any] = partial(function, *args, **kwargs)
        threading.Thread(target=self._make, name=name, daemon=True).start()

    def _make(self) -> None:
        call = self._call
        del self._call
        try:
            self._returned = self._context.run(call)
        except Exception as error:
            self._error = error
        except BaseException as error:
            # In a thread nobody was cancelled, and nobody pressed a key: it is the task's own.
            self._error = failure_of(error)
        del call  # what it was given is kept alive by nobody, once its end is told
        try:
            self._loop.call_soon_threadsafe(self._told)
        except RuntimeError:  # the event loop is closed
            self.drop()

    def _told(self) -> None:
        if self.over.done():
            self.drop()
        else:
            self.over.set_result(None)

    def drop(self) -> None:
        """Let go of what the call came to, which nobody wants any more."""
        if inspect.iscoroutine(self._returned):
            self._returned.close()  # or Python would warn that nobody awaited it
        self._returned = self._error = None

    def result(self) -> Any:
        """Return what the call has returned, or raise what it raised; to be asked once.

        The caller finds every context variable set that was set there.
        """
        _take_over(self._context)
        returned, error = self._returned, self._error
        self._returned = self._error = None
        if error is None:
            return returned
        try:
            raise error
        finally:
            # The traceback of the error refers to this frame: without the cycle both are freed
            # as soon as the caller lets go.
            del error


async def in_own_thread(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Call a plain method in a thread of its own, and wait for it: see `ThreadCall`."""
    call = ThreadCall(function, *args, **kwargs)
    try:
        await call.over
    except BaseException:
        call.drop()
        raise
    return call.result()


def _tell(told: asyncio.Future[T], answer: T) -> None:
    if not told.done():
        told.set_result(answer)


def _take_over(context: contextvars.Context) -> None:
    """Set every context variable here that has another value there."""
    for variable, value in context.items():
        if variable.get(_UNSET) is not value:
            variable.set(value)


_UNSET: Any = object()


class OneThread:
    """One thread that makes calls in their order, to be given to whom wants an event loop for that.

    A call is made, also if nobody waits for it any more. The thread is free after `leave`, and
    another one's then.
    """

    def __init__(self) -> None:
        try:
            self._calls = _idle.pop()
        except IndexError:
            self._calls = SimpleQueue()
            threading.Thread(
                target=_serve, args=(self._calls,), name="asyncexec", daemon=True
            ).start()

    def run_in_executor(self, executor: Any, call: Callable[[], T]) -> asyncio.Future[T]:
        """Have a call made after those before it; return what to await for its end.

        As an event loop does, whose executor was this thread.
        """
        loop = asyncio.get_running_loop()
        told: asyncio.Future[T] = loop.create_future()
        self._calls.put(partial(_answer, loop, told, call))
        return told

    def then(self, call: Callable[[], object]) -> None:
        """Have a call made after those before it, for whose end nobody waits; it raises nothing."""
        self._calls.put(call)

    def leave(self) -> None:
        """Let go of the thread, all of whose calls have been awaited."""
        if len(_idle) < _IDLE:
            _idle.append(self._calls)  # without waking it for that
        else:
            self._calls.put(None)

    def leave_later(self) -> None:
        """Let go of the thread after the last call, whoever waits for that."""
        self._calls.put(None)


_Calls = SimpleQueue[Callable[[], object] | None]

#: The calls that threads wait for which nobody has.
_idle: list[_Calls] = []

#: So many of them at most, and for so many seconds.
_IDLE, _IDLE_FOR = 8, 5.0

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.clear)


def _serve(calls: _Calls) -> None:
    while True:
        try:
            call = calls.get(timeout=_IDLE_FOR)
        except Empty:
            try:
                _idle.remove(calls)
            except ValueError:  # somebody has it, and makes no call at the moment
                continue
            return
        if call is not None:
            call()
            del call  # or it would be kept until the next one
        elif len(_idle) < _IDLE:
            _idle.append(calls)
        else:
            return


def _answer(
    loop: asyncio.AbstractEventLoop, told: asyncio.Future[T], call: Callable[[], T]
) -> None:
    try:
        tell: Callable[[], None] = partial(_tell, told, call())
    except BaseException as error:
        tell = partial(_tell_of, told, error)
    with suppress(RuntimeError):  # the event loop is closed, and nobody waits
        loop.call_soon_threadsafe(tell)


def _tell_of(told: asyncio.Future[Any], error: BaseException) -> None:
    if not told.done():
        told.set_exception(error)
