"""What the template promises where the documented API is silent, or was forgotten."""

from __future__ import annotations

import asyncio
import gc
import itertools
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from pytest_asyncexec.reference_executor import DaskExecutor, LocalExecutor, ThreadExecutor

from pytest_asyncexec import (
    AsyncBaseExecutor,
    TaskCancelledError,
    TaskRuntimeError,
    TaskStatus,
    TaskTimeoutError,
    run_task,
)


class Recorder(AsyncBaseExecutor):
    """Calls the function here, awaits what it returns, and notes what happens."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._history: list[str] = []

    async def setup(self, task_metadata):
        self._history.append("setup")

    async def run(self, function, args, kwargs, task_metadata):
        self._history.append("run")
        result = function(*args, **kwargs)
        return await result if asyncio.iscoroutine(result) else result

    async def teardown(self, task_metadata):
        self._history.append("teardown")


class OwnError(BaseException):
    """One of the task's own, which no `except Exception` sees."""


def raising(error: BaseException):
    def function() -> None:
        raise error

    return function


def failing(times: int, error: type[BaseException] = ValueError):
    """Return a function that fails as often as told, and then returns its arguments."""
    calls = itertools.count(1)

    def function(*args: Any, **kwargs: Any) -> Any:
        if next(calls) <= times:
            raise error("not yet")
        return args, kwargs

    return function


async def run(executor: Any, function: Any, args: Any = (), kwargs: Any = (), **host: Any) -> Any:
    return await run_task(executor, function, args, kwargs, "d", "unused", 7, **host)


# -- arguments


async def test_an_iterator_of_arguments_serves_every_attempt() -> None:
    args, kwargs = iter([1, 2]), iter([("a", 3), ("b", 4)])

    outcome = await run(Recorder(retries=2), failing(2), args, kwargs)

    assert outcome.result == ((1, 2), {"a": 3, "b": 4})


async def test_arguments_that_cannot_be_read_are_refused_before_anything_runs() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise LookupError("no more")

    executor = Recorder()
    with pytest.raises(LookupError, match="no more"):
        await run(executor, failing(0), broken())

    assert executor._history == []


# -- exceptions that plumbing uses

PLUMBING = [GeneratorExit, KeyboardInterrupt, SystemExit, OwnError]


@pytest.mark.parametrize("limit", [-1, 60])
@pytest.mark.parametrize("kind", PLUMBING)
async def test_what_is_no_error_to_hosts_is_a_failed_attempt_as_any_other(kind, limit) -> None:
    executor = Recorder(time_limit=limit, retries=1)

    outcome = await run(executor, raising(kind("why")))

    assert outcome.status == TaskStatus.FAILED
    assert repr(kind("why")) in outcome.stderr
    assert "raise error" in outcome.stderr
    assert executor._history == ["setup", "run", "run", "teardown"]
    assert (await run(executor, failing(1, kind), [5])).result == ((5,), {})


@pytest.mark.parametrize("where", ["setup", "run", "teardown"])
@pytest.mark.parametrize("kind", PLUMBING)
async def test_it_ends_no_host_wherever_it_comes_from(kind, where) -> None:
    async def method(self, *args: Any, task_metadata: Any = None) -> None:
        raise kind("why")

    executor = type("Executor", (Recorder,), {where: method})()

    outcome = await run(executor, lambda: 42)

    assert outcome.status == (TaskStatus.COMPLETED if where == "teardown" else TaskStatus.FAILED)
    assert repr(kind("why")) in outcome.stderr
    assert ("teardown" in executor._history) == (where != "teardown")


async def test_a_failed_log_ends_no_host() -> None:
    class Executor(Recorder):
        async def write_streams_to_file(self, *args: Any) -> None:
            raise GeneratorExit("why")

    outcome = await run(Executor(), lambda: 42)

    assert outcome.result == 42
    assert "GeneratorExit('why')" in outcome.stderr


async def test_a_stop_iteration_keeps_its_message() -> None:
    for executor in (Recorder(retries=1), ThreadExecutor(retries=1)):
        with pytest.raises(RuntimeError, match="StopIteration") as caught:
            await run(executor, raising(StopIteration("why")))

        assert caught.value.__notes__ == ["The task raised: StopIteration('why')"]


async def test_a_cancelled_error_is_cancelled_with_its_message() -> None:
    outcome = await run(Recorder(retries=1), raising(asyncio.CancelledError("no pressure")))

    assert outcome.status == TaskStatus.CANCELLED
    assert "CancelledError('no pressure')" in outcome.stderr


@pytest.mark.parametrize("kind", [asyncio.CancelledError, *PLUMBING])
async def test_in_a_thread_it_is_the_tasks_own_and_it_is_attempted_again(kind) -> None:
    class Plain:
        retries = 1

        def run(self, function, args, kwargs, task_metadata):
            return function(*args, **kwargs)

    for executor in (ThreadExecutor(retries=1), Plain()):
        outcome = await run(executor, raising(kind("why")))

        assert outcome.status == TaskStatus.FAILED
        assert repr(kind("why")) in outcome.stderr
        assert "raise error" in outcome.stderr
        assert (await run(executor, failing(1, kind), [5])).result == ((5,), {})


async def test_an_error_that_cannot_be_shown_is_named() -> None:
    class Shy(BaseException):
        def __repr__(self) -> str:
            raise LookupError

    outcome = await run(Recorder(), raising(Shy()))

    assert outcome.status == TaskStatus.FAILED
    assert "The task raised: Shy" in outcome.stderr


