"""How far one host reaches: tasks that only wait, on more and more workers."""

from __future__ import annotations

import asyncio
import gc
import os
import time
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from .measure import Contender, Given, Measure
from .ours import LocalExecutor
from .peers import peer

WORKERS = (2, 8, 32)
MILLISECONDS = (10, 100)
WAITING = 10_000


def measure(quick: bool) -> Measure:
    """The share of its workers' time that a host can fill, and what waiting tasks weigh."""
    workers = WORKERS[:2] if quick else WORKERS
    waiting = 500 if quick else WAITING
    kinds = {"fresh": "LocalExecutor()", "warm": "LocalExecutor(warm=True)", "dask": "DaskExecutor"}
    return Measure(
        title="Scale",
        method=(
            "Tasks of 10 ms and of 100 ms that sleep, four for each worker and at once, on "
            f"{', '.join(map(str, workers))} workers: a stand-in for workers on other machines, "
            "since a sleeping task takes no processor. The figure is the share of the time of "
            "its workers that the host could fill with tasks, 100 % being none lost. Dask's "
            "workers are the threads of two processes of one `LocalCluster`. Weight is what "
            f"{waiting:,} waiting tasks add to the host's memory, for each of them, and what one "
            "idle warm worker takes that it shares with nobody."
        ),
        contenders=(
            *(
                Contender(f"{name}, {number} workers", f"scale:{kind}", (number,))
                for kind, name in kinds.items()
                for number in workers
                # Each of these starts an interpreter per task, which is bound by the processors.
                if not (kind == "fresh" and number > 8)
            ),
            Contender("weight", "scale:weight", (waiting,)),
        ),
    )


@asynccontextmanager
async def fresh(workers: int) -> Given:
    """An interpreter for each task."""
    async with _filling(LocalExecutor(max_workers=workers), workers) as batch:
        yield batch


@asynccontextmanager
async def warm(workers: int) -> Given:
    """Warm workers."""
    async with _filling(LocalExecutor(warm=True, max_workers=workers), workers) as batch:
        yield batch


@asynccontextmanager
async def dask(workers: int) -> Given:
    """A cluster on this machine."""
    executors = peer("pytest_asyncexec.reference_executor")
    async with peer("distributed").LocalCluster(
        n_workers=2,
        threads_per_worker=workers // 2,
        processes=True,
        dashboard_address=None,
        asynchronous=True,
    ) as cluster:
        executor = executors.DaskExecutor(scheduler_address=cluster.scheduler_address)
        async with _filling(executor, workers) as batch:
            yield batch


@asynccontextmanager
async def weight(waiting: int) -> Given:
    """Memory, of the host and of a worker."""
    psutil = peer("psutil")
    executor = LocalExecutor(warm=True, max_workers=1)

    async def batch() -> dict[str, float]:
        worker = await _result(executor, os.getpid)
        gc.collect()
        tracemalloc.start()
        tasks = [asyncio.create_task(_sleep(executor, 60)) for _ in range(waiting)]
        await asyncio.sleep(0)
        figures = {
            "kB per waiting task": tracemalloc.get_traced_memory()[0] / waiting / 1e3,
            "MB per idle warm worker": psutil.Process(worker).memory_full_info().uss / 1e6,
        }
        tracemalloc.stop()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return figures

    yield batch


@asynccontextmanager
async def _filling(executor: Any, workers: int) -> AsyncIterator[Any]:
    async def batch() -> dict[str, float]:
        # All of them are started, whatever round it is.
        await asyncio.gather(*(_sleep(executor, 0.2) for _ in range(workers)))
        return {f"% filled with tasks of {ms:,} ms": await filled(ms / 1e3) for ms in MILLISECONDS}

    async def filled(seconds: float) -> float:
        started = time.perf_counter()
        await asyncio.gather(*(_sleep(executor, seconds) for _ in range(4 * workers)))
        return 100 * 4 * seconds / (time.perf_counter() - started)

    yield batch


async def _sleep(executor: Any, seconds: float) -> None:
    await executor.execute(time.sleep, [seconds], {}, "dispatch", os.getcwd())


async def _result(executor: Any, function: Any) -> Any:
    outcome = await executor.execute(function, [], {}, "dispatch", os.getcwd())
    return outcome.result
