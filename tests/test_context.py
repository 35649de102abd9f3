"""The active dispatch: who sees it, and who does not."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from pytest_asyncexec.conformance.runner import judge_target

from pytest_asyncexec import AsyncBaseExecutor, DispatchInfo, dispatch_context, get_active_dispatch
from pytest_asyncexec.targets.target import Target


class Executor(AsyncBaseExecutor):
    async def run(self, function, args, kwargs, task_metadata) -> Any:
        return get_active_dispatch()


ONE, TWO = DispatchInfo("one"), DispatchInfo("two")


def test_the_context_yields_what_it_was_given_and_makes_it_active() -> None:
    with Executor().get_dispatch_context(ONE) as info:
        assert info is ONE
        assert get_active_dispatch() is ONE
    assert get_active_dispatch() is None


def test_contexts_nest() -> None:
    executor = Executor()
    with executor.get_dispatch_context(ONE):
        with executor.get_dispatch_context(TWO):
            assert get_active_dispatch() is TWO
        assert get_active_dispatch() is ONE


def test_leaving_by_an_exception_restores_too() -> None:
    executor = Executor()
    with executor.get_dispatch_context(ONE):
        with pytest.raises(KeyError), executor.get_dispatch_context(TWO):
            raise KeyError
        assert get_active_dispatch() is ONE


async def test_concurrent_tasks_never_see_each_other() -> None:
    executor = Executor()
    both_inside = asyncio.Barrier(2)

    async def inside(info: DispatchInfo) -> DispatchInfo | None:
        with executor.get_dispatch_context(info):
            await both_inside.wait()
            return get_active_dispatch()

    assert await asyncio.gather(inside(ONE), inside(TWO)) == [ONE, TWO]
    assert get_active_dispatch() is None


def test_a_thread_does_not_see_the_context_of_another() -> None:
    seen = []
    with Executor().get_dispatch_context(ONE):
        thread = threading.Thread(target=lambda: seen.append(get_active_dispatch()))
        thread.start()
        thread.join()
    assert seen == [None]


async def test_a_task_runs_inside_its_own_dispatch(tmp_path) -> None:
    outcome = await Executor().execute(None, [], {}, "one", str(tmp_path))

    assert outcome.result == ONE
    assert get_active_dispatch() is None


class WithoutABase:
    """All that it is it says itself."""

    cannot = frozenset({"stop", "streams"})

    def __init__(self) -> None:
        self.log_stdout = self.log_stderr = self.cache_dir = ""
        self.time_limit, self.retries = -1, 0

    async def run(self, function, args, kwargs, task_metadata) -> Any:
        return function(*args, **kwargs)


class TakesTheWayOut(WithoutABase):
    def get_dispatch_context(self, dispatch_info) -> Any:
        return dispatch_context(dispatch_info)


class KeepsItToItself(WithoutABase):
    @contextlib.contextmanager
    def get_dispatch_context(self, dispatch_info) -> Iterator[Any]:
        self.dispatch_info = dispatch_info
        yield dispatch_info


@pytest.mark.parametrize(
    ("executor", "outcome"),
    [
        (WithoutABase, "failed"),
        (TakesTheWayOut, "passed"),
        (KeepsItToItself, "could_not_run"),
    ],
)
def test_a_class_without_a_base_class_is_told_the_way_out(executor: type, outcome: str) -> None:
    target = Target(f"{__name__}:{executor.__name__}", executor.__name__, executor, True)

    found = judge_target(target, only={"CTX-01", "CTX-02"}, profile="quick")["CTX-01"]

    assert found.outcome == outcome
    assert ("return dispatch_context(dispatch_info)" in found.message) is (outcome != "passed")
