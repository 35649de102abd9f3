"""An event loop in a thread of its own, watched from outside."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import ctypes
import sys
import threading
import traceback
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any, TypeVar

from .effects import of_library

T = TypeVar("T")


class Hang(Exception):
    """Something never ended; the message says where it stood."""


class WatchedLoop:
    """One event loop, as the hosts of executors have: it lives as long as the subject is judged.

    Executors keep clients that belong to the loop they were made on; a loop for every check
    would judge them by something no host does (a second loop is a rule of its own).
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._closing = False
        #: What left the loop by the door that ends a host: KeyboardInterrupt or SystemExit.
        self.escaped: list[BaseException] = []
        self._over: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._thread = threading.Thread(target=self._serve, name="asyncexec-host", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        try:
            asyncio.set_event_loop(self._loop)
            while True:
                try:
                    self._loop.run_forever()
                    return
                except BaseException as error:
                    # A KeyboardInterrupt or SystemExit of a task leaves the loop by this door,
                    # after it has been told to whoever awaits that task.
                    self.escaped.append(error)
                    if self._closing or self._loop.is_closed():
                        return
        finally:
            with contextlib.suppress(Exception):
                self._loop.close()
            self._over.set_result(None)

    @property
    def thread(self) -> int | None:
        """The ident of the thread on which the loop runs."""
        return self._thread.ident

    @property
    def usable(self) -> bool:
        """Whether the loop can still be given work."""
        return self._thread.is_alive() and self._loop.is_running()

    def drive(
        self,
        story: Callable[[], Coroutine[Any, Any, T]],
        limit: float,
        progress: Callable[[], object] = lambda: None,
    ) -> T:
        """Run `story()` on the loop and return its result.

        Args:
            story: called on the loop's thread.
            limit: seconds.
            progress: a value that changes while the story goes on; one of many tasks may take
                longer than `limit`.

        Raises:
            Hang: the story was not over after `limit` seconds, or so long after the last progress;
                the message names the line. Or the executor has stopped the loop, which cannot be
                used any more then.
        """
        finished: concurrent.futures.Future[T] = concurrent.futures.Future()
        tasks: list[asyncio.Task[T]] = []

        async def tell() -> None:
            # A future of another thread must not carry a bare CancelledError: it would look
            # like a cancelled future instead of a story that ended in one.
            try:
                tasks.append(asyncio.ensure_future(story()))
                await asyncio.wait(tasks)
                finished.set_result(tasks[0].result())
            except BaseException as error:
                finished.set_exception(error)

        asyncio.run_coroutine_threadsafe(tell(), self._loop)
        # Not result(timeout): a TimeoutError may be what the story itself ended in.
        ends: list[concurrent.futures.Future[Any]] = [finished, self._over]
        known, now = object(), progress()
        while known != now:
            concurrent.futures.wait(
                ends, timeout=limit, return_when=concurrent.futures.FIRST_COMPLETED
            )
            known, now = now, now if self._over.done() or finished.done() else progress()
        if finished.done():
            return finished.result()
        if self._over.done():
            self._loop.set_exception_handler(lambda loop, context: None)
            raise Hang("the event loop of the host was stopped, or closed, in the middle of a task")
        where = self.where()
        for task in tasks:
            self._loop.call_soon_threadsafe(task.cancel)
        concurrent.futures.wait([finished], timeout=5)
        # What becomes of the rest is told by the error below, and by nothing that is logged later.
        self._loop.set_exception_handler(lambda loop, context: None)
        if not finished.done():
            self._closing = True
            end_thread(self._thread)
        raise Hang(f"nothing was heard for {limit:g} s; {where}")

    def where(self) -> str:
        """What the loop is doing at this moment, in words."""
        if not self._thread.is_alive():
            return "the thread of the event loop has ended"
        blocking = blocking_line(self._thread)
        if blocking is not None:
            return f"the event loop is blocked at {blocking}"
        lines = {waiting_line(task.get_coro()) for task in asyncio.all_tasks(self._loop)} - {None}
        return "the event loop is idle, and waits at " + (
            "; ".join(sorted(map(str, lines))) or "nothing"
        )

    def close(self) -> None:
        """End the loop and what is still running on it."""
        given_up, self._closing = self._closing, True
        if given_up or not self.usable:
            return

        async def end() -> None:
            rest = asyncio.all_tasks() - {asyncio.current_task()}
            for task in rest:
                task.cancel()
            await asyncio.wait_for(asyncio.gather(*rest, return_exceptions=True), 10)
            await self._loop.shutdown_asyncgens()

        try:
            asyncio.run_coroutine_threadsafe(end(), self._loop).result(timeout=15)
        except (TimeoutError, concurrent.futures.TimeoutError, concurrent.futures.CancelledError):
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)


def blocking_line(thread: threading.Thread) -> str | None:
    """The innermost line of the executor's on a thread's stack; None where a loop is idle."""
    frame = sys._current_frames().get(thread.ident or -1)
    return None if frame is None else blocking_line_of(frame)


def blocking_line_of(frame: FrameType) -> str | None:
    """The innermost line of the executor's on this stack; None where a loop is idle."""
    stack = traceback.extract_stack(frame)
    if stack[-1].name == "select":
        return None
    own = [entry for entry in stack if not of_library(entry.filename)]
    # Who has something pickled is of more use to know than the pickler.
    theirs = [entry for entry in own if "cloudpickle" not in entry.filename] or own
    entry = theirs[-1] if theirs else stack[-1]
    return f'{entry.filename}:{entry.lineno}, in {entry.name}: "{entry.line}"'


def end_thread(thread: threading.Thread) -> None:
    """Make a thread that nobody waits for end at its next step of Python, if it takes one.

    One that spins would slow down everything that is judged after it.
    """
    with contextlib.suppress(AttributeError, ValueError):  # another Python than CPython
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(thread.ident or 0), ctypes.py_object(SystemExit)
        )


def waiting_line(coroutine: Any) -> str | None:
    """The innermost line of the executor's at which a coroutine waits, if there is one."""
    found = None
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None)
        if frame is not None and not of_library(frame.f_code.co_filename):
            entry = traceback.extract_stack(frame, limit=1)[-1]
            found = f'{entry.filename}:{entry.lineno}, in {entry.name}: "{entry.line}"'
        coroutine = getattr(coroutine, "cr_await", None)
    return found