def test_a_task_that_is_thrown_away_with_its_loop_is_not_torn_down() -> None:
    executor = Recorder()
    loop = asyncio.new_event_loop()
    executing = loop.create_task(run(executor, asyncio.Event().wait))
    loop.run_until_complete(asyncio.sleep(0))
    del executing
    loop._ready.clear()
    loop.close()
    gc.collect()

    assert executor._history == ["setup", "run"]


async def test_a_coroutine_that_is_thrown_away_in_a_loop_that_goes_on_is_torn_down() -> None:
    executor = Recorder()
    executing = run(executor, asyncio.Event().wait)
    executing.send(None)
    assert executor._history == ["setup", "run"]

    executing.close()
    gc.collect()
    for _ in range(5):
        await asyncio.sleep(0)

    assert executor._history == ["setup", "run", "teardown"]


# -- messages


@pytest.mark.parametrize("kind", [TaskRuntimeError, TaskCancelledError])
@pytest.mark.parametrize("make", [Recorder, ThreadExecutor, LocalExecutor, DaskExecutor])
async def test_a_message_given_to_a_task_error_is_found_in_the_outcome(kind, make) -> None:
    outcome = await run(make(), raising(kind("why it is so")))

    assert outcome.status in (TaskStatus.FAILED, TaskStatus.CANCELLED)
    assert "why it is so" in outcome.stderr


# -- the host's answer


async def test_a_task_cancelled_before_it_began_never_begins() -> None:
    executor = Recorder(retries=3)

    outcome = await run(executor, failing(0), cancel_requested=lambda: True)

    assert outcome.status == TaskStatus.CANCELLED
    assert "cancelled by its host" in outcome.stderr
    assert executor._history == ["teardown"]


async def test_a_task_cancelled_while_it_was_set_up_never_begins() -> None:
    executor = Recorder()

    outcome = await run(
        executor, failing(0), cancel_requested=lambda: executor._history == ["setup"]
    )

    assert outcome.status == TaskStatus.CANCELLED
    assert executor._history == ["setup", "teardown"]


async def test_a_host_that_a_subclass_asks_is_asked_by_execute_too() -> None:
    class Platform(Recorder):
        async def get_cancel_requested(self) -> bool:
            return True

    executor = Platform()

    assert (await executor.execute(failing(0), [], {}, "d", ".")).status == TaskStatus.CANCELLED
    assert executor._history == ["teardown"]


async def test_a_host_that_cannot_be_asked_stops_no_task(caplog) -> None:
    def answer() -> bool:
        raise OSError("no connection")

    with caplog.at_level(logging.WARNING):
        assert (await run(Recorder(), failing(0), cancel_requested=answer)).result == ((), {})

    assert "could not be asked" in caplog.text


# -- time limits of executors that cannot stop


@pytest.mark.parametrize("enforces", [frozenset(), frozenset({"time_limit"})])
@pytest.mark.parametrize(
    "cannot", ["stop", {"stop"}, frozenset({"stop", "streams"}), ("stop",), ["stop"]]
)
async def test_who_cannot_stop_a_task_refuses_a_time_limit_before_anything_runs(
    cannot, enforces
) -> None:
    executor = type("Unstoppable", (Recorder,), {"cannot": cannot, "enforces": enforces})()
    for limit in (None, 0, -1, float("inf")):
        executor.time_limit = limit
        assert (await run(executor, failing(0))).status == TaskStatus.COMPLETED
    executor._history.clear()
    executor.time_limit = 5

    for work in (run(executor, failing(0)), executor.execute(failing(0), [], {}, "d", ".")):
        with pytest.raises(ValueError, match=r"Unstoppable cannot keep time_limit=5, .* stop"):
            await work

    assert executor._history == []


def test_no_limit_is_refused_by_a_thread_executor() -> None:
    assert ThreadExecutor(time_limit=float("inf")).time_limit == float("inf")
    with pytest.raises(ValueError, match="cannot keep time_limit"):
        ThreadExecutor(time_limit=1)


# -- many cancellations


class Slow(Recorder):
    """Waits at many places, and a little when it is cancelled, too."""

    async def setup(self, task_metadata):
        await super().setup(task_metadata)
        await self._turns(2)

    async def run(self, function, args, kwargs, task_metadata):
        self._history.append("run")
        try:
            await self._turns(2)
        finally:
            await self._turns(2)
        raise ValueError("again")

    async def teardown(self, task_metadata):
        await self._turns(2)
        await super().teardown(task_metadata)

    async def write_streams_to_file(self, *args: Any) -> None:
        await self._turns(2)

    async def _turns(self, number: int) -> None:
        for _ in range(number):
            await asyncio.sleep(0)


@pytest.mark.parametrize("limit", [-1, 60])
async def test_however_often_a_task_is_cancelled_it_ends_in_cancelled_error(limit) -> None:
    async def ask() -> bool:
        await asyncio.sleep(0)
        return False

    for first, second, third in itertools.combinations_with_replacement(range(24), 3):
        executor = Slow(time_limit=limit, retries=1)
        executing = asyncio.ensure_future(run(executor, None, cancel_requested=ask))
        cancelled = 0
        for turn in range(200):
            if executing.done():
                break
            for when in (first, second, third):
                if when == turn:
                    executing.cancel()
                    cancelled += 1
            await asyncio.sleep(0)
        assert executing.done()
        if cancelled:
            assert executing.cancelled(), (first, second, third)
        else:
            assert isinstance(executing.exception(), ValueError)
        assert executor._history.count("teardown") == (0 if first == 0 else 1)


async def test_over_the_limit_what_plumbing_uses_does_not_count() -> None:
    async def leaves() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise GeneratorExit

    with pytest.raises(TaskTimeoutError):
        await run(Recorder(time_limit=0.01), leaves)
