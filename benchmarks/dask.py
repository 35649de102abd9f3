"""Tasks per second on one and the same Dask cluster."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from . import covalent_host, rates, tasks
from .measure import Contender, Given, Measure
from .peers import peer
from .ratios import AT_LEAST, MORE_THAN, Bound, Ratio

OURS = "ours, DaskExecutor"
BARE = "Client.submit"
COVALENT = "Covalent's DaskExecutor"


def measure(quick: bool) -> Measure:
    """Ours against the bare client and against Covalent's."""
    number = 50 if quick else 500
    factories = {OURS: "ours", BARE: "bare", COVALENT: "covalent"}
    return Measure(
        title="DaskExecutor",
        method=(
            f"A trivial importable task, {number:,} at once, on one `LocalCluster` of two worker "
            "processes with a thread each, in a process of its own, which all contenders share. "
            "The bare client submits with `pure=False` and gathers the futures, on an event loop. "
            "Covalent's executor is asked as its dispatcher does, without log files."
        ),
        contenders=tuple(
            Contender(name, f"dask:{factory}", (number,)) for name, factory in factories.items()
        ),
        ratios=(
            Ratio(
                f"tasks per second: ours / {BARE}",
                (OURS, rates.RATE),
                (BARE, rates.RATE),
                Bound(AT_LEAST, 0.9),
            ),
            Ratio(
                f"tasks per second: ours / {COVALENT}",
                (OURS, rates.RATE),
                (COVALENT, rates.RATE),
                Bound(MORE_THAN, 1.0),
            ),
        ),
        service=Contender("the cluster", "dask:cluster"),
    )


@asynccontextmanager
async def cluster() -> AsyncIterator[str]:
    """A cluster on this machine; gives its address."""
    async with peer("distributed").LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        dashboard_address=None,
        asynchronous=True,
    ) as local:
        yield local.scheduler_address


@asynccontextmanager
async def ours(number: int, address: str) -> Given:
    """Our executor."""
    executor = peer("pytest_asyncexec.reference_executor").DaskExecutor(scheduler_address=address)
    yield rates.at_once(rates.through(executor), number)


@asynccontextmanager
async def bare(number: int, address: str) -> Given:
    """The client alone."""
    async with peer("distributed").Client(address, asynchronous=True) as client:

        async def all_of(values: range) -> list[Any]:
            futures = [client.submit(tasks.identity, value, pure=False) for value in values]
            results: list[Any] = await client.gather(futures)
            return results

        yield rates.in_order(all_of, number)


@asynccontextmanager
async def covalent(number: int, address: str) -> Given:
    """Covalent's executor."""
    module = covalent_host.load("covalent.executor.executor_plugins.dask")
    executor = module.DaskExecutor(address, log_stdout="", log_stderr="", workdir=os.getcwd())
    dispatcher = covalent_host.Dispatcher(executor)
    # The first task makes the client, and others would find it half made.
    await dispatcher.dispatch(-1)
    try:
        yield rates.at_once(dispatcher.dispatch, number)
    finally:
        for client in module._address_client_map.values():
            await client.close()
