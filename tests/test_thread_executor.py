"""The executor that runs tasks in threads, and says what that cannot do."""

import asyncio
import threading

import pytest
from pytest_asyncexec.reference_executor import ThreadExecutor

from pytest_asyncexec import TaskStatus


async def execute(executor, function, /, *args, **kwargs):
    return await executor.execute(function, list(args), kwargs, "d", "unused")


async def test_a_task_runs_in_another_thread() -> None:
    outcome = await execute(ThreadExecutor(), threading.get_ident)

    assert outcome.status == TaskStatus.COMPLETED
    assert outcome.result != threading.get_ident()


async def test_a_task_does_not_block_the_loop() -> None:
    # Only this loop can let the task go on.
    go_on = threading.Event()
    # A closure is not copied, an argument would be.
    executing = asyncio.create_task(execute(ThreadExecutor(), lambda: go_on.wait()))
    await asyncio.sleep(0)
    go_on.set()

    assert (await executing).result is True


async def test_arguments_of_any_name_reach_the_task() -> None:
    kwargs = {"function": 1, "args": 2, "kwargs": 3, "self": 4, "func": 5, "timeout": 6}

    assert (await execute(ThreadExecutor(), lambda **given: given, **kwargs)).result == kwargs


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt("pressed")])
async def test_what_would_end_the_host_is_a_failed_task(error) -> None:
    def function() -> None:
        raise error

    outcome = await execute(ThreadExecutor(), function)

    assert outcome.status == TaskStatus.FAILED
    assert f"{error!r}" in outcome.stderr


async def test_a_stop_iteration_is_a_failed_task() -> None:
    with pytest.raises(RuntimeError, match="StopIteration"):
        await execute(ThreadExecutor(), lambda: next(iter(())))


async def test_a_failed_task_is_attempted_again() -> None:
    failures = iter([ValueError, ValueError])

    def function() -> str:
        for error in failures:
            raise error
        return "done"

    assert (await execute(ThreadExecutor(retries=2), function)).result == "done"


async def test_cancelling_ends_at_once_and_leaves_the_thread_running() -> None:
    started, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def function() -> None:
        started.set()
        go_on.wait()
        ended.set()

    executing = asyncio.create_task(execute(ThreadExecutor(), function))
    await asyncio.to_thread(started.wait)
    executing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await executing

    assert not ended.is_set()
    go_on.set()
    await asyncio.to_thread(ended.wait)


def test_a_time_limit_is_refused_with_advice() -> None:
    with pytest.raises(ValueError, match=r"cannot keep time_limit=5, .* use LocalExecutor"):
        ThreadExecutor(time_limit=5)
    assert ThreadExecutor(time_limit=0).time_limit == 0


async def test_a_time_limit_set_later_is_refused_before_the_task_runs() -> None:
    executor = ThreadExecutor().from_dict({"attributes": {"time_limit": 5}})
    calls = []

    with pytest.raises(ValueError, match="cannot keep time_limit=5"):
        await execute(executor, lambda: calls.append(1))
    assert calls == []


def test_it_says_what_it_cannot_do() -> None:
    assert ThreadExecutor.cannot == {"stop", "streams"}
