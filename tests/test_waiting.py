"""Waiting that cancellation cannot cut short, and tasks that start at once."""

import asyncio
import contextlib
import gc
import logging
import sys
import threading
import weakref
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import pytest

from pytest_asyncexec import AsyncBaseExecutor, TaskRuntimeError
from pytest_asyncexec.base import eager
from pytest_asyncexec.base.waiting import call, ended, undisturbed


async def test_what_waits_for_nothing_has_ended_when_it_is_started() -> None:
    turns = []
    asyncio.get_running_loop().call_soon(turns.append, "the loop's turn")

    async def work() -> str:
        return "done"

    task = eager.started(work())

    assert task.done()
    assert task.result() == "done"
    assert turns == []


async def test_a_started_task_is_the_current_one_until_it_ends() -> None:
    seen = []

    async def work() -> None:
        seen.append(asyncio.current_task())
        await asyncio.sleep(0)
        seen.append(asyncio.current_task())

    caller = asyncio.current_task()
    task = eager.started(work())

    assert asyncio.current_task() is caller
    await task
    assert seen == [task, task]
    assert asyncio.current_task() is caller


async def test_a_started_task_has_a_context_of_its_own() -> None:
    where: ContextVar[str] = ContextVar("where", default="outside")

    async def work() -> str:
        where.set("inside")
        return where.get()

    assert eager.started(work()).result() == "inside"
    assert where.get() == "outside"


async def test_a_time_limit_begun_in_the_first_step_limits_that_task_alone() -> None:
    async def work() -> None:
        async with asyncio.timeout(0.01):
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await eager.started(work())
    assert asyncio.current_task().cancelling() == 0


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt()])
async def test_an_error_of_the_first_step_leaves_the_caller_the_current_task(error) -> None:
    async def work() -> None:
        raise error

    caller = asyncio.current_task()
    if isinstance(error, Exception):
        with pytest.raises(ValueError, match="x"):
            await eager.started(work())
    else:
        with pytest.raises(KeyboardInterrupt):
            await eager.started(work())
    assert asyncio.current_task() is caller


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="asyncio does it itself there")
async def test_where_the_first_step_cannot_be_found_it_comes_in_the_next_turn(
    monkeypatch,
) -> None:
    loop = asyncio.get_running_loop()
    call_soon = loop.call_soon

    def call_two(*args, **options):
        handle = call_soon(*args, **options)
        call_soon(lambda: None)
        return handle

    async def work() -> str:
        return "done"

    monkeypatch.setattr(loop, "call_soon", call_two)
    task = eager.started(work())
    monkeypatch.undo()

    assert not task.done()
    assert await task == "done"


class Behind:
    """What is stopped when a caller is cancelled."""

    def __init__(self, told: list[str] | None = None) -> None:
        self.told = told

    def stop(self) -> None:
        if self.told is not None:
            self.told.append("cancelled")


async def test_each_cancellation_of_the_caller_is_told_and_the_waiting_goes_on() -> None:
    go_on, told = asyncio.Event(), []

    async def wait() -> str:
        return await ended(work(), Behind(told))

    async def work() -> str:
        await go_on.wait()
        return "result"

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    for _ in range(3):
        waiting.cancel()
        await asyncio.sleep(0)
    go_on.set()

    assert await waiting == "result"
    assert told == ["cancelled"] * 3


async def test_a_cancellation_between_the_end_and_the_callers_next_step_is_raised() -> None:
    go_on = asyncio.Event()

    async def work() -> None:
        await go_on.wait()
        raise ValueError("nobody asks for it any more")

    async def wait() -> None:
        await ended(work(), Behind())

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.sleep(0)
    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_undisturbed_work_ends_before_its_cancellation_is_raised() -> None:
    go_on, history = asyncio.Event(), []

    async def work() -> None:
        await go_on.wait()
        history.append("ended")

    waiting = asyncio.create_task(undisturbed(work()))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.sleep(0)
    go_on.set()

    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert history == ["ended"]


