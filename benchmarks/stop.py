"""How soon after its time limit a task is dead, and how soon the next one is served."""

from __future__ import annotations

import os
import statistics
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pytest_asyncexec import TaskTimeoutError

from . import tasks
from .measure import Contender, Given, Measure
from .ours import LocalExecutor
from .peers import peer

LIMIT = 0.5
DEAD = "ms from limit to worker dead"
NEXT = "ms from limit to next task served"


def measure(quick: bool) -> Measure:
    """Both forms of the local executor, with one worker: the next task needs another."""
    times = 1 if quick else 5
    return Measure(
        title="Stopping",
        method=(
            f"A task that sleeps, on `LocalExecutor(max_workers=1, time_limit={LIMIT})`; "
            f"{times} of them in a round, the median of which counts. From the end of the limit to "
            "TaskTimeoutError, upon which the worker's process is looked for and must be gone; "
            "and to the result of a trivial task that is asked for right then. The limit is "
            "counted from the call of `execute()`, so that what comes before the attempt is in "
            "the figures."
        ),
        contenders=(
            Contender("fresh interpreters", "stop:stopping", (False, times)),
            Contender("warm workers", "stop:stopping", (True, times)),
        ),
    )


@asynccontextmanager
async def stopping(warm: bool, times: int) -> Given:
    """Overrun, and go on."""
    executor = LocalExecutor(warm=warm, max_workers=1, time_limit=LIMIT)

    async def batch() -> dict[str, float]:
        seconds = [await _overrun(executor) for _ in range(times)]
        dead, served = (1e3 * statistics.median(column) for column in zip(*seconds, strict=True))
        return {DEAD: dead, NEXT: served}

    yield batch


async def _overrun(executor: Any) -> tuple[float, float]:
    path = Path("pid").absolute()
    path.unlink(missing_ok=True)
    limit = time.perf_counter() + LIMIT
    try:
        await executor.execute(tasks.overrun, [str(path)], {}, "dispatch", os.getcwd())
    except TaskTimeoutError:
        dead = time.perf_counter() - limit
    else:
        raise RuntimeError("the task was not stopped")
    pid = int(path.read_text(encoding="utf-8"))
    if peer("psutil").pid_exists(pid):
        raise RuntimeError(f"the worker {pid} was still there after TaskTimeoutError")
    outcome = await executor.execute(tasks.identity, [1], {}, "dispatch", os.getcwd())
    served = time.perf_counter() - limit
    tasks.check([outcome.result], range(1, 2))
    return dead, served
