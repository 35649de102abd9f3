"""The client of one scheduler: attempts in, endings out, and stopping what is on its way.

All methods belong to the thread of `_dask_thread`, but for `submit` and `stop`.
"""

import asyncio
from collections.abc import Iterable
from concurrent.futures import Future
from typing import Any
from weakref import WeakKeyDictionary

import dask
from distributed import as_completed

from . import _dask_thread
from ._dask_job import Job, chunks, deliver
from ._dask_stop import stop_tokens
from ._dask_told import LOST, REFUSED, STOPPED, Told
from ._dask_words import lost, reason
from ._dask_worker import run_attempt

__all__ = ["Link"]

#: How an attempt has ended that was stopped.
ENDED = (STOPPED, REFUSED)

#: Seconds between two fetches, for each attempt that is still on its way, and at most.
PAUSE = 1e-4
LONGEST_PAUSE = 0.1


class Link:
    """A connection to a scheduler, for all event loops of this process."""

    def __init__(self, address: str, client: Any) -> None:
        self.address = address
        self.client = client
        self.jobs: dict[str, Job] = {}
        self._outboxes: WeakKeyDictionary[asyncio.AbstractEventLoop, list[Job]]
        self._outboxes = WeakKeyDictionary()
        self._to_stop: list[tuple[str, Future[bool]]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_open(self) -> bool:
        """Whether attempts can be submitted. Any thread may ask."""
        return self.client.status == "running"  # type: ignore[no-any-return]

    def submit(self, job: Job) -> None:
        """Submit an attempt, with all others of the same turn of the calling event loop."""
        self.jobs[job.token] = job
        outbox = self._outboxes.get(job.loop)
        if outbox is None:
            self._outboxes[job.loop] = [job]
            job.loop.call_soon(self._empty, job.loop)
        else:
            outbox.append(job)

    def _empty(self, loop: asyncio.AbstractEventLoop) -> None:
        _dask_thread.call_soon(self._send, self._outboxes.pop(loop))

    def stop(self, token: str) -> "Future[bool]":
        """Stop an attempt; the result is whether that ended it. Any thread may call this."""
        told: Future[bool] = Future()
        # A caller that stops waiting must not be able to cancel it.
        told.set_running_or_notify_cancel()
        _dask_thread.call_soon(self._stop_soon, token, told)
        return told

    def _send(self, jobs: list[Job]) -> None:
        for chunk in chunks(job for job in jobs if job.ending is None):
            if not self.is_open:
                self._end(chunk, Told(LOST, words=lost(self.address, None)))
                continue
            try:
                # The payloads are no data that Dask could have loaded itself.
                with dask.config.set({"distributed.admin.large-graph-warning-threshold": 1 << 60}):
                    futures = self.client.map(
                        run_attempt,
                        [job.message for job in chunk],
                        key=[job.token for job in chunk],
                        pure=False,
                    )
            except Exception as error:
                self._end(chunk, Told(LOST, words=lost(self.address, error)))
                continue
            for job, future in zip(chunk, futures, strict=True):
                job.future, job.message = future, b""
            self._begin(self._collect(dict(zip(futures, chunk, strict=True))))

    def _begin(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _collect(self, jobs: dict[Any, Job]) -> None:
        """Fetch how attempts ended: together, what has ended meanwhile."""
        completed = as_completed(jobs, loop=self.client.loop)
        async for future in completed:
            futures = [future, *completed.next_batch(block=False)]
            # By their names, since of a list those that are taken back meanwhile would be left out.
            finished = {future.key: future for future in futures if future.status == "finished"}
            try:
                results = await self.client.gather(finished, errors="skip") if finished else {}
            except Exception as error:
                self._end(list(jobs.values()), Told(LOST, words=lost(self.address, error)))
                return
            over = []
            for future in futures:
                job, message = jobs.pop(future), results.get(future.key)
                ending = (
                    Told.of(message)
                    if isinstance(message, bytes)
                    else await self._without(job, future)
                )
                if ending is not None and job.end(ending):
                    over.append(job)
                    self.jobs.pop(job.token, None)
            deliver(over)
            # Each fetch costs all sides a message: many that are on their way are worth a wait.
            await asyncio.sleep(min(len(jobs) * PAUSE, LONGEST_PAUSE))

    async def _without(self, job: Job, future: Any) -> Told | None:
        """Say how an attempt ended that has no result; None while it is being stopped."""
        if not self.is_open:
            return Told(LOST, words=lost(self.address, None))
        if job.stopping:
            return None
        if future.status == "cancelled":
            return Told(STOPPED)
        return Told(LOST, words=reason(self.address, await future.exception()))

    def _end(self, jobs: Iterable[Job], ending: Told) -> None:
        over = [job for job in jobs if job.end(ending)]
        for job in over:
            self.jobs.pop(job.token, None)
        deliver(over)

    def _stop_soon(self, token: str, told: "Future[bool]") -> None:
        job = self.jobs.get(token)
        if job is not None and job.future is None:
            self._end([job], Told(STOPPED))  # before it was submitted
            told.set_result(True)
            return
        if job is not None:
            job.stopping += 1
        if not self._to_stop:
            asyncio.get_running_loop().call_soon(self._stop_now)
        self._to_stop.append((token, told))

    def _stop_now(self) -> None:
        wanted, self._to_stop = self._to_stop, []
        self._begin(self._stop_all(wanted))

    async def _stop_all(self, wanted: list[tuple[str, Future[bool]]]) -> None:
        jobs = [job for token, _ in wanted if (job := self.jobs.get(token)) is not None]
        try:
            stopped = await stop_tokens(self, {token for token, _ in wanted})
        except Exception as error:
            stopped = {}
            self._end(jobs, Told(LOST, words=lost(self.address, error)))
        for job in jobs:
            job.stopping -= 1
            if job.token in stopped:
                self._end([job], Told(STOPPED, None, "", *stopped[job.token]))
            elif job.future is not None and job.future.status not in ("pending", "finished"):
                # Somebody else has taken it from the scheduler.
                ending = await self._without(job, job.future)
                self._end([job] if ending is not None else [], ending or Told(STOPPED))
        ended = {job.token: job.ending for job in jobs}
        for token, told in wanted:
            ending = ended.get(token)
            told.set_result(token in stopped and (ending is None or ending.ending in ENDED))

    async def close(self) -> None:
        """Say goodbye to the scheduler; what is on its way counts as lost."""
        await self.client.close()
