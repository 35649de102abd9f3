"""A limited number of places, for tasks of any event loop and thread."""

import asyncio
from collections import deque
from threading import RLock
from typing import Protocol

__all__ = ["Kept", "Place", "Places"]


class Place:
    """One taken place; whoever holds it gives it back with `leave`, or by being forgotten."""

    __slots__ = ("_places", "kept")

    def __init__(self, places: "Places", kept: "Kept | None") -> None:
        self._places: Places | None = places
        #: What belongs to the place, and goes with it to the next one of the same event loop.
        self.kept = kept

    def leave(self) -> None:
        """Give the place back. A second call does nothing."""
        places, self._places = self._places, None
        if places is not None:
            places._pass_on(self.kept)

    def __del__(self) -> None:
        self.leave()


class Kept(Protocol):
    """What can belong to a place, in one event loop."""

    def put_away(self) -> None:
        """Let go of it: nobody of this event loop has come for the place."""


class Places:
    """As many places as `number` says, given out in the order in which they were asked for.

    An `asyncio.Semaphore` belongs to one event loop, and waiting for one of `threading` takes a
    thread of the pool: enough waiters, and the one they wait for would find no thread to work with.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self._free = number
        self._waiting: deque[asyncio.Future[Kept | None]] = deque()
        # Reentrant, since a place may be forgotten, and come back, in the middle of anything.
        self._guard = RLock()

    @property
    def are_free(self) -> bool:
        """Whether nobody has a place, or waits for one."""
        return self._free == self.number

    async def take(self) -> Place:
        """Wait for a free place, and return it."""
        with self._guard:
            if self._free:
                self._free -= 1
                return Place(self, None)
            mine: asyncio.Future[Kept | None] = asyncio.get_running_loop().create_future()
            self._waiting.append(mine)
        try:
            return Place(self, await mine)
        except BaseException:
            # Cancelled, or dropped with its loop: a place already given goes to the next one.
            if mine.done() and not mine.cancelled():
                self._pass_on(mine.result())
            raise

    def _pass_on(self, kept: Kept | None) -> None:
        loop = asyncio._get_running_loop()
        with self._guard:
            while self._waiting:
                waiter = self._waiting.popleft()
                if waiter.get_loop() is loop:
                    if not waiter.done():
                        waiter.set_result(kept)
                        return
                    continue
                try:
                    waiter.get_loop().call_soon_threadsafe(self._hand_over, waiter)
                except RuntimeError:
                    continue  # its loop is closed, and nobody waits any more
                break
            else:
                self._free += 1
        if kept is not None:
            kept.put_away()

    def _hand_over(self, waiter: asyncio.Future[Kept | None]) -> None:
        if waiter.done():
            self._pass_on(None)
        else:
            waiter.set_result(None)
