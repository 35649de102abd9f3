"""The sweep: every point is counted, and what was begun has to be torn down."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from pytest_asyncexec.conformance.instruments.history import Event, History, Method, Step
from pytest_asyncexec.conformance.instruments.sweep import Walk, spread, unbalanced

ALL: tuple[Method, ...] = ("setup", "run", "teardown")


async def _walk(work: Callable[[], Any], point: int, *, late: bool = False) -> Walk:
    walk = Walk(point, late=late, history=History())
    await walk.walk(work)
    return walk


async def _pauses() -> str:
    await asyncio.sleep(0)
    await asyncio.create_task(asyncio.sleep(0))
    return "result"


async def test_suspensions_of_inner_tasks_are_points_and_so_are_their_ends() -> None:
    walk = await _walk(_pauses, -1)

    # Itself twice; the inner task once, and its end.
    assert walk.passed == 4
    assert not walk.delivered
    assert walk.is_over


async def test_every_point_can_be_cancelled_at() -> None:
    walks = [await _walk(_pauses, point, late=late) for late in (0, 1) for point in range(5)]

    assert all(walk.delivered and not walk.swallowed for walk in walks)
    assert "before its first step" in str(walks[0])
    assert "at its suspension 1, at test_sweep.py" in str(walks[1])


async def test_one_that_comes_too_late_is_not_delivered() -> None:
    assert not (await _walk(_pauses, 5)).delivered


async def test_a_swallowed_cancellation_is_seen() -> None:
    async def deaf() -> None:
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            await asyncio.sleep(0)

    assert (await _walk(deaf, 1)).swallowed


async def test_a_task_that_was_left_running_is_named() -> None:
    tasks: list[asyncio.Task[bool]] = []

    async def leaves() -> None:
        tasks.append(asyncio.create_task(asyncio.Event().wait()))
        await asyncio.sleep(0)

    walk = await _walk(leaves, 1)

    assert len(walk.left_behind) == 1
    assert "in wait" in walk.left_behind[0]
    await asyncio.wait(tasks)
    assert tasks[0].cancelled()


async def test_what_the_loop_had_is_given_back() -> None:
    loop = asyncio.get_running_loop()

    def factory(loop: Any, coroutine: Any, **named: Any) -> asyncio.Task[Any]:
        made.append(coroutine)
        return asyncio.Task(coroutine, loop=loop, **named)

    made: list[Awaitable[Any]] = []
    loop.set_task_factory(factory)
    try:
        await _walk(_pauses, 2)
        assert loop.get_task_factory() is factory
        assert len(made) == 2
    finally:
        loop.set_task_factory(None)


@pytest.mark.parametrize(
    ("points", "wanted", "expected"),
    [
        (3, 10, [0, 1, 2, 3]),
        (10, 3, [0, 5, 10]),
        (10, 2, [0, 10]),
        (10, 1, [5]),
        (10, 0, []),
        (0, 3, [0]),
    ],
)
def test_points_are_spread_evenly(points: int, wanted: int, expected: list[int]) -> None:
    assert spread(points, wanted) == expected


def _history(*steps: str) -> History:
    calls: dict[str, int] = {}
    history = History()
    for step in steps:
        method, _, what = step.partition(" ")
        if what == "begins":
            calls[method] = len(history.events)
        history.events.append(_event(calls[method], method, what))  # type: ignore[arg-type]
    return history


def _event(call: int, method: Method, step: Step) -> Event:
    return Event(call, method, step, {"dispatch_id": "d"})


SETUP = ("setup begins", "setup returns")
RUN = ("run begins", "run is cancelled")
TEARDOWN = ("teardown begins", "teardown returns")


@pytest.mark.parametrize(
    "steps",
    [(), (*SETUP, *TEARDOWN), (*SETUP, *RUN, *TEARDOWN), TEARDOWN, (*SETUP, *RUN, *TEARDOWN) * 2],
)
def test_what_is_in_balance(steps: tuple[str, ...]) -> None:
    assert unbalanced(_history(*steps), ALL, ALL) == ""


@pytest.mark.parametrize(
    ("steps", "wrong"),
    [
        (SETUP, "setup was begun, and teardown awaited 0 times"),
        ((*SETUP, *RUN, *TEARDOWN, *TEARDOWN), "teardown awaited 2 times"),
        ((*SETUP, "run begins", *TEARDOWN), "run was still going on"),
        ((*SETUP, *RUN, "teardown begins"), "teardown was still going on"),
        ((*SETUP, *TEARDOWN, *SETUP), "in bracket 2 of 2, and teardown awaited 0 times"),
    ],
)
def test_what_is_not_in_balance(steps: tuple[str, ...], wrong: str) -> None:
    assert wrong in unbalanced(_history(*steps), ALL, ALL)


def test_a_thread_may_go_on_but_a_teardown_is_awaited() -> None:
    assert unbalanced(_history(*SETUP, "run begins", *TEARDOWN), ALL, ()) == ""
    assert "execute ended before it" in unbalanced(_history(*SETUP, "teardown begins"), ALL, ())
