"""Hostile in the ways that were met in published plugins, and in some that were not yet."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import sys
import time

from pytest_asyncexec.reference_executor import LocalExecutor, ThreadExecutor


class HangsInToDict(ThreadExecutor):
    def to_dict(self):
        while True:
            time.sleep(0.1)  # never comes back


class SpinsInFromDict(ThreadExecutor):
    def from_dict(self, object_dict):
        while True:
            pass


class HangsInTeardown(ThreadExecutor):
    async def teardown(self, task_metadata):
        await asyncio.Event().wait()  # nobody sets it


class BlocksInSetup(ThreadExecutor):
    async def setup(self, task_metadata):
        while True:
            time.sleep(0.1)  # noqa: ASYNC251  # blocks the loop


class HangsInTheSecondRun(ThreadExecutor):
    runs = 0

    async def run(self, function, args, kwargs, task_metadata):
        type(self).runs += 1
        if self.runs > 1:
            await asyncio.Event().wait()  # the second task never ends
        return await super().run(function, args, kwargs, task_metadata)


class HangsWhenBuilt(ThreadExecutor):
    def __init__(self, **kwargs):
        time.sleep(3600)  # waits for its backend


class Bottom(BaseException):
    """Derives from BaseException, so that nobody catches it by mistake."""


class RaisesBaseExceptionInExecute(ThreadExecutor):
    async def execute(self, *args, **kwargs):
        raise Bottom("out of execute")


class RaisesBaseExceptionInToDict(ThreadExecutor):
    def to_dict(self):
        raise Bottom("out of to_dict")


class InterruptsFromExecute(ThreadExecutor):
    async def execute(self, *args, **kwargs):
        raise KeyboardInterrupt


class InterruptsFromToDict(ThreadExecutor):
    def to_dict(self):
        raise KeyboardInterrupt


class ExitsFromToDict(ThreadExecutor):
    def to_dict(self):
        sys.exit("enough")


class ReturnsNonAwaitables(ThreadExecutor):
    def setup(self, task_metadata):
        return 1

    def run(self, function, args, kwargs, task_metadata):
        return 2

    def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        return 3

    def write_streams_to_file(self, *args):
        return 4


class PrintsMegabytes(ThreadExecutor):
    async def run(self, function, args, kwargs, task_metadata):
        print("x" * 3_000_000)
        try:
            return await super().run(function, args, kwargs, task_metadata)
        except Exception as error:
            raise RuntimeError("y" * 3_000_000) from error


class ClosesTheLoop(ThreadExecutor):
    async def teardown(self, task_metadata):
        loop = asyncio.get_running_loop()
        loop.stop()
        loop.call_soon(loop.close)
        await asyncio.sleep(0)


class ExitsTheHost(ThreadExecutor):
    async def teardown(self, task_metadata):
        os._exit(0)  # so that no thread can keep it


class ExitsTheHostWhenBuilt(ThreadExecutor):
    def __init__(self, **kwargs):
        os._exit(0)


class LowersTheRecursionLimit(ThreadExecutor):
    async def run(self, function, args, kwargs, task_metadata):
        sys.setrecursionlimit(60)
        return await super().run(function, args, kwargs, task_metadata)


class Unspeakable(Exception):
    """Says nothing of itself, and ends a host that asks."""

    def __str__(self):
        raise KeyboardInterrupt

    __repr__ = __str__


class RaisesTheUnspeakable(ThreadExecutor):
    def to_dict(self):
        raise Unspeakable


class ChangesStdout(ThreadExecutor):
    async def setup(self, task_metadata):
        sys.stdout = sys.stderr = io.StringIO()


class DeletesItsAttributes(ThreadExecutor):
    async def teardown(self, task_metadata):
        vars(self).clear()
        for name in ("time_limit", "retries"):
            if name in vars(type(self)):
                delattr(type(self), name)

    def __getattribute__(self, name):
        if name in ("time_limit", "log_stdout") and not object.__getattribute__(self, "__dict__"):
            raise AttributeError(name, name=name, obj=self)
        return object.__getattribute__(self, name)


class ReplacesAsyncio(ThreadExecutor):
    async def setup(self, task_metadata):
        async def never(*args, **kwargs):
            raise RuntimeError("asyncio is mine")

        asyncio.wait = asyncio.sleep = never
        asyncio.ensure_future = None


class KillsItsProcessGroup(LocalExecutor):
    async def run(self, function, args, kwargs, task_metadata):
        # In a host process that the suite has started, and never in that of the suite.
        is_started_by_the_suite = "import main" in sys.orig_argv[-2]
        if is_started_by_the_suite and os.getpgid(0) == os.getpid():
            os.killpg(0, signal.SIGKILL)
        return await super().run(function, args, kwargs, task_metadata)
