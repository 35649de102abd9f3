"""How long it is waited for what is to be stopped: long, until one has stood for that long."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from . import patience

#: Seconds after which it is looked whether another one has stood in the meantime.
_LOOK: Final = 0.25


class Outlasting:
    """The guard that tasks share which are to be stopped, and may stand in one queue.

    Where nothing has stopped a task that merely waits, within a time in which everybody would have,
    the others are given less of it: what becomes of them is known.
    """

    def __init__(self) -> None:
        #: Whether one that merely waits was not stopped in all that time.
        self.has_stood = False

    async def over(self, work: asyncio.Future[Any], seconds: float, *, merely_waits: bool) -> None:
        """Wait for the end of `work`, or until it has stood for so long.

        Args:
            work: that is to be stopped.
            seconds: beyond `patience.PAST_LIMIT` and `patience.SHORTLY`, for which it may go on.
            merely_waits: whether whatever can be stopped at all stops it.
        """
        loop = asyncio.get_running_loop()
        begun = loop.time()
        while not work.done():
            limit = patience.SHORTLY if self.has_stood else patience.PAST_LIMIT
            left = begun + seconds + limit - loop.time()
            if left <= 0:
                self.has_stood = self.has_stood or merely_waits
                return
            await asyncio.wait({work}, timeout=min(left, _LOOK))
