"""A named pipe that only the event loop serves: who blocks the loop on it waits for ever."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from . import patience
from .audit import audited, line_outside_the_library, path_in

T = TypeVar("T")

#: Seconds after which the pipe is opened for reading, though nobody was seen to open it: a child
#: process may be the one that writes.
_UNSEEN = 1.0

#: How far the event loop's clock is put forward while a pipe is held shut, in steps of a minute:
#: no limit that is meant for a file is longer than a night.
_STEPS = 600


class Pipe:
    """A new named pipe at `path`, with a watchdog thread within the `with` block.

    Whoever opens it for writing waits for a reader, and whoever writes waits for room. Both come
    from the event loop, so that a writer on the loop's own thread cannot go on; the watchdog
    rescues it, and keeps the line where it stood in `blocked_at`.
    """

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path
        self.received = b""
        self.blocked_at = ""
        self._forsaken = False
        self._beats = 0
        self._loop_thread: int | None = None
        self._over = threading.Event()
        self._watchdog = threading.Thread(
            target=self._watch, name="asyncexec-watchdog", daemon=True
        )

    def __enter__(self) -> Pipe:
        self._watchdog.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._over.set()
        self._watchdog.join()

    async def serve(self, write: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run `write()`, and read from the pipe what is written to it."""
        writing = await self._begun(write)
        if not writing.done():
            await self._read(writing)
        return await writing

    async def hold(self, write: Callable[[], Coroutine[Any, Any, T]]) -> tuple[bool, T]:
        """Run `write()` with nobody to read from the pipe, and read when hours have gone by.

        They do so for the timers of this event loop alone, whose clock is put forward: it has to
        be a loop that nobody else uses. Returns whether `write()` was over before anybody read,
        and what it returned.
        """
        writing = await self._begun(write)
        if await _over_in_hours(writing):
            # Of who was rescued that says nothing; and a thread may still be at it.
            early = not self.blocked_at
            self._forsaken = True
        else:
            early = False
            await self._read(writing)
        return early, await writing

    async def _begun(self, write: Callable[[], Coroutine[Any, Any, T]]) -> asyncio.Future[T]:
        """The running `write()`, as soon as it waits for the pipe, or is over."""
        loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        opening = asyncio.Event()

        def notice(event: str, args: tuple[Any, ...]) -> None:
            if event == "open" and path_in(args, self.path) is not None:
                loop.call_soon_threadsafe(opening.set)

        with audited(notice):
            writing = asyncio.ensure_future(write())
            noticed = asyncio.ensure_future(opening.wait())
            # No reader before somebody waits for one: opening the pipe has to block first.
            await asyncio.wait(
                {writing, noticed}, timeout=_UNSEEN, return_when=asyncio.FIRST_COMPLETED
            )
            noticed.cancel()
        return writing

    async def _read(self, writing: asyncio.Future[Any]) -> None:
        reader = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            _narrow(reader)
            while not writing.done():
                self._beats += 1
                self.received += _drained(reader)
                await asyncio.wait({writing}, timeout=0.001)
            self.received += _drained(reader)
        finally:
            os.close(reader)

    def _watch(self) -> None:
        beats, since = -1, time.monotonic()
        while not self._over.wait(0.05):
            if self._forsaken:
                self._rescue()
            elif self._beats != beats or self._loop_thread is None:
                beats, since = self._beats, time.monotonic()
            elif time.monotonic() - since > patience.RESCUE:
                frame = sys._current_frames().get(self._loop_thread)
                self.blocked_at = line_outside_the_library(frame)
                self._rescue()

    def _rescue(self) -> None:
        both_ends = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)
        try:
            while not self._over.wait(0.002):
                _drained(both_ends)
        finally:
            os.close(both_ends)


async def _over_in_hours(writing: asyncio.Future[Any]) -> bool:
    """Whether something is over as soon as hours have gone by on the clock of the event loop."""
    loop = asyncio.get_running_loop()
    now, skipped = loop.time, 0.0
    # Another kind of loop may not let its clock be touched: then no time goes by.
    with contextlib.suppress(AttributeError):
        loop.time = lambda: now() + skipped  # type: ignore[method-assign]
    for _ in range(_STEPS):
        skipped += 60
        await asyncio.sleep(0)
        if writing.done():
            return True
    return False


def _narrow(pipe: int) -> None:
    """Leave as little room in a pipe as the system allows, where it can be asked."""
    import fcntl

    narrow = getattr(fcntl, "F_SETPIPE_SZ", None)
    if narrow is not None:
        # A quick writer on another thread may have put in more than that already.
        with contextlib.suppress(OSError):
            fcntl.fcntl(pipe, narrow, 4096)


def _drained(reader: int) -> bytes:
    """What is in the pipe now."""
    drained = b""
    with contextlib.suppress(BlockingIOError):
        while piece := os.read(reader, 65536):
            drained += piece
    return drained
