"""Threads for what may block as long as it likes: none keeps the interpreter from ending."""

import asyncio
import contextvars
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

__all__ = ["OneThread", "in_own_thread"]

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
