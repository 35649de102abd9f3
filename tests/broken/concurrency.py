"""Wrong by CNC."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import hashlib
import io
import lzma
import multiprocessing
import re
import socket
import subprocess
import sys
import tempfile
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import cloudpickle
from pytest_asyncexec.reference_executor import LocalExecutor, ThreadExecutor

from pytest_asyncexec import AsyncBaseExecutor, TaskOutcome, TaskStatus

from . import breaks


@breaks("CNC-01", "it got what belongs to")
class KeepsStreamsOnSelf(LocalExecutor):
    """Makes the streams of a task attributes of the executor, as Covalent's template does."""

    _out = io.StringIO()

    @property
    def task_stdout(self):
        return self._out

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        self._out = io.StringIO()
        outcome = await super().execute(function, args, kwargs, dispatch_id, results_dir, node_id)
        return outcome._replace(stdout=self._out.getvalue())


@breaks("CNC-01", "`run` was given the metadata")
class KeepsNodeOnSelf(ThreadExecutor):
    """Remembers for which node it works, and passes on what it remembers."""

    async def setup(self, task_metadata):
        self._node = task_metadata["node_id"]
        # Every real setup waits for something.
        await asyncio.sleep(0.01)

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        metadata = {"dispatch_id": dispatch_id, "node_id": node_id, "results_dir": results_dir}
        await self.setup(metadata)
        try:
            result = await self.run(function, args, kwargs, metadata | {"node_id": self._node})
        finally:
            await self.teardown(metadata)
        return TaskOutcome(result, "", "", TaskStatus.COMPLETED)


class _KeepsItsCalls(ThreadExecutor):
    _until_connected = 0.0

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._calls = {}

    async def run(self, function, args, kwargs, task_metadata):
        key = self._key(task_metadata)
        self._calls[key] = function, args, kwargs
        # It is fetched again when the connection is there.
        await asyncio.sleep(self._until_connected)
        return await super().run(*self._calls[key], task_metadata)


@breaks("CNC-01", "of node 1 of dispatch-")
class KnowsTasksByTheirDispatch(_KeepsItsCalls):
    """Takes the dispatch id for the name of a task; all tasks of a workflow have the same."""

    def _key(self, task_metadata):
        return task_metadata["dispatch_id"]


@breaks("CNC-01", "it got what belongs to")
class KnowsTasksByTheirNode(_KeepsItsCalls):
    """Takes the number of the node for the name of a task; every workflow has a node 0."""

    def _key(self, task_metadata):
        return task_metadata["node_id"]


@breaks("CNC-01", "by itself it is right")
class NamesJobsByLettersAlone(_KeepsItsCalls):
    """Replaces what the name of a job may not have: two ids with other signs become one."""

    # Long enough for two of the plan with such ids to meet.
    _until_connected = 0.2

    def _key(self, task_metadata):
        return re.sub(r"\W", "_", task_metadata["dispatch_id"]), task_metadata["node_id"]


@breaks("CNC-01", "of dispatch-")
class DropsTheSign(_KeepsItsCalls):
    """Names a job by its node, and a name must not begin with a dash."""

    def _key(self, task_metadata):
        return task_metadata["dispatch_id"], abs(task_metadata["node_id"])


