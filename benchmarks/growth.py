"""Whether a task costs more when more tasks are waiting."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from . import rates, tasks
from .in_process import InProcess
from .measure import Batch, Contender, Given, Measure
from .ours import LocalExecutor
from .ratios import AT_MOST, Bound, Ratio

SIZES = (10, 100, 1_000, 10_000)
ALONE = "asyncio alone"
IN_PROCESS = "a run in this process"
WARM = "LocalExecutor(warm=True), 2 workers"


def measure(quick: bool) -> Measure:
    """Of the template alone, and of an executor with a queue."""
    sizes = SIZES[:3] if quick else SIZES
    bounds = {ALONE: None, IN_PROCESS: Bound(AT_MOST, 1.3), WARM: Bound(AT_MOST, 1.3)}
    return Measure(
        title="Growth",
        method=(
            f"Cost per task with {', '.join(f'{size:,}' for size in sizes)} `execute()` of one "
            f"executor at once. Every round does {sizes[-1]:,} tasks of each size, the smaller "
            "sizes one group after another, so that each figure is of the same number of tasks. "
            "For what the interpreter itself adds with the number of waiting tasks, an asyncio "
            "task that awaits another one, which returns at once, is measured beside them."
        ),
        contenders=(
            Contender(ALONE, "growth:alone", sizes),
            Contender(IN_PROCESS, "growth:in_process", sizes),
            Contender(WARM, "growth:warm", sizes),
        ),
        ratios=tuple(
            Ratio(
                f"cost per task at {sizes[-1]:,} / at 100: {name}",
                (name, _cost(sizes[-1])),
                (name, _cost(100)),
                bound,
            )
            for name, bound in bounds.items()
        ),
    )


@asynccontextmanager
async def alone(*sizes: int) -> Given:
    """A task in a task, and no executor."""

    async def submit(value: int) -> int:
        return await asyncio.create_task(inner(value))

    async def inner(value: int) -> int:
        return value

    yield _batch(submit, sizes)


@asynccontextmanager
async def in_process(*sizes: int) -> Given:
    """The template around next to nothing."""
    yield _batch(rates.through(InProcess()), sizes)


@asynccontextmanager
async def warm(*sizes: int) -> Given:
    """Two warm workers, and a queue before them."""
    yield _batch(rates.through(LocalExecutor(warm=True, max_workers=2)), sizes)


def _cost(size: int) -> str:
    return f"µs per task, {size:,} at once"


def _batch(submit: Callable[[int], Awaitable[Any]], sizes: tuple[int, ...]) -> Batch:
    async def batch() -> dict[str, float]:
        return {_cost(size): await per_task(size) for size in sizes}

    async def per_task(size: int) -> float:
        gc.collect()
        started = time.perf_counter()
        for start in range(0, max(sizes), size):
            values = range(start, start + size)
            tasks.check(await asyncio.gather(*map(submit, values)), values)
        return 1e6 * (time.perf_counter() - started) / max(sizes)

    return batch