async def test_the_work_lives_as_long_as_somebody_waits_for_it() -> None:
    class Held:
        pass

    async def work() -> None:
        held = Held()
        alive.append(weakref.ref(held))
        # Nobody but this task knows of what it waits for.
        await asyncio.get_running_loop().create_future()

    alive: list = []
    waiting = ended(work(), Behind())
    gc.collect()

    assert alive[0]() is not None
    waiting.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


class Failure(Exception):
    """An error that a weak reference can be made to."""


class FailureOfTask(TaskRuntimeError, Failure):
    """One that is the status FAILED."""


def fail(kind: type[Failure], errors: "weakref.WeakSet[Failure]") -> None:
    """Raise an error, add it to `errors`, and keep it nowhere else."""
    error = kind()
    errors.add(error)
    try:
        raise error
    finally:
        del error


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
async def test_an_error_is_freed_as_soon_as_the_caller_lets_go() -> None:
    async def work() -> None:
        await asyncio.sleep(0)
        fail(Failure, errors)

    errors: weakref.WeakSet[Failure] = weakref.WeakSet()
    with contextlib.suppress(Failure):
        await undisturbed(work())
    await asyncio.sleep(0)

    assert not list(errors)


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("kind", [Failure, FailureOfTask])
@pytest.mark.parametrize("turns", [0, 1])
@pytest.mark.parametrize("where", ["setup", "run", "teardown"])
async def test_an_error_of_a_task_is_freed_too(where, turns, kind, monkeypatch) -> None:
    # pytest keeps what is logged, with its errors.
    monkeypatch.setattr(logging.getLogger("pytest_asyncexec"), "propagate", False)

    class Failing(AsyncBaseExecutor):
        async def setup(self, task_metadata):
            await self.fail("setup")

        async def run(self, function, args, kwargs, task_metadata):
            await self.fail("run")

        async def teardown(self, task_metadata):
            await self.fail("teardown")

        async def fail(self, here):
            for _ in range(turns):
                await asyncio.sleep(0)
            if here == where:
                fail(kind, errors)

    errors: weakref.WeakSet[Failure] = weakref.WeakSet()
    with contextlib.suppress(Failure):
        await Failing(retries=1).execute(len, [], {}, "d", "unused")
    await asyncio.sleep(0)

    assert not list(errors)


@pytest.mark.parametrize(
    "wait",
    [
        pytest.param(lambda future: asyncio.wait([future]), id="wait"),
        pytest.param(lambda future: asyncio.wait_for(future, 10), id="wait_for"),
        pytest.param(asyncio.shield, id="shield"),
        pytest.param(asyncio.gather, id="gather"),
    ],
)
async def test_who_drives_the_caller_by_hand_is_given_a_future(wait) -> None:
    async def work() -> str:
        await asyncio.sleep(0)
        return "result"

    async def caller() -> str:
        return await ended(work(), Behind())

    driven = caller()
    future = driven.send(None)
    assert asyncio.isfuture(future)
    await wait(future)

    assert future.result() == "result"
    with pytest.raises(StopIteration, match="result"):
        driven.send(None)


async def test_who_goes_on_too_early_is_told() -> None:
    go_on = asyncio.Event()

    async def caller() -> None:
        await ended(go_on.wait(), Behind())

    driven = caller()
    future = driven.send(None)

    with pytest.raises(RuntimeError, match="before the end"):
        driven.send(None)
    go_on.set()
    await future


async def test_a_coroutine_that_a_plain_method_returns_too_late_is_closed() -> None:
    go_on, made = threading.Event(), []

    def method() -> Any:
        go_on.wait(60)
        made.append(asyncio.sleep(0))
        return made[0]

    calling = asyncio.ensure_future(call(method))
    await asyncio.sleep(0)
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    go_on.set()
    while not made or made[0].cr_frame is not None:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
