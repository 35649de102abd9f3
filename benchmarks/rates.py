"""Tasks per second: many at once, timed from the first submission to the last result."""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections.abc import Awaitable, Callable
from typing import Any

from . import tasks
from .measure import Batch

__all__ = ["RATE", "at_once", "in_order", "through"]

RATE = "tasks per second"


def at_once(submit: Callable[[int], Awaitable[Any]], number: int, groups: int = 1) -> Batch:
    """Await `number` tasks at once, each on a value that no other task has had."""

    async def all_of(values: range) -> list[Any]:
        return await asyncio.gather(*map(submit, values))

    return in_order(all_of, number, groups)


def in_order(
    all_of: Callable[[range], Awaitable[list[Any]]], number: int, groups: int = 1
) -> Batch:
    """Time a function that takes values to their results, for one group after another."""
    starts = itertools.count(0, number)

    async def batch() -> dict[str, float]:
        seconds = 0.0
        for start in itertools.islice(starts, groups):
            values = range(start, start + number)
            started = time.perf_counter()
            results = await all_of(values)
            seconds += time.perf_counter() - started
            tasks.check(results, values)
        return {RATE: groups * number / seconds}

    return batch


def through(executor: Any) -> Callable[[int], Awaitable[Any]]:
    """Submit the trivial task to an executor of ours."""
    folder = os.getcwd()

    async def submit(value: int) -> Any:
        outcome = await executor.execute(tasks.identity, [value], {}, "dispatch", folder, value)
        return outcome.result

    return submit
