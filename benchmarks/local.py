"""Tasks per second through processes of this machine that are there already."""

from __future__ import annotations

import concurrent.futures
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, asynccontextmanager
from typing import Any

import cloudpickle

from . import covalent_host, rates, tasks
from .measure import Contender, Given, Measure
from .ours import LocalExecutor
from .peers import peer
from .ratios import AT_LEAST, MORE_THAN, Bound, Ratio

WORKERS = 2
GROUPS = 5
OURS = "ours, LocalExecutor(warm=True)"
PEBBLE = "pebble.ProcessPool"
FUTURES = "concurrent.futures with cloudpickle"
LOKY = "loky"
COVALENT = "Covalent's LocalExecutor"


def measure(quick: bool) -> Measure:
    """Ours against the bare pools and against Covalent's."""
    number = 100 if quick else 2000
    factories = {
        OURS: "ours",
        PEBBLE: "pebble_pool",
        FUTURES: "futures_pool",
        LOKY: "loky_pool",
        COVALENT: "covalent",
    }
    return Measure(
        title="LocalExecutor with warm workers",
        method=(
            f"A trivial importable task, {number:,} at once and {GROUPS} times in a round, "
            f"{WORKERS} workers that were started in the warm-up. Bare pools are used as they "
            "are, without an event loop, a time limit or captured output. Covalent's executor "
            "is asked as its dispatcher does: an instance for each task, its questions "
            "answered, on the loop's usual threads; its "
            f"pool is set to {WORKERS} processes."
        ),
        contenders=tuple(
            Contender(name, f"local:{factory}", (number,)) for name, factory in factories.items()
        ),
        ratios=tuple(
            Ratio(
                f"tasks per second: ours / {name}",
                (OURS, rates.RATE),
                (name, rates.RATE),
                Bound(AT_LEAST, 0.85) if name == PEBBLE else Bound(MORE_THAN, 1.0),
            )
            for name in (PEBBLE, FUTURES, LOKY, COVALENT)
        ),
    )


@asynccontextmanager
async def ours(number: int) -> Given:
    """Our executor."""
    executor = LocalExecutor(warm=True, max_workers=WORKERS)
    yield rates.at_once(rates.through(executor), number, GROUPS)


@asynccontextmanager
async def pebble_pool(number: int) -> Given:
    """Bare pebble, which pickles with the standard library's pickle."""
    pool = peer("pebble").ProcessPool(max_workers=WORKERS)
    try:
        yield _pooled(lambda value: pool.schedule(tasks.identity, args=[value]), number)
    finally:
        pool.stop()
        pool.join()


@asynccontextmanager
async def futures_pool(number: int) -> Given:
    """The standard library's pool, with cloudpickle both ways."""

    def submit(value: int) -> Any:
        return pool.submit(tasks.unpickled, cloudpickle.dumps((tasks.identity, [value], {})))

    with concurrent.futures.ProcessPoolExecutor(WORKERS) as pool:
        yield _pooled(submit, number, cloudpickle.loads)


@asynccontextmanager
async def loky_pool(number: int) -> Given:
    """Loky's pool, which pickles with cloudpickle itself."""
    pool: AbstractContextManager[Any] = peer("loky").ProcessPoolExecutor(WORKERS)
    with pool as entered:
        yield _pooled(lambda value: entered.submit(tasks.identity, value), number)


@asynccontextmanager
async def covalent(number: int) -> Given:
    """Covalent's executor."""
    module = covalent_host.load("covalent.executor.executor_plugins.local")
    module.proc_pool.shutdown()
    with concurrent.futures.ProcessPoolExecutor(WORKERS) as module.proc_pool:
        dispatcher = covalent_host.Dispatcher(module.LocalExecutor(workdir=os.getcwd()))
        yield rates.at_once(dispatcher.dispatch, number, GROUPS)


def _pooled(
    submit: Callable[[int], Any], number: int, understood: Callable[[Any], Any] | None = None
) -> Any:
    async def all_of(values: range) -> list[Any]:
        futures = [submit(value) for value in values]
        results = [future.result() for future in futures]
        return [understood(result) for result in results] if understood else results

    return rates.in_order(all_of, number, GROUPS)
