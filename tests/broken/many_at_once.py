"""Wrong by CNC, where many tasks come at once."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import weakref
from collections import deque

from pytest_asyncexec.reference_executor import ThreadExecutor

from pytest_asyncexec import TaskRuntimeError

from . import breaks


class _HasPlaces(ThreadExecutor):
    """Runs four tasks at once, and keeps the places of each event loop apart."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self._by_loop = {}

    def __getstate__(self):
        return vars(self) | {"_by_loop": {}}

    def __deepcopy__(self, memo):
        return type(self)().from_dict(self.to_dict())

    @property
    def _places(self):
        return self._by_loop.setdefault(asyncio.get_running_loop(), self._new_places())

    def _new_places(self):
        return asyncio.Semaphore(4)


class _Places:
    """Four places, and the futures of those that wait for one."""

    def __init__(self, number=4):
        self.free, self.line = number, deque()

    async def take(self):
        if self.free:
            self.free -= 1
            return
        waiting = asyncio.get_running_loop().create_future()
        self.line.append(waiting)
        await waiting

    def give_back(self):
        while self.line:
            waiting = self.next_in_line()
            if not waiting.done():
                waiting.set_result(None)
                return
        self.free += 1

    def next_in_line(self):
        return self.line.popleft()


class _TakesPlaces(_HasPlaces):
    """Takes a place before the work, and gives it back after it, however that ends."""

    def _new_places(self):
        return _Places()

    async def run(self, function, args, kwargs, task_metadata):
        places = self._places
        await places.take()
        try:
            return await super().run(function, args, kwargs, task_metadata)
        finally:
            places.give_back()


class _Stack(_Places):
    def next_in_line(self):
        return self.line.pop()


@breaks("CNC-06", "that had come later began, and the one that waited did not")
class ServesTheLastOneFirst(_TakesPlaces):
    """Has those that wait in a list, and takes from its end what comes next."""

    def _new_places(self):
        return _Stack()


@breaks("CNC-06", "came to nothing, when no other ended for ")
class DropsWhatIsTooMuch(_HasPlaces):
    """Has a queue with a bound; what does not fit is dropped, and nobody hears of it."""

    def _new_places(self):
        return [0]

    async def run(self, function, args, kwargs, task_metadata):
        taken = self._places
        if taken[0] == 8:
            await asyncio.Event().wait()
        taken[0] += 1
        try:
            return await super().run(function, args, kwargs, task_metadata)
        finally:
            taken[0] -= 1


@breaks("CNC-06", "ran at the same time; of task ")
class RefusesTheSeventeenth(_HasPlaces):
    """Takes sixteen tasks, and raises the error of a full queue for all others."""

    def _new_places(self):
        return asyncio.Queue(16)

    async def run(self, function, args, kwargs, task_metadata):
        places = self._places
        places.put_nowait(task_metadata)
        try:
            return await super().run(function, args, kwargs, task_metadata)
        finally:
            places.get_nowait()


@breaks("CNC-06", "when one of these had failed, none of those that waited began in its place")
class KeepsThePlaceOfTheFailed(_HasPlaces):
    """Gives a place back behind the line in which a task fails."""

    async def run(self, function, args, kwargs, task_metadata):
        places = self._places
        await places.acquire()
        result = await super().run(function, args, kwargs, task_metadata)
        places.release()
        return result


@breaks("CNC-06", "when one of these had been cancelled by its host, none of those that waited")
class KeepsThePlaceOfTheCancelled(_HasPlaces):
    """Gives a place back when a task fails, and CancelledError is no Exception."""

    async def run(self, function, args, kwargs, task_metadata):
        places = self._places
        await places.acquire()
        try:
            result = await super().run(function, args, kwargs, task_metadata)
        except Exception:
            places.release()
            raise
        places.release()
        return result


class _Swallowing(_Places):
    def give_back(self):
        if self.line:
            with contextlib.suppress(asyncio.InvalidStateError):
                self.line.popleft().set_result(None)
        else:
            self.free += 1


@breaks("CNC-08", "after that only ")
class GivesItsPlacesToTheCancelled(_TakesPlaces):
    """Gives a free place to whoever is first in line, who may have gone home by then."""

    def _new_places(self):
        return _Swallowing()


@breaks("CNC-08", "and on a fresh instance, where none was, 4")
class GivesBackWhatItNeverHad(_HasPlaces):
    """Waits for a place within the `try` whose `finally` gives it back."""

    async def run(self, function, args, kwargs, task_metadata):
        places = self._places
        try:
            await places.acquire()
            return await super().run(function, args, kwargs, task_metadata)
        finally:
            places.release()


_of_all = weakref.WeakKeyDictionary()


@breaks("CNC-08", "and on another instance, before any was, 4")
class GivesBackToAllInstances(ThreadExecutor):
    """Has the places of a loop on its class, and gives one back in teardown, taken or not."""

    @property
    def _places(self):
        return _of_all.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(4))

    async def setup(self, task_metadata):
        await self._places.acquire()

    async def teardown(self, task_metadata):
        self._places.release()


@breaks("CNC-08", "after that only ")
class CountsTheFailed(_HasPlaces):
    """Looks at what is to be sent once the place is taken, and gives it back after the work."""

    async def run(self, function, args, kwargs, task_metadata):
        places = self._places
        await places.acquire()
        if any(isinstance(value, type(threading.Lock())) for value in args):
            raise TaskRuntimeError("cannot pickle '_thread.lock' object")
        try:
            return await super().run(function, args, kwargs, task_metadata)
        finally:
            places.release()


@breaks("CNC-09", "execute had not ended after")
class WakesNobodyOnAnotherLoop(ThreadExecutor):
    """Has two places for all loops, and wakes who waits for one without asking on which loop."""

    _places = _Places(2)

    async def run(self, function, args, kwargs, task_metadata):
        await self._places.take()
        try:
            return await super().run(function, args, kwargs, task_metadata)
        finally:
            self._places.give_back()


@breaks("CNC-09", "is bound to a different event loop")
class HasOneLockForAll(ThreadExecutor):
    """Sends one task at a time, by a lock of the class."""

    _lock = asyncio.Lock()

    async def run(self, function, args, kwargs, task_metadata):
        async with self._lock:
            return await super().run(function, args, kwargs, task_metadata)
