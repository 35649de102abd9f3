"""Event loops that were closed in the middle of tasks, and having back what those held.

Such tasks refer to each other in circles, which only the garbage collector finds; and whoever waits
for what they hold may be all that is left in the process, and give it no reason to come.
"""

import asyncio
import gc
from collections.abc import Callable
from weakref import ref

__all__ = ["KnownLoops"]

#: Seconds between the first two collections; each pause is twice as long as the one before.
PAUSE = 0.05


class KnownLoops:
    """The event loops in which somebody has asked for something, for one caller at a time."""

    def __init__(self) -> None:
        self._open: list[ref[asyncio.AbstractEventLoop]] = []
        self._latest: Callable[[], asyncio.AbstractEventLoop | None] = lambda: None
        #: Those whose tasks are not all gone.
        self._closed: list[ref[asyncio.AbstractEventLoop]] = []
        self._pause = PAUSE

    def add(self, loop: asyncio.AbstractEventLoop) -> None:
        """Know of an event loop."""
        if self._latest() is not loop:
            self._latest = this = ref(loop)
            self._open = [known for known in self._open if known() not in (None, loop)]
            self._open.append(this)

    def are_newly_closed(self) -> bool:
        """Whether any has been closed since this was asked last."""
        closed = [known for known in self._open if (loop := known()) and loop.is_closed()]
        if closed:
            self._open = [known for known in self._open if known not in closed]
            self._closed += closed
            self._pause = PAUSE
        return bool(closed)

    def collect(self) -> float:
        """Collect what belonged to closed ones.

        Returns after how many seconds that is worth another try, for a thread may still work for
        one of their tasks; 0 if it is not.
        """
        gc.collect()
        self._closed = [known for known in self._closed if known() is not None]
        self._pause *= 2
        return self._pause if self._closed else 0
