"""One attempt as its host sees it, between the host's event loop and that of the Dask client."""

import asyncio
import itertools
import secrets
from collections.abc import Iterable
from typing import Any

from ._dask_told import Told

__all__ = ["PREFIX", "Job", "chunks", "deliver", "new_token"]

#: How much goes to the scheduler in one message, in attempts and in bytes.
MOST_JOBS = 1000
MOST_BYTES = 1 << 24

#: What the names of attempts begin with, for the scheduler has tasks of others too.
PREFIX = "pytest-asyncexec-"

_secret = secrets.token_hex(16)
_numbers = itertools.count()


def new_token() -> str:
    """Return a name for an attempt that nobody else uses or can foresee."""
    return f"{PREFIX}{_secret}-{next(_numbers)}"


class Job:
    """One attempt. All but `told` belongs to the thread of the Dask client."""

    __slots__ = ("ending", "future", "loop", "message", "stopping", "token", "told")

    def __init__(self, token: str, message: bytes) -> None:
        self.token = token
        self.message = message
        self.loop = asyncio.get_running_loop()
        #: What the host waits for, in its own event loop.
        self.told: asyncio.Future[Told] = self.loop.create_future()
        #: That of distributed, once the attempt has been submitted.
        self.future: Any = None
        #: How many are about to stop it.
        self.stopping = 0
        self.ending: Told | None = None

    def end(self, ending: Told) -> bool:
        """Settle how the attempt ended; False if that is settled already."""
        if self.ending is not None:
            return False
        self.ending = ending
        self.future, self.message = None, b""
        return True


def chunks(jobs: Iterable[Job]) -> Iterable[list[Job]]:
    """Split jobs into as many as go to the scheduler in one message."""
    chunk: list[Job] = []
    size = 0
    for job in jobs:
        if chunk and (len(chunk) == MOST_JOBS or size + len(job.message) > MOST_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(job)
        size += len(job.message)
    if chunk:
        yield chunk


def deliver(jobs: Iterable[Job]) -> None:
    """Tell the hosts how their jobs ended, with one call for each event loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Job]] = {}
    for job in jobs:
        by_loop.setdefault(job.loop, []).append(job)
    for loop, its_jobs in by_loop.items():
        try:
            loop.call_soon_threadsafe(_tell, its_jobs)
        except RuntimeError:
            continue  # it is closed, and nobody waits any more


def _tell(jobs: list[Job]) -> None:
    for job in jobs:
        if not job.told.done() and job.ending is not None:
            job.told.set_result(job.ending)
