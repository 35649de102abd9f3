"""Wrong by TIM."""

from __future__ import annotations

import asyncio

from pytest_asyncexec.reference_executor import LocalExecutor

from pytest_asyncexec import AsyncBaseExecutor, TaskRuntimeError

from . import breaks


@breaks("TIM-02", "nothing stopped it; let go on, execute returned status COMPLETED")
class LeavesTheLimitToItsBackend(LocalExecutor):
    """Says that its backend enforces the limit, and never tells the backend of it."""

    enforces = frozenset({"time_limit"})


@breaks("TIM-04", "a short task with a time_limit of an hour: execute raised")
class TakesMinutesForMilliseconds(LocalExecutor):
    """Hands the limit to a backend that counts in other units."""

    enforces = frozenset({"time_limit"})

    async def run(self, function, args, kwargs, task_metadata):
        limit = self.time_limit * 1e-9 if self.time_limit > 0 else None
        async with asyncio.timeout(limit):
            return await super().run(function, args, kwargs, task_metadata)


@breaks("TIM-04", "status FAILED")
class RefusesLongLimits(LocalExecutor):
    """Its queue takes half an hour at the most, and it lets the task fail instead of saying so."""

    async def setup(self, task_metadata):
        if self.time_limit > 1800:
            raise TaskRuntimeError("time limit over the queue's maximum")


@breaks("TIM-02", "no limit can be noticed then")
@breaks("CAN-01", "nobody can cancel anything then")
class CallsTheTaskItself(AsyncBaseExecutor):
    """The shortest `run` there is; nothing else happens in this process while a task runs."""

    cannot = frozenset({"streams"})

    async def run(self, function, args, kwargs, task_metadata):
        return function(*args, **kwargs)
