"""A limited number of places, for tasks of any event loop and thread."""

import asyncio
import contextlib
import os
from collections import OrderedDict
from threading import RLock
from typing import Protocol

from .closed_loops import KnownLoops

__all__ = ["Kept", "Place", "Places", "guard"]

#: For this and whatever is done with places. One for all, and reentrant, since a place may be
#: forgotten, and come back, in the middle of anything: no order of several could be kept then.
guard = RLock()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=guard.acquire, after_in_parent=guard.release, after_in_child=guard.release
    )


class Place:
    """One taken place; whoever holds it gives it back with `leave`, or by being forgotten."""

    __slots__ = ("_places", "kept")

    def __init__(self, places: "Places", kept: "Kept | None") -> None:
        self._places: Places | None = places
        #: What belongs to the place, and goes with it to the next one of the same event loop.
        self.kept = kept

    @property
    def is_taken(self) -> bool:
        """Whether it has not been given back."""
        return self._places is not None

    def leave(self) -> None:
        """Give the place back. A second call does nothing."""
        places, self._places = self._places, None
        if places is not None:
            places._have_back(self.kept)

    def __del__(self) -> None:
        self.leave()


class Kept(Protocol):
    """What can belong to a place, in one event loop."""

    def put_away(self) -> None:
        """Let go of it: nobody of this event loop has come for the place."""


class Places:
    """As many places as `number` says, given out in the order in which a loop asked for them.

    An `asyncio.Semaphore` belongs to one event loop, and waiting for one of `threading` takes a
    thread of the pool: enough waiters, and the one they wait for would find no thread to work with.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self._free = number
        #: In the order in which they came.
        self._waiting: OrderedDict[asyncio.Future[Place], None] = OrderedDict()
        self._loops = KnownLoops()

    @property
    def are_free(self) -> bool:
        """Whether nobody has a place, or waits for one."""
        return self._free == self.number

    @property
    def are_taken(self) -> bool:
        """Whether there is none at the moment."""
        return not self._free

    async def take(self) -> Place:
        """Wait for a free place, and return it."""
        asked = self.ask()
        if isinstance(asked, Place):
            return asked
        try:
            return await asked
        except BaseException:
            # Cancelled, or dropped with its loop.
            self.withdraw(asked)
            raise

    def ask(self) -> Place | asyncio.Future[Place]:
        """Return a place that is free now, or else what will be told of one in the running loop."""
        with guard:
            loop = asyncio.get_running_loop()
            self._loops.add(loop)
            if self._free:
                self._free -= 1
                return Place(self, None)
            asked: asyncio.Future[Place] = loop.create_future()
            self._waiting[asked] = None
            if self._loops.are_newly_closed():
                for waiter in list(self._waiting):
                    if waiter.get_loop().is_closed():
                        self._waiting.pop(waiter, None)
                self._have_lost_back()
            if self._free:  # the garbage collector has just given one back
                self._call()
            return asked

    def _have_lost_back(self) -> None:
        """Have the places back that went with closed event loops, as long as somebody waits."""
        with guard:
            if self._waiting and not self._free and (pause := self._loops.collect()):
                asyncio.get_running_loop().call_later(pause, self._have_lost_back)

    def withdraw(self, asked: asyncio.Future[Place]) -> None:
        """Want the place no more that was asked for."""
        with guard:
            self._waiting.pop(asked, None)
        if asked.done() and not asked.cancelled():
            asked.result().leave()

    def count_waiting(self, but: asyncio.Future[Place] | None) -> int:
        """Return how many wait for a place, without `but`; 0 if their event loops are at rest."""
        count = len(self._waiting) - (but in self._waiting)
        if count and any(
            waiter is not but and waiter.get_loop().is_running() for waiter in self._waiting
        ):
            return count
        return 0

    def _have_back(self, kept: Kept | None) -> None:
        """Give a place that was left to whoever is next, with `kept` in the same event loop."""
        with guard:
            waiter = self._next() if self._waiting else None
            if waiter is not None and _is_awake(waiter.get_loop()):
                del self._waiting[waiter]
                waiter.set_result(Place(self, kept))
                return
            # Before the place is free: who takes it would make another one of what was kept.
            if kept is not None:
                kept.put_away()
            self._free += 1
        if self._waiting:
            self._call()

    def _call(self) -> None:
        """Give a free place to whoever is next, or have all come who wait in other event loops.

        Until then it stays free: who knows which of those goes on, and when.
        """
        with guard:
            waiter = self._next() if self._free else None
            if waiter is None:
                return
            loop = waiter.get_loop()
            if _is_awake(loop):
                self._free -= 1
                del self._waiting[waiter]
                waiter.set_result(Place(self, None))
                return
            loops = {waiter.get_loop() for waiter in self._waiting}
        for loop in loops:
            with contextlib.suppress(RuntimeError):  # it has been closed meanwhile
                loop.call_soon_threadsafe(self._come)

    def _come(self) -> None:
        """Give a place that is still free to the first who waits in this event loop."""
        with guard:
            loop = asyncio.get_running_loop()
            mine = (waiter for waiter in self._waiting if waiter.get_loop() is loop)
            waiter = next((waiter for waiter in mine if not waiter.done()), None)
            if self._free and waiter is not None:
                self._free -= 1
                del self._waiting[waiter]
                waiter.set_result(Place(self, None))

    def _next(self) -> "asyncio.Future[Place] | None":
        """Return who is next: the first of those whose event loop is running, or else the first."""
        resting: asyncio.Future[Place] | None = None
        closed = []
        for waiter in self._waiting:
            loop = waiter.get_loop()
            if loop.is_closed():
                closed.append(waiter)  # nobody waits there any more
            elif not waiter.done():  # or it is cancelled, and about to notice
                if loop.is_running():
                    found: asyncio.Future[Place] | None = waiter
                    break
                resting = resting or waiter
        else:
            found = resting
        for waiter in closed:
            del self._waiting[waiter]
        return found


def _is_awake(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether this is called in an event loop that will look what is to be done before it sleeps.

    So it is within a task. Without one, the garbage collector may have come in between.
    """
    return asyncio._get_running_loop() is loop and asyncio.current_task(loop) is not None