@breaks("CNC-01", "by itself it is right")
class HasSixteenSlots(ThreadExecutor):
    """Keeps what belongs to a task in slot number n % 16: of more at once some share one."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self._count, self._slots = 0, [None] * 16

    def __getstate__(self):
        return vars(self) | {"_count": 0, "_slots": [None] * 16}

    async def run(self, function, args, kwargs, task_metadata):
        slot = self._count % 16
        self._count += 1
        self._slots[slot] = token = object()
        result = await super().run(function, args, kwargs, task_metadata)
        return result if self._slots[slot] is token else "what another task has left there"


@breaks("CNC-02", "it got what belongs to")
class SharesOneOutbox(ThreadExecutor):
    """Keeps its results where a mutable default of the class has always been."""

    outbox: ClassVar[dict] = {}

    async def run(self, function, args, kwargs, task_metadata):
        self.outbox["result"] = await super().run(function, args, kwargs, task_metadata)
        # The result is fetched by another request.
        await asyncio.sleep(0.05)
        return self.outbox["result"]


@breaks("CNC-02", "`run` was given the metadata")
class NumbersItsNodesInTheModule(ThreadExecutor):
    """Has one instance per node, it was told, and remembers the node in a global variable."""

    async def setup(self, task_metadata):
        global _node
        _node = task_metadata["node_id"]
        await asyncio.sleep(0.01)

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        metadata = {"dispatch_id": dispatch_id, "node_id": node_id, "results_dir": results_dir}
        await self.setup(metadata)
        try:
            result = await self.run(function, args, kwargs, metadata | {"node_id": _node})
        finally:
            await self.teardown(metadata)
        return TaskOutcome(result, "", "", TaskStatus.COMPLETED)


_node = -1


@breaks("CNC-03", "of a task that succeeds: in setup the event loop is blocked at")
class SleepsInSetup(ThreadExecutor):
    """Gives its machine the moment that it needs."""

    async def setup(self, task_metadata):
        time.sleep(0.001)  # noqa: ASYNC251


@breaks("CNC-03", "in teardown the event loop is blocked at")
class CallsAProgramInTeardown(ThreadExecutor):
    """Calls a program of the command line, which is quick."""

    async def teardown(self, task_metadata):
        await asyncio.sleep(0)
        command = [sys.executable, "-S", "-c", ""]
        subprocess.run(command, check=True, capture_output=True)  # noqa: ASYNC221


@breaks("CNC-03", "it calls concurrent.futures.Future.result")
class WaitsForItsPool(ThreadExecutor):
    """Does the work on a thread, as it should, and then waits for that thread."""

    async def run(self, function, args, kwargs, task_metadata):
        with ThreadPoolExecutor(1) as pool:
            size = pool.submit(len, args).result()
        return await super().run(function, args[:size], kwargs, task_metadata)


@breaks("CNC-03", "of a task that is cancelled by its host: in run the event loop is blocked at")
class WaitsForTheDead(ThreadExecutor):
    """Cleans up after a task that was cancelled, and gives it a second for that."""

    async def run(self, function, args, kwargs, task_metadata):
        try:
            return await super().run(function, args, kwargs, task_metadata)
        except asyncio.CancelledError:
            time.sleep(0.01)  # noqa: ASYNC251
            raise


@breaks("CNC-01", "4 tasks at once, on one instance; of node ")
class ShipsEachFunctionOnce(ThreadExecutor):
    """Sends a function on once, and knows it by its name from then on."""

    async def run(self, function, args, kwargs, task_metadata):
        sent = _SENT.setdefault(self, {})
        function = sent.setdefault(function.__name__, function)
        return await super().run(function, args, kwargs, task_metadata)


_SENT = weakref.WeakKeyDictionary()


@breaks("CNC-03", "it calls os.waitpid")
class JoinsItsProcess(ThreadExecutor):
    """Tears down a process of `multiprocessing` as its documentation does."""

    async def teardown(self, task_metadata):
        process = multiprocessing.get_context("spawn").Process(target=len, args=("",))
        process.start()
        process.join()


@breaks("CNC-03", "of a task that is given a large argument: the event loop is kept busy at")
class CompressesOnTheLoop(LocalExecutor):
    """Compresses what it sends in a line of its coroutine, where nobody notices small things."""

    async def run(self, function, args, kwargs, task_metadata):
        sent = lzma.compress(cloudpickle.dumps((args, kwargs)))
        args, kwargs = cloudpickle.loads(lzma.decompress(sent))
        return await super().run(function, args, kwargs, task_metadata)


@breaks("CNC-03", "of a task that succeeds: the event loop is kept busy at")
class MakesAKeyForEachTask(ThreadExecutor):
    """Derives a key from a password, which is slow by design."""

    async def run(self, function, args, kwargs, task_metadata):
        # By the clock of the thread: with a number of rounds it would be another on each machine.
        end = time.thread_time() + 0.3
        while time.thread_time() < end:
            hashlib.pbkdf2_hmac("sha256", b"password", b"salt", 1000)
        return await super().run(function, args, kwargs, task_metadata)


@breaks("CNC-03", "it calls open, and writes")
class WritesItsFileOnTheLoop(LocalExecutor):
    """Writes what it sends to a file, and gives the pickling alone to a thread."""

    async def run(self, function, args, kwargs, task_metadata):
        sent = await asyncio.to_thread(cloudpickle.dumps, (args, kwargs))
        with tempfile.NamedTemporaryFile() as file:
            file.write(sent)
            file.flush()
            await asyncio.sleep(0)
        return await super().run(function, args, kwargs, task_metadata)


@breaks("CNC-03", "in setup the event loop is blocked at")
class LooksItsHostUp(ThreadExecutor):
    """Asks for the address of its machine; the name server takes seconds on a bad day."""

    async def setup(self, task_metadata):
        with contextlib.suppress(OSError):
            socket.gethostbyname("localhost")  # noqa: ASYNC212, RUF100


@breaks(
    "CNC-03", "of a task that fails in each of three attempts: in run the event loop is blocked"
)
class BacksOffFromTheSecondOn(ThreadExecutor):
    """Makes its retries itself, and waits before each but the first of them."""

    enforces = frozenset({"retries"})

    async def run(self, function, args, kwargs, task_metadata):
        for attempt in range(self.retries + 1):
            try:
                return await super().run(
                    function, copy.deepcopy(args), copy.deepcopy(kwargs), task_metadata
                )
            except Exception:
                if attempt == self.retries:
                    raise
                if attempt:
                    time.sleep(0.01 * 2**attempt)  # noqa: ASYNC251
        raise AssertionError("the last attempt returns or raises")


@breaks("CNC-03", "of a task that is stopped by cancel(): in cancel the event loop is blocked")
class GivesItAMomentToDie(LocalExecutor):
    """Waits in `cancel` until what it has stopped is sure to be gone."""

    async def cancel(self, task_metadata, job_handle):
        time.sleep(0.01)  # noqa: ASYNC251
        return await super().cancel(task_metadata, job_handle)


@breaks("CNC-04", "and on a second one: execute raised RuntimeError")
class KeepsItsClient(AsyncBaseExecutor):
    """Makes one client for all tasks, since connecting is slow; that belongs to its loop."""

    cannot = ThreadExecutor.cannot
    _home = None

    async def run(self, function, args, kwargs, task_metadata):
        cls = type(self)
        if cls._home is None:
            cls._home = asyncio.get_running_loop()
        return await cls._home.run_in_executor(None, lambda: function(*args, **kwargs))


@breaks("CNC-04", "and on a second one: execute")
class KeepsItsQueue(AsyncBaseExecutor):
    """A task of its own serves its queue, from the first use on: on the loop of that time."""

    cannot = ThreadExecutor.cannot
    _jobs: ClassVar[list] = []

    async def run(self, function, args, kwargs, task_metadata):
        if not self._jobs:
            self._jobs.append(asyncio.Queue())
            self._jobs.append(asyncio.ensure_future(self._serve(self._jobs[0])))
        queue, server = self._jobs
        done = asyncio.get_running_loop().create_future()
        await queue.put((done, function, args, kwargs))
        if server.done():
            raise RuntimeError("nobody serves the queue any more")
        return await done

    async def _serve(self, queue):
        while True:
            done, function, args, kwargs = await queue.get()
            asyncio.ensure_future(self._work(done, function, args, kwargs))  # noqa: RUF006

    async def _work(self, done, function, args, kwargs):
        try:
            result = await asyncio.to_thread(function, *args, **kwargs)
        except Exception as error:
            done.cancelled() or done.set_exception(error)
        else:
            done.cancelled() or done.set_result(result)


@breaks("CNC-04", "is bound to a different event loop")
class SharesItsPlaces(ThreadExecutor):
    """Has two places for the tasks of all its instances; whoever waits for one binds them."""

    _places = asyncio.Semaphore(2)

    async def run(self, function, args, kwargs, task_metadata):
        async with self._places:
            return await super().run(function, args, kwargs, task_metadata)


@breaks("CNC-05", "and nobody had cancelled it")
class CancelsEverything(ThreadExecutor):
    """Knows its tasks, and when one is cancelled, it cancels its tasks."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self._tasks = set()

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        self._tasks.add(asyncio.current_task())
        try:
            return await super().execute(function, args, kwargs, dispatch_id, results_dir, node_id)
        except asyncio.CancelledError:
            for task in self._tasks:
                task.cancel()
            raise
        finally:
            self._tasks.discard(asyncio.current_task())


@breaks("CNC-05", "which belongs to dispatch-")
class RemembersTheLastError(ThreadExecutor):
    """Notes the error of a task, and looks for one when a task has ended."""

    _error = None

    async def setup(self, task_metadata):
        self._error = None

    async def run(self, function, args, kwargs, task_metadata):
        result = None
        try:
            result = await super().run(function, args, kwargs, task_metadata)
        except Exception as error:
            self._error = error
        if self._error is not None:
            raise RuntimeError(f"the task failed: {self._error}")
        return result
