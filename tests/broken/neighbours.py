"""Wrong by CNC-07: the end of one task reaches others."""

from __future__ import annotations

import asyncio
import concurrent.futures
import multiprocessing
from typing import ClassVar

import cloudpickle
from pytest_asyncexec.reference_executor import ThreadExecutor

from pytest_asyncexec import AsyncBaseExecutor, TaskRuntimeError

from . import breaks


@breaks("CNC-07", "when one of them raised an error, that task was lost: execute")
class RunsAllInOneGroup(ThreadExecutor):
    """Has a group for its tasks, as structured concurrency asks for; one that fails ends all."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self._tasks = set()

    def __getstate__(self):
        return vars(self) | {"_tasks": set()}

    def __deepcopy__(self, memo):
        return type(self)().from_dict(self.to_dict())

    async def run(self, function, args, kwargs, task_metadata):
        work = asyncio.ensure_future(super().run(function, args, kwargs, task_metadata))
        self._tasks.add(work)
        try:
            return await work
        except Exception:
            for other in self._tasks:
                other.cancel()
            raise
        finally:
            self._tasks.discard(work)


@breaks("CNC-07", "when one of them raised an error, that task was lost: execute")
class GivesUpTheDispatch(ThreadExecutor):
    """Spares a dispatch the rest of its tasks when one of them has failed."""

    _works: ClassVar = {}

    async def run(self, function, args, kwargs, task_metadata):
        works = self._works.setdefault(task_metadata["dispatch_id"], set())
        work = asyncio.ensure_future(super().run(function, args, kwargs, task_metadata))
        works.add(work)
        try:
            return await work
        except Exception:
            for other in works:
                other.cancel()
            raise
        finally:
            works.discard(work)


def _call(sent):
    function, args, kwargs = cloudpickle.loads(sent)
    try:
        return True, cloudpickle.dumps(function(*args, **kwargs))
    except BaseException as error:
        return False, f"{type(error).__name__}: {error}"


@breaks("CNC-07", "when one of them ended its worker by os._exit(3), that task was lost: execute")
class HasAPoolThatBreaks(AsyncBaseExecutor):
    """Has a pool of processes, and makes a new one where a worker has died; the others are lost."""

    cannot = frozenset({"stop", "streams"})
    _pools = {}  # noqa: RUF012

    def _pool(self):
        pool = self._pools.get("pool")
        if pool is None or getattr(pool, "_broken", False):
            context = multiprocessing.get_context("spawn")
            pool = concurrent.futures.ProcessPoolExecutor(4, mp_context=context)
            self._pools["pool"] = pool
        return pool

    async def run(self, function, args, kwargs, task_metadata):
        try:
            sent = cloudpickle.dumps((function, args, kwargs))
        except Exception as error:
            raise TaskRuntimeError(f"cannot be pickled: {error!r}") from error
        try:
            well, answer = await asyncio.wrap_future(self._pool().submit(_call, sent))
        except concurrent.futures.BrokenExecutor as error:
            raise TaskRuntimeError(f"the worker has died: {error!r}") from error
        if not well:
            raise TaskRuntimeError(answer)
        return cloudpickle.loads(answer)


@breaks("CNC-07", "when one of them was cancelled by its host, that task was lost: execute")
class ClosesItsConnection(ThreadExecutor):
    """Has one connection for all, and closes it where a task is cancelled."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self._closed = {}

    def __getstate__(self):
        return vars(self) | {"_closed": {}}

    def __deepcopy__(self, memo):
        return type(self)().from_dict(self.to_dict())

    async def run(self, function, args, kwargs, task_metadata):
        loop = asyncio.get_running_loop()
        closed = self._closed.setdefault(loop, loop.create_future())
        if closed.done():
            closed = self._closed[loop] = loop.create_future()
        work = asyncio.ensure_future(super().run(function, args, kwargs, task_metadata))
        try:
            await asyncio.wait({work, closed}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            if not closed.done():
                closed.set_result(None)
            work.cancel()
            raise
        if not work.done():
            work.cancel()
            raise ConnectionError("the connection was closed")
        return work.result()
