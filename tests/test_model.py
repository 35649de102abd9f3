"""The model of CNC-05: what may be seen of a task, and what may not."""

from __future__ import annotations

import pytest
from pytest_asyncexec.conformance.instruments.history import Event, History, Method
from pytest_asyncexec.conformance.instruments.seen import Seen
from pytest_asyncexec.conformance.plan.model import Ending, ModelTask, misdone, mismatch

ALL: tuple[Method, ...] = ("setup", "run", "teardown")
OTHER = ModelTask("other", "B", 2)


def _task(end: Ending, *, limited: bool = False) -> ModelTask:
    return ModelTask("task", "A", 1, limited, end, ["line 1 of task;"])


def _mismatch(task: ModelTask, seen: Seen | None) -> str:
    return mismatch(task, seen, others=[OTHER], captures=True, begun=True)


COMPLETED = Seen(result="result of task;", stdout="line 1 of task;", status="COMPLETED")
FAILED = Seen(error=ValueError("error of task;"))
TIMED_OUT = Seen(error=TimeoutError("too long"))


@pytest.mark.parametrize(
    ("task", "seen"),
    [
        (_task("succeeds"), COMPLETED),
        (_task("fails"), FAILED),
        (_task("is cancelled"), None),
        (_task("is out of time", limited=True), TIMED_OUT),
        # The limit is real time, of which a slow machine may have had enough.
        (_task("succeeds", limited=True), TIMED_OUT),
        (_task("is cancelled", limited=True), TIMED_OUT),
    ],
)
def test_what_the_model_expects(task: ModelTask, seen: Seen | None) -> None:
    assert _mismatch(task, seen) == ""


@pytest.mark.parametrize(
    ("task", "seen", "wrong"),
    [
        (_task("succeeds"), None, "nobody had cancelled it"),
        (_task("succeeds"), TIMED_OUT, "it should return"),
        (_task("succeeds"), Seen(result=OTHER.result, status="COMPLETED"), "belongs to other"),
        (_task("succeeds"), Seen(result="result of task;", status="COMPLETED"), "it printed"),
        (_task("fails"), COMPLETED, "it should raise"),
        (_task("fails"), Seen(error=ValueError("another")), "it should raise"),
        (_task("is cancelled"), COMPLETED, "it was cancelled, and"),
        (_task("is out of time", limited=True), COMPLETED, "past its time limit"),
    ],
)
def test_what_it_does_not(task: ModelTask, seen: Seen | None, wrong: str) -> None:
    assert wrong in _mismatch(task, seen)


def _history(*methods: Method, node: int = 1) -> History:
    metadata = {"dispatch_id": "task", "node_id": node}
    return History(
        [
            Event(number, method, step, metadata)
            for number, method in enumerate(methods)
            for step in ("begins", "returns")
        ]
    )


def _misdone(history: History, *, attempts: int = 1) -> str:
    return misdone(_task("succeeds"), history, ALL, ALL, attempts=attempts, begun=True)


def test_the_history_it_expects() -> None:
    assert _misdone(_history(*ALL)) == ""
    # Of a proxy nothing is recorded.
    assert _misdone(History()) == ""


@pytest.mark.parametrize(
    ("history", "wrong"),
    [
        (_history("setup", "run"), "teardown awaited 0 times"),
        (_history("setup", "run", "run", "teardown"), "in the order"),
        (_history(*ALL, node=2), "node 1"),
    ],
)
def test_the_histories_it_does_not(history: History, wrong: str) -> None:
    assert wrong in _misdone(history)


def test_a_second_attempt_is_one_too_many() -> None:
    assert "attempted 2 times" in _misdone(_history(*ALL), attempts=2)
