"""Wrong by TIM."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import os
import signal
import subprocess
import threading
from typing import ClassVar

from pytest_asyncexec.reference_executor import LocalExecutor, ThreadExecutor
from pytest_asyncexec.reference_executor._process import Worker

from pytest_asyncexec import (
    AsyncBaseExecutor,
    TaskCancelledError,
    TaskOutcome,
    TaskRuntimeError,
    TaskStatus,
    TaskTimeoutError,
)

from . import breaks

# ---- TIM-01 ------------------------------------------------------------------------------


@breaks("TIM-01", "a task with time_limit=-")
class KnowsOneNumberForNone(LocalExecutor):
    """Knows -1, and hands all others to asyncio, to which one below zero is over at once."""

    enforces = frozenset({"time_limit"})

    async def run(self, function, args, kwargs, task_metadata):
        async with asyncio.timeout(None if self.time_limit == -1 else self.time_limit):
            return await super().run(function, args, kwargs, task_metadata)


@breaks("TIM-01", "a task that takes a year, with time_limit=-1: execute raised TimeoutError")
class HasADefaultOfADay(LocalExecutor):
    """Knows that a negative limit is none, and that nothing takes longer than a day."""

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        async with asyncio.timeout(None if self.time_limit > 0 else 24 * 3600):
            return await super().execute(function, args, kwargs, dispatch_id, results_dir, node_id)


# ---- TIM-02 ------------------------------------------------------------------------------


@breaks("TIM-02", "nothing stopped it; let go on, execute returned status COMPLETED")
class LeavesTheLimitToItsBackend(LocalExecutor):
    """Says that its backend enforces the limit, and never tells the backend of it."""

    enforces = frozenset({"time_limit"})


@breaks("TIM-02", "execute returned status COMPLETED, result None")
class CompletesWithoutAResult(LocalExecutor):
    """Takes what there is when the time is over, which is nothing."""

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        with contextlib.suppress(TaskTimeoutError):
            return await super().execute(function, args, kwargs, dispatch_id, results_dir, node_id)
        return TaskOutcome(None, "", "", TaskStatus.COMPLETED)


@breaks("TIM-02", "execute returned status CANCELLED")
class CallsItCancelled(LocalExecutor):
    """Stops the task in time, and reports what it has done to it instead of why."""

    enforces = frozenset({"time_limit"})

    async def run(self, function, args, kwargs, task_metadata):
        try:
            async with asyncio.timeout(self.time_limit if self.time_limit > 0 else None):
                return await super().run(function, args, kwargs, task_metadata)
        except TimeoutError as error:
            raise TaskCancelledError("stopped after its time_limit") from error


@breaks("CAN-01", "nobody can cancel anything then")
class CallsTheTaskItself(AsyncBaseExecutor):
    """The shortest `run` there is; nothing else happens in this process while a task runs."""

    cannot = frozenset({"streams"})

    async def run(self, function, args, kwargs, task_metadata):
        return function(*args, **kwargs)


@breaks("TIM-02", "a task of two hours, with a time_limit of one: execute returned")
class IsGenerousWithTime(LocalExecutor):
    """Adds up what the start of a job may take, and trebles it to be sure."""

    enforces = frozenset({"time_limit"})

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        task = super().execute(function, args, kwargs, dispatch_id, results_dir, node_id)
        return await asyncio.wait_for(task, self.time_limit * 3 if self.time_limit > 0 else None)


# ---- TIM-03 ------------------------------------------------------------------------------


@breaks("TIM-03", "a task that was held in a blocking call")
class LeavesItsThreadRunning(AsyncBaseExecutor):
    """Runs tasks in threads, under a limit that ends the waiting for them alone."""

    cannot = frozenset({"streams"})

    async def run(self, function, args, kwargs, task_metadata):
        return await asyncio.to_thread(function, *args, **kwargs)


class _AsksNicely(LocalExecutor):
    """Ends its workers with the signal that lets them clean up, and forgets those that do not."""

    async def _clean_up(self, attempt):
        attempt.worker.end = lambda: _asked(attempt.worker)
        await super()._clean_up(attempt)


def _asked(worker):
    _signal(worker, signal.SIGTERM)
    if worker.process is not None:
        try:
            worker.process.wait(0.3)
        except subprocess.TimeoutExpired:
            # It keeps its ties, or it would end by those.
            return worker.take_printed()
    return Worker.end(worker)


def _signal(worker, number):
    if worker.process is not None and worker.process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker.process.pid, number)


@breaks("TIM-03", "a task that ignores SIGTERM was over its time_limit")
class AsksItsWorkersNicely(_AsksNicely):
    """Sends SIGTERM and waits for a moment, which is enough for most."""


# ---- TIM-04 ------------------------------------------------------------------------------


@breaks("TIM-04", "with time_limit=3600: it never ran; execute raised")
class TakesMinutesForMilliseconds(LocalExecutor):
    """Hands the limit to a backend that counts in other units."""

    enforces = frozenset({"time_limit"})

    async def run(self, function, args, kwargs, task_metadata):
        limit = self.time_limit * 1e-9 if self.time_limit > 0 else None
        async with asyncio.timeout(limit):
            return await super().run(function, args, kwargs, task_metadata)


@breaks("TIM-04", "a task of 54 minutes, with a time_limit of an hour: execute raised")
class CountsTenthsOfSeconds(LocalExecutor):
    """Takes the limit for what its backend's scheduler calls ticks."""

    enforces = frozenset({"time_limit"})

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        task = super().execute(function, args, kwargs, dispatch_id, results_dir, node_id)
        return await asyncio.wait_for(task, self.time_limit / 10 if self.time_limit > 0 else None)


