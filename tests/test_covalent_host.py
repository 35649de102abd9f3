"""Covalent's protocol, spoken to stand-ins that use it as Covalent's base classes do.

The stand-ins have the same attributes, queues and doors as the classes of Covalent 0.240 and none
of the rest, so that these tests need no Covalent.
"""

from __future__ import annotations

import asyncio
import enum
import functools
import io
import queue
import sys
import types
from collections.abc import Iterator

import pytest
from pytest_asyncexec.conformance.subject.host import (
    CovalentHost,
    NativeHost,
    TemplateHost,
    host_for,
)
from pytest_asyncexec.reference_executor import ThreadExecutor


class Signals(enum.Enum):
    GET = 0
    PUT = 1
    EXIT = 2


class _Base:
    def __init__(self):
        self.log_stdout = self.log_stderr = self.cache_dir = ""
        self.time_limit, self.retries = -1, 0

    @property
    def task_stdout(self):
        return self._task_stdout

    @property
    def task_stderr(self):
        return self._task_stderr


class Asynchronous(_Base):
    def _init_runtime(self, loop=None, cancel_pool=None):
        self._send_queue, self._recv_queue = asyncio.Queue(), asyncio.Queue()

    async def ask(self, action, body):
        self._send_queue.put_nowait((action, body))
        _, answer = await asyncio.wait_for(self._recv_queue.get(), 60)
        return answer

    async def setup(self, task_metadata):
        pass

    async def run(self, function, args, kwargs, task_metadata):
        assert await self.ask(Signals.GET, "cancel_requested") is False
        version = await self.ask(Signals.GET, "version_info")
        assert await self.ask(Signals.PUT, ("job_handle", "42")) is None
        print(version["python"], file=self.task_stdout)
        # Published plugins choose their interpreter by this.
        assert function.args[0].python_version == version["python"]
        return function(*args, **kwargs)

    async def teardown(self, task_metadata):
        pass

    async def _execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        self._task_stdout, self._task_stderr = io.StringIO(), io.StringIO()
        metadata = {"dispatch_id": dispatch_id, "node_id": node_id, "results_dir": results_dir}
        result = await self.run(function, args, kwargs, metadata)
        self._send_queue.put_nowait((Signals.EXIT, None))
        return result, self.task_stdout.getvalue(), "", "COMPLETED"

    execute = _execute


class Synchronous(_Base):
    def _init_runtime(self, loop=None, cancel_pool=None):
        self._send_queue, self._recv_queue, self._loop = asyncio.Queue(), queue.Queue(), loop

    def run(self, function, args, kwargs, task_metadata):
        question = (Signals.GET, "cancel_requested")
        self._loop.call_soon_threadsafe(self._send_queue.put_nowait, question)
        assert self._recv_queue.get(timeout=60) == (True, False)
        return function(*args, **kwargs)

    def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        return self.run(function, args, kwargs, {}), "", "", "COMPLETED"

    async def _execute(self, *task):
        return await asyncio.get_running_loop().run_in_executor(None, self.execute, *task)


@pytest.fixture(autouse=True)
def covalent(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    base = types.ModuleType("covalent.executor.base")
    base._AbstractBaseExecutor = _Base
    monkeypatch.setitem(sys.modules, "covalent.executor.base", base)
    return


def test_the_host_is_chosen_by_the_base_class() -> None:
    assert isinstance(host_for(Asynchronous()), CovalentHost)
    assert type(host_for(ThreadExecutor())) is NativeHost
    # What has no `execute` is run by this package's template.
    assert type(host_for(object())) is TemplateHost


async def test_questions_of_an_asynchronous_executor_are_answered() -> None:
    seen = await CovalentHost().execute(Asynchronous(), pow, [2, 10])

    assert seen.error is None
    assert seen.result == 1024
    assert seen.stdout.startswith("3.")


async def test_questions_of_a_synchronous_executor_are_answered() -> None:
    seen = await CovalentHost().execute(Synchronous(), pow, [2, 10])

    assert seen.error is None
    assert seen.result == 1024


async def test_tasks_at_once_on_one_instance_are_served() -> None:
    # All ask the same: answers in this protocol do not say which question they belong to.
    class Curious(Asynchronous):
        async def run(self, function, args, kwargs, task_metadata):
            assert await self.ask(Signals.GET, "cancel_requested") is False
            return function(*args, **kwargs)

    executor, host = Curious(), CovalentHost()

    outcomes = await asyncio.gather(*(host.execute(executor, abs, [-n]) for n in range(8)))

    assert [seen.result for seen in outcomes] == list(range(8))


async def test_our_template_serves_the_same_executor(tmp_path) -> None:
    executor = Asynchronous()

    seen = await TemplateHost(CovalentHost()).execute(
        executor, pow, [2, 10], results_dir=str(tmp_path)
    )

    assert seen.error is None
    assert seen.result == 1024
    assert seen.stdout.startswith("3.")


def test_the_task_is_what_published_plugins_take() -> None:
    carried = CovalentHost().carry(pow)

    assert isinstance(carried, functools.partial)
    assert carried.args[0].python_version
    # A keyword argument of the task may have any name.
    assert CovalentHost().carry(dict)(function=1, self=2) == {"function": 1, "self": 2}
