"""What an attempt in a fresh interpreter costs beside the bare start of the same worker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager

from . import rates, tasks
from .bare_worker import bare as bare_task
from .measure import Batch, Contender, Given, Measure
from .ours import LocalExecutor
from .ratios import AT_MOST, Bound, Ratio

COST = "ms per task"
WIDTHS = {"one after another": 1, "two at once": 2}


def measure(quick: bool) -> Measure:
    """Ours against the bare subprocess, alone and in pairs."""
    number = 2 if quick else 10
    return Measure(
        title="LocalExecutor with fresh interpreters",
        method=(
            f"A trivial importable task, {number} in a round. Bare is `create_subprocess_exec` "
            "of the same worker program on the same task, with its answer awaited and its end; "
            "its output goes nowhere, and nothing is there to stop it."
        ),
        contenders=tuple(
            Contender(f"{who}, {how}", f"fresh:{factory}", (number, width))
            for how, width in WIDTHS.items()
            for who, factory in (("ours", "ours"), ("bare", "bare"))
        ),
        ratios=tuple(
            Ratio(
                f"time per task, {how}: ours / bare",
                (f"ours, {how}", COST),
                (f"bare, {how}", COST),
                Bound(AT_MOST, 1.15),
            )
            for how in WIDTHS
        ),
    )


@asynccontextmanager
async def ours(number: int, width: int) -> Given:
    """Our executor as it comes."""
    submit = rates.through(LocalExecutor(max_workers=2))

    async def one(value: int) -> None:
        tasks.check([await submit(value)], range(value, value + 1))

    yield _batch(one, number, width)


@asynccontextmanager
async def bare(number: int, width: int) -> Given:
    """The worker program alone."""
    yield _batch(bare_task, number, width)


def _batch(one: Callable[[int], Awaitable[None]], number: int, width: int) -> Batch:
    """Time `number` tasks, `width` of them at once."""

    async def batch() -> dict[str, float]:
        values = iter(range(number))

        async def lane() -> None:
            for value in values:
                await one(value)

        started = time.perf_counter()
        await asyncio.gather(*(lane() for _ in range(width)))
        return {COST: 1e3 * (time.perf_counter() - started) / number}

    return batch
