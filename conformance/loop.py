"""An event loop in a thread of its own, watched from outside."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import sys
import sysconfig
import threading
import traceback
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any, TypeVar

T = TypeVar("T")

#: Seconds after which a check counts as hung. A guard, not a measure: a right executor, however
#: slow its machine, never comes near it.
WATCHDOG = 120.0


class Hang(Exception):
    """Something never ended; the message says where it stood."""


class WatchedLoop:
    """One event loop, as the hosts of executors have: it lives as long as the subject is judged.

    Executors keep clients that belong to the loop they were made on; a loop for every check
    would judge them by something no host does (a second loop is a rule of its own).
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="asyncexec-host", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    @property
    def usable(self) -> bool:
        """Whether the loop can still be given work."""
        return self._thread.is_alive() and self._loop.is_running()

    def drive(self, story: Callable[[], Coroutine[Any, Any, T]], limit: float = WATCHDOG) -> T:
        """Run `story()` on the loop and return its result.

        Raises:
            Hang: the story was not over after `limit` seconds; the message names the line.
        """
        finished: concurrent.futures.Future[T] = concurrent.futures.Future()
        tasks: list[asyncio.Task[T]] = []

        async def tell() -> None:
            tasks.append(asyncio.ensure_future(story()))
            await asyncio.wait(tasks)
            # A future of another thread must not carry a bare CancelledError: it would look
            # like a cancelled future instead of a story that ended in one.
            try:
                finished.set_result(tasks[0].result())
            except BaseException as error:
                finished.set_exception(error)

        asyncio.run_coroutine_threadsafe(tell(), self._loop)
        # Not result(timeout): a TimeoutError may be what the story itself ended in.
        concurrent.futures.wait([finished], timeout=limit)
        if finished.done():
            return finished.result()
        where = self.where()
        for task in tasks:
            self._loop.call_soon_threadsafe(task.cancel)
        concurrent.futures.wait([finished], timeout=5)
        raise Hang(f"nothing was heard for {limit:g} s; {where}")

    def where(self) -> str:
        """What the loop is doing at this moment, in words."""
        frame = sys._current_frames().get(self._thread.ident or -1)
        if frame is None:
            return "the thread of the event loop has ended"
        blocking = _blocking_line(frame)
        if blocking is not None:
            return f"the event loop is blocked at {blocking}"
        waiting = [_line(task) for task in asyncio.all_tasks(self._loop)]
        return "the event loop is idle, and waits at " + ("; ".join(sorted(waiting)) or "nothing")

    def close(self) -> None:
        """End the loop and what is still running on it."""
        if not self.usable:
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
        if not self._thread.is_alive():
            self._loop.close()


def _blocking_line(frame: FrameType) -> str | None:
    """The innermost line of the executor's on the stack, or None where the loop is idle."""
    stack = traceback.extract_stack(frame)
    if stack[-1].name == "select":
        return None
    machinery = (sysconfig.get_path("stdlib"), os.path.dirname(__file__))
    own = [entry for entry in stack if not entry.filename.startswith(machinery)]
    entry = own[-1] if own else stack[-1]
    return f'{entry.filename}:{entry.lineno}, in {entry.name}: "{entry.line}"'


def _line(task: asyncio.Task[Any]) -> str:
    stack = task.get_stack(limit=1)
    if not stack:
        return repr(task.get_name())
    entry = traceback.extract_stack(stack[-1])[-1]
    return f'{entry.filename}:{entry.lineno}: "{entry.line}"'