@breaks("TIM-04", "status FAILED")
class RefusesLongLimits(LocalExecutor):
    """Its queue takes half an hour at the most, and it lets the task fail instead of saying so."""

    async def setup(self, task_metadata):
        if self.time_limit > 1800:
            raise TaskRuntimeError("time limit over the queue's maximum")


# ---- TIM-05 ------------------------------------------------------------------------------


@breaks("TIM-05", "execute ended without teardown having been awaited to its end")
class TearsDownWhatItKnows(LocalExecutor):
    """Watches the limit around everything, teardown too, which the time-out cuts off."""

    enforces = frozenset({"time_limit"})

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        metadata = {"dispatch_id": dispatch_id, "node_id": node_id, "results_dir": results_dir}
        async with asyncio.timeout(self.time_limit if self.time_limit > 0 else None):
            await self.setup(metadata)
            result = await self.run(function, args, kwargs, metadata)
            await self.teardown(metadata)
        return TaskOutcome(result, "", "", TaskStatus.COMPLETED)


@breaks("TIM-05", "the next task on the same instance, with a limit of an hour")
class KeepsItsPlaceTaken(LocalExecutor):
    """Has one place for a task, and gives it back where the task has ended by itself."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._taken = False

    async def run(self, function, args, kwargs, task_metadata):
        if self._taken:
            raise TaskRuntimeError("the place is taken")
        self._taken = True
        try:
            result = await super().run(function, args, kwargs, task_metadata)
        except Exception:
            self._taken = False
            raise
        self._taken = False
        return result


# ---- TIM-06 ------------------------------------------------------------------------------


@breaks("TIM-06", "a task over its time_limit of")
class WaitsForItsThread(AsyncBaseExecutor):
    """Reports a time-out, but only where the thread it runs in can be made to raise it."""

    cannot = frozenset({"streams"})
    enforces = frozenset({"time_limit"})

    async def run(self, function, args, kwargs, task_metadata):
        limit = self.time_limit if self.time_limit > 0 else None
        done, _ = await asyncio.wait(
            {asyncio.ensure_future(asyncio.to_thread(function, *args, **kwargs))}, timeout=limit
        )
        if not done:
            raise TaskCancelledError("asked its thread to stop")
        return done.pop().result()


@breaks("TIM-06", "with a time_limit of an hour was running, the event loop is blocked")
class JoinsItsThread(ThreadExecutor):
    """Leaves the limit to the one who knows it: wait(timeout)."""

    cannot = frozenset({"streams"})
    enforces = frozenset({"time_limit"})

    def _refuse_time_limit(self):
        pass

    async def run(self, function, args, kwargs, task_metadata):
        if self.time_limit <= 0:
            return await super().run(function, args, kwargs, task_metadata)
        loop = asyncio.get_running_loop()
        ended = threading.Event()
        running = loop.run_in_executor(None, lambda: (_ignored(function, args), ended.set()))
        if not ended.wait(self.time_limit):
            raise TaskTimeoutError("over its limit")
        return await running


def _ignored(function, args):
    with contextlib.suppress(Exception):
        function(*args)


# ---- TIM-07 ------------------------------------------------------------------------------


@breaks("TIM-07", "setup and teardown took longer than that")
class LimitsTheWholeTask(LocalExecutor):
    """One clock around everything is one line."""

    enforces = frozenset({"time_limit"})

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        async with asyncio.timeout(self.time_limit if self.time_limit > 0 else None):
            return await super().execute(function, args, kwargs, dispatch_id, results_dir, node_id)


@breaks("TIM-07", "and so did three attempts together")
class HasOneDeadlineForAllAttempts(LocalExecutor):
    """Reckons when the task has to be over, where the first attempt begins, and keeps to it."""

    enforces = frozenset({"time_limit"})

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._deadlines = {}

    async def run(self, function, args, kwargs, task_metadata):
        loop = asyncio.get_running_loop()
        task = (task_metadata["dispatch_id"], task_metadata["node_id"])
        deadline = self._deadlines.setdefault(task, loop.time() + self.time_limit)
        async with asyncio.timeout_at(deadline if self.time_limit > 0 else None):
            return await super().run(function, args, kwargs, task_metadata)


# ---- TIM-08 ------------------------------------------------------------------------------


@breaks("TIM-08", "of the class of errors that says that the limit was over")
class TakesEveryTimeOutForItsOwn(LocalExecutor):
    """Gives every TimeoutError the message that users of this executor know."""

    async def run(self, function, args, kwargs, task_metadata):
        try:
            return await super().run(function, args, kwargs, task_metadata)
        except TimeoutError as error:
            raise TaskTimeoutError(f"The task took longer than {self.time_limit} s") from error


@breaks("TIM-08", "a task that raises a TimeoutError, with time_limit=3600")
class TranslatesUnderALimit(LocalExecutor):
    """Watches the limit with wait_for, whose error it cannot tell from the task's."""

    enforces = frozenset({"time_limit"})

    async def run(self, function, args, kwargs, task_metadata):
        work = super().run(function, args, kwargs, task_metadata)
        if self.time_limit <= 0:
            return await work
        try:
            return await asyncio.wait_for(work, self.time_limit)
        except TimeoutError:
            raise TaskRuntimeError(f"over the limit of {self.time_limit} s") from None


