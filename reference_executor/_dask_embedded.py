"""The Dask cluster in this process, for executors without the address of one.

It belongs to the thread of `_dask_thread`.
"""

import asyncio
import logging
import os
from typing import Any

from ._options import usable_cpus

__all__ = ["close_embedded", "embedded"]

_cluster: Any = None


async def embedded() -> Any:
    """Return the cluster in this process, started if there is none.

    Its scheduler and its Dask worker live in this thread and talk without a socket, so that nobody
    else can reach them. The tasks have processes of their own all the same.
    """
    global _cluster
    import dask
    from distributed import Scheduler, SpecCluster, Worker

    if _cluster is None or _cluster.status.name != "running":
        # A LocalCluster would have web servers that listen on all interfaces. What cannot be
        # left out serves nothing, and that to this machine alone.
        quiet = {"protocol": "inproc://", "dashboard": False, "dashboard_address": "127.0.0.1:0"}
        # The memory of this process is the host's, and no reason to hold tasks back.
        of_worker = {**quiet, "nthreads": usable_cpus(), "memory_limit": 0}
        routes = ("distributed.scheduler.http.routes", "distributed.worker.http.routes")
        with dask.config.set({route: [] for route in routes}):
            _cluster = await SpecCluster(
                scheduler={"cls": Scheduler, "options": quiet},
                workers={0: {"cls": Worker, "options": of_worker}},
                asynchronous=True,
                silence_logs=logging.WARNING,
            )
    return _cluster


async def close_embedded() -> None:
    """End the cluster, once its client has gone."""
    global _cluster
    cluster, _cluster = _cluster, None
    if cluster is None:
        return
    # What it still holds for the client would be reported as lost.
    for _ in range(100):
        if not cluster.scheduler.tasks:
            break
        await asyncio.sleep(0.01)
    await cluster.close()


def _forget() -> None:
    """Leave the cluster to the process that this one was forked from."""
    global _cluster
    _cluster = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
