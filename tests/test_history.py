"""Histories: what is recorded under an executor, without the executor noticing."""

from __future__ import annotations

import asyncio

import cloudpickle
import pytest
from pytest_asyncexec.conformance.instruments.history import (
    METHODS,
    Event,
    History,
    Method,
    lingering,
    recorded,
    then_raise,
)

from pytest_asyncexec import AsyncBaseExecutor


class Executor(AsyncBaseExecutor):
    async def run(self, function, args, kwargs, task_metadata):
        return function(*args, **kwargs)


class Synchronous:
    def run(self, function, args, kwargs, task_metadata):
        return function(*args, **kwargs)


async def test_every_call_is_recorded_in_order(tmp_path) -> None:
    executor = Executor()
    with recorded(Executor) as history:
        await executor.execute(abs, [-1], {}, "dispatch", str(tmp_path), node_id=3)

    assert history.beginnings() == ["setup", "run", "teardown"]
    assert history.count("run", "returns") == 1
    assert history.metadata("run") == [
        {"dispatch_id": "dispatch", "node_id": 3, "results_dir": str(tmp_path)}
    ]
    assert history.of("another").events == []
    assert "run begins  [dispatch, node 3]" in str(history)


async def test_errors_and_cancellations_are_told_apart() -> None:
    executor = Executor()

    async def fail(original, executor, *args, **kwargs):
        raise ValueError("told so")

    async def stop(original, executor, *args, **kwargs):
        raise asyncio.CancelledError

    with recorded(Executor, run=fail, setup=stop) as history:
        with pytest.raises(ValueError, match="told so"):
            await executor.run(abs, [], {}, {})
        with pytest.raises(asyncio.CancelledError):
            await executor.setup({})

    assert history.count("run", "raises") == 1
    assert history.count("setup", "is cancelled") == 1
    assert "ValueError: told so" in str(history)


async def test_metadata_is_kept_as_it_was() -> None:
    given = {"dispatch_id": "before"}

    async def change(original, executor, task_metadata):
        task_metadata["dispatch_id"] = "after"

    with recorded(Executor, setup=change) as history:
        await Executor().setup(given)

    assert history.metadata("setup") == [{"dispatch_id": "before"}]


def test_synchronous_methods_stay_synchronous() -> None:
    with recorded(Synchronous, run=lambda original, executor, *args: -original(*args)) as history:
        assert Synchronous().run(abs, [-2], {}, {"dispatch_id": "d"}) == -2

    assert history.beginnings() == ["run"]


async def test_the_class_and_its_instances_are_left_as_they_were() -> None:
    executor = Executor()
    # Pickling writes __slotnames__ on a class: not the recording's doing.
    cloudpickle.dumps(executor)
    before = dict(vars(Executor))
    with recorded(Executor):
        assert type(executor) is Executor
        assert executor.to_dict() == Executor().to_dict()
        cloudpickle.loads(cloudpickle.dumps(executor))

    assert dict(vars(Executor)) == before
    assert "setup" not in vars(Executor)


def test_an_empty_history_says_so() -> None:
    with recorded(Executor) as history:
        pass

    assert str(history) == "(neither setup, run nor teardown was called)"


async def test_a_planted_error_comes_after_the_methods_own() -> None:
    class Fails(Executor):
        async def teardown(self, task_metadata):
            raise KeyError("its own")

    with (
        recorded(Fails, teardown=then_raise(ValueError("planted"))),
        pytest.raises(ValueError, match="planted") as raised,
    ):
        await Fails().teardown({})

    assert isinstance(raised.value.__context__, KeyError)


# ---- whose is an event ---------------------------------------------------------------------------


def _event(method: Method, dispatch: str, task: str) -> Event:
    return Event(1, method, "begins", {"dispatch_id": dispatch, "node_id": 0}, task=task)


def _given(history: History) -> list[tuple[str, str]]:
    return [(event.method, event.dispatch_id) for event in history.events]


def test_a_task_is_known_by_its_metadata() -> None:
    # A worker of the executor's does the work of all tasks, in the context of the first one.
    history = History([_event(m, d, "one") for d in ("a", "b") for m in METHODS])

    assert _given(history.of_task("one", "a")) == [(method, "a") for method in METHODS]
    assert _given(history.of_task("two", "b")) == [(method, "b") for method in METHODS]


def test_a_task_is_known_by_its_context_where_it_was_given_the_metadata_of_another() -> None:
    first = [_event(method, "a", "one") for method in METHODS]
    second = [
        _event("setup", "b", "two"),
        _event("run", "a", "two"),
        _event("teardown", "b", "two"),
    ]
    history = History([*first, *second])

    assert _given(history.of_task("one", "a")) == [(method, "a") for method in METHODS]
    assert _given(history.of_task("two", "b")) == [("setup", "b"), ("run", "a"), ("teardown", "b")]


async def test_whoever_does_not_wait_for_a_method_that_lingers_is_seen() -> None:
    with recorded(Executor, teardown=lingering(0.05)) as history:
        left_alone = asyncio.ensure_future(Executor().teardown({}))
        await asyncio.sleep(0)
        seen = [event.step for event in history.events]
        await left_alone

    assert seen == ["begins"]
    assert history.count("teardown", "returns") == 1
