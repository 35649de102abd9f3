"""Stopping attempts on a Dask cluster, wherever they are on their way.

An attempt may wait at the scheduler, wait at a Dask worker, run, or travel between them. First all
Dask workers are told: the one that runs it kills it, and the others will refuse to begin it. One
that nobody runs is then taken from the scheduler; once that no longer knows it, nobody can be
given it any more, and the workers are told again, for one may have come in between.
"""

import asyncio
from collections.abc import Iterable
from typing import Any, Protocol

from distributed import Future as DaskFuture

from ._dask_job import Job
from ._dask_worker import stop

__all__ = ["stop_tokens"]

#: States of a task, in the words of the scheduler, from which it can still begin or go on.
UNFINISHED = frozenset({"released", "waiting", "no-worker", "queued", "processing"})

PAUSE = 0.01


class Link(Protocol):
    """What of a connection to a scheduler is needed here."""

    client: Any
    jobs: dict[str, Job]


async def stop_tokens(link: Link, tokens: set[str]) -> dict[str, tuple[str, str]]:
    """Stop attempts; return, of those whose work that ended or prevented, what they printed."""
    known = await _tell_workers(link, tokens)
    unknown = tokens - known.keys()
    if unknown:
        waiting = await _unfinished(link, unknown)
        await _take_back(link, waiting)
        known |= dict.fromkeys(waiting, ("", ""))
        # One that ended meanwhile did so by being refused, or long before.
        again = await _tell_workers(link, unknown)
        known |= {token: printed for token, printed in again.items() if printed is not None}
    stopped = {token: printed for token, printed in known.items() if printed is not None}
    await _release(link, stopped.keys() - unknown)
    return stopped


async def _tell_workers(link: Link, tokens: set[str]) -> dict[str, tuple[str, str] | None]:
    known: dict[str, tuple[str, str] | None] = {}
    if tokens:
        said = await link.client.run(stop, sorted(tokens), on_error="return")
        for one in said.values():
            if isinstance(one, dict):
                known |= one
    return known


async def _unfinished(link: Link, tokens: set[str]) -> set[str]:
    """Return which of them the scheduler has, and has not finished."""
    unfinished: set[str] = set()
    unknown = tokens
    while unknown:
        states = await link.client.scheduler.get_task_status(keys=sorted(unknown))
        unfinished |= {token for token, state in states.items() if state in UNFINISHED}
        # One of ours that it does not know may still be on its way there.
        unknown = {
            token for token in unknown if states.get(token) is None and _is_pending(link, token)
        }
        if unknown:
            await asyncio.sleep(PAUSE)
    return unfinished


def _is_pending(link: Link, token: str) -> bool:
    job = link.jobs.get(token)
    return job is not None and job.future is not None and job.future.status == "pending"


async def _take_back(link: Link, tokens: set[str]) -> None:
    await _release(link, tokens)
    left = tokens
    while left:
        states = await link.client.scheduler.get_task_status(keys=sorted(left))
        left = {token for token, state in states.items() if state in UNFINISHED}
        if left:
            await asyncio.sleep(PAUSE)


async def _release(link: Link, tokens: Iterable[str]) -> None:
    """Have the scheduler forget them, whoever has submitted them."""
    futures = [_future(link, token) for token in tokens]
    if futures:
        await link.client.cancel(futures, force=True)


def _future(link: Link, token: str) -> Any:
    job = link.jobs.get(token)
    if job is not None and job.future is not None:
        return job.future
    return DaskFuture(token, link.client)
