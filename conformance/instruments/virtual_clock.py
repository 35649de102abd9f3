"""An event loop whose clock is virtual: an hour is over as soon as nothing is left to do in it."""

from __future__ import annotations

import asyncio
import contextlib
import selectors
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar

T = TypeVar("T")

#: Seconds that something outside of the loop may take, really. It decides nothing: a story that
#: waits for longer is told otherwise, in real time.
_PATIENCE = 3.0

#: Seconds between two looks at what is outside; it decides nothing.
_LOOK = 0.02

#: Seconds for what is left of such a story to end, before its loop is closed under it.
_CLOSING = 10.0


class NotPurelyAsynchronous(Exception):
    """The story waits for something that a virtual clock knows nothing of; the message says what.

    A thread, a process, a socket: what they do takes real time, and a clock that has jumped over
    it would let limits run out that are not over.
    """


class VirtualClockLoop(asyncio.SelectorEventLoop):
    """The clock of this loop stands still while there is work, and jumps to the next timer then.

    It never jumps while something is at work outside of the loop: a function in a thread, a child
    process, a socket, a thread that was not there when the loop was made. The loop waits for those
    a little while, in real time and with its clock held, and then ends in NotPurelyAsynchronous.
    """

    def __init__(self) -> None:
        self._now = time.monotonic()
        self._real_since: float | None = None
        self._at_work: set[asyncio.Future[Any]] = set()
        self._processes = 0
        self._threads = set(threading.enumerate())
        selector = _Selector(self)
        super().__init__(selector)
        # A year from zero a float falls short of a timer by more than the real clock's nanosecond,
        # and the loop would turn for ever without coming any closer to it.
        self._clock_resolution = 1e-6
        # The loop's own pipe, by which other threads wake it.
        self._own_sockets = len(selector.get_map())

    def time(self) -> float:
        """The virtual time in seconds; real time once the loop has given up on it."""
        if self._real_since is None:
            return self._now
        return self._now + time.monotonic() - self._real_since

    @property
    def is_virtual(self) -> bool:
        """Whether the clock jumps."""
        return self._real_since is None

    def keep_real_time(self) -> None:
        """From now on be a loop as any other, so that what is left on it can end."""
        if self._real_since is None:
            self._real_since = time.monotonic()

    def jump(self, seconds: float) -> None:
        """Let this much time be over."""
        self._now += seconds

    def outside(self) -> str:
        """What is at work outside of the loop, in words, or an empty string."""
        self._at_work = {future for future in self._at_work if not future.done()}
        if self._at_work:
            return "a function that runs in a thread"
        if self._processes:
            return "a child process"
        if len(self._selector.get_map()) > self._own_sockets:
            return "a socket or a pipe"
        strangers = set(threading.enumerate()) - self._threads
        if strangers:
            return f"the thread {min(thread.name for thread in strangers)!r}"
        return ""

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """As on any loop; the clock is held until `func` has ended."""
        before = set(threading.enumerate())
        future = super().run_in_executor(executor, func, *args)
        # Threads of a pool stay when their work is over, and are idle then.
        self._threads |= set(threading.enumerate()) - before
        self._at_work.add(future)
        return future

    async def subprocess_exec(self, *args: Any, **kwargs: Any) -> Any:
        """As on any loop; the clock is held from now on."""
        self._processes += 1
        return await super().subprocess_exec(*args, **kwargs)

    async def subprocess_shell(self, *args: Any, **kwargs: Any) -> Any:
        """As on any loop; the clock is held from now on."""
        self._processes += 1
        return await super().subprocess_shell(*args, **kwargs)

    _selector: selectors.BaseSelector


class _Selector(selectors.DefaultSelector):
    """Where the loop waits: nothing but a jump of the clock, if nobody outside can wake it."""

    def __init__(self, loop: VirtualClockLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        if not self._loop.is_virtual:
            return super().select(timeout)
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        patience = time.monotonic() + _PATIENCE
        while not ready:
            outside = self._loop.outside()
            if timeout is not None and not outside:
                self._loop.jump(timeout)
                break
            if time.monotonic() > patience:
                self._loop.keep_real_time()
                what = outside or "something that no timer of the loop will bring"
                raise NotPurelyAsynchronous(f"it waits for {what}")
            # Not for long: a thread that ends need not wake the loop.
            ready = super().select(_LOOK)
        return ready


def drive(story: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run `story()` on a new loop with a virtual clock, in this thread, and return its result.

    Raises:
        NotPurelyAsynchronous: the clock could not be virtual all the way.
    """
    loop = VirtualClockLoop()
    try:
        return loop.run_until_complete(story())
    finally:
        loop.keep_real_time()
        try:
            loop.run_until_complete(_end_the_rest())
        finally:
            loop.close()


async def _end_the_rest() -> None:
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    if rest:
        done, _ = await asyncio.wait(rest, timeout=_CLOSING)
        for task in done:
            # Retrieved, or asyncio would log it as forgotten.
            with contextlib.suppress(asyncio.CancelledError):
                task.exception()
    await asyncio.get_running_loop().shutdown_asyncgens()


async def sleep(seconds: float) -> None:
    """Sleep on a virtual clock, and on no other: a year must not become one.

    Raises:
        NotPurelyAsynchronous: the running loop is another, because the executor has one of its own.
    """
    if not isinstance(asyncio.get_running_loop(), VirtualClockLoop):
        raise NotPurelyAsynchronous("it waits for an event loop of the executor's own")
    await asyncio.sleep(seconds)