# ---- TIM-09 ------------------------------------------------------------------------------


@breaks("TIM-09", "its child still runs (process")
class KillsTheWorkerAlone(LocalExecutor):
    """Kills the process it has started, and none of those that that one has started."""

    async def _clean_up(self, attempt):
        attempt.worker.kill = lambda: _signal(attempt.worker, signal.SIGKILL)
        await super()._clean_up(attempt)


# ---- TIM-11 ------------------------------------------------------------------------------


class _InThreads(AsyncBaseExecutor):
    cannot = frozenset({"stop", "streams"})

    async def run(self, function, args, kwargs, task_metadata):
        return await asyncio.to_thread(function, *args, **kwargs)

    async def _without_limit(self, *task):
        unlimited = copy.copy(self)
        unlimited.time_limit = -1
        return await AsyncBaseExecutor.execute(unlimited, *task)


@breaks("TIM-11", "time_limit=5, given to the constructor: setup and run had been called")
class TakesALimitAndIgnoresIt(_InThreads):
    """Lets every task come to its end, for nothing can be done about it."""

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        task = (function, args, kwargs, dispatch_id, results_dir, node_id)
        return await self._without_limit(*task)


@breaks("TIM-11", "setup and run had been called; execute raised ValueError: time_limit=5")
class RefusesALimitAfterwards(_InThreads):
    """Looks at its settings where the outcome is put together."""

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        task = (function, args, kwargs, dispatch_id, results_dir, node_id)
        outcome = await self._without_limit(*task)
        if self.time_limit > 0:
            raise ValueError(f"time_limit={self.time_limit} cannot be kept: set it to -1")
        return outcome


@breaks("TIM-11", "time_limit=5, set on the instance: setup and run had been called")
class RefusesALimitInItsConstructor(_InThreads):
    """Is built without a limit; what is set later it does not look at."""

    def __init__(self, **settings):
        super().__init__(**settings)
        if self.time_limit > 0:
            raise ValueError(f"time_limit={self.time_limit} cannot be kept: set it to -1")

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        task = (function, args, kwargs, dispatch_id, results_dir, node_id)
        return await self._without_limit(*task)


@breaks("TIM-11", "it was refused by words that do not name time_limit: ValueError: not supported")
class RefusesWithoutAReason(_InThreads):
    """Refuses what it does not support, and does not say what that is."""

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        task = (function, args, kwargs, dispatch_id, results_dir, node_id)
        if self.time_limit > 0:
            raise ValueError("not supported")
        return await self._without_limit(*task)


# ---- TIM-10 ------------------------------------------------------------------------------


@breaks("TIM-10", "and had not begun before; without a limit it completes")
class WaitsForItsTurnInRun(LocalExecutor):
    """Lets one task work at a time; whoever comes too early waits where it would work."""

    _turns: ClassVar = {}

    def __init__(self, **settings):
        super().__init__(**settings, max_workers=32)

    async def run(self, function, args, kwargs, task_metadata):
        loop = asyncio.get_running_loop()
        async with self._turns.setdefault(loop, asyncio.Lock()):
            return await super().run(function, args, kwargs, task_metadata)


@breaks("TIM-10", "and had not begun before; without a limit it completes")
class HasEightPlaces(LocalExecutor):
    """Spares its backend more than eight tasks at once."""

    def __init__(self, **settings):
        super().__init__(**settings, max_workers=32)
        self._places = {}

    async def run(self, function, args, kwargs, task_metadata):
        loop = asyncio.get_running_loop()
        async with self._places.setdefault(loop, asyncio.Semaphore(8)):
            return await super().run(function, args, kwargs, task_metadata)


@breaks("TIM-10", "which return at once: execute raised TaskTimeoutError: over its limit")
class ReckonsFromTheSubmission(LocalExecutor):
    """Notes when a task has to be over, where it is handed in."""

    enforces = frozenset({"time_limit"})

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        unlimited = copy.copy(self)
        unlimited.time_limit = -1
        task = (function, args, kwargs, dispatch_id, results_dir, node_id)
        try:
            async with asyncio.timeout(self.time_limit if self.time_limit > 0 else None):
                return await LocalExecutor.execute(unlimited, *task)
        except TimeoutError as error:
            raise TaskTimeoutError("over its limit") from error
