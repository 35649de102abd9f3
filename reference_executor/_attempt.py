"""One attempt at a task on one worker, which anybody may stop until it is settled."""

import asyncio
import itertools
import secrets
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from typing import Any
from weakref import ref

from ..base.places import Place, guard
from ..base.waiting import in_thread, undisturbed
from ._channel import Answer
from ._pool import Pool, condemn, start
from ._process import Worker, decoded

__all__ = ["Alone", "Attempt", "End", "Keep", "attempt_of"]

Keep = Callable[[str, str], None]
End = Callable[["Attempt"], Coroutine[Any, Any, None]]

_secret = secrets.token_hex(16)
_numbers = itertools.count()
# Weak, so that a task that is thrown away with its event loop really goes, and its worker with it.
_running: "dict[str, ref[Attempt]]" = {}


def attempt_of(token: object) -> "Attempt | None":
    """Return the attempt of this process that goes by `token`, if it is still running."""
    attempt = _running.get(token) if isinstance(token, str) else None
    return None if attempt is None else attempt()


class Attempt(ABC):
    """An attempt, and what `cancel`, in any thread and event loop of the process, may do to it.

    A warm worker soon has another task, so that killing it and settling what became of this one
    exclude each other.
    """

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.loop = asyncio.get_running_loop()
        #: What belongs to this attempt alone, and is to be ended or given back by it.
        self.worker: Worker | None = None
        self.place: Place | None = None
        self.stopped = False
        #: Whether the task has been given to a worker, or to the line.
        self.is_given = False
        #: How the worker died, once it has.
        self.last_words = ""
        self.number = next(_numbers)
        self._token = f"{_secret}-{self.number}"
        self._settled = False
        self._told: tuple[Future[bool], ...] = ()

    def begin(self) -> dict[str, Any]:
        """From here on the attempt can be stopped; return what finds it, in JSON values."""
        _running[self._token] = ref(self)
        if self.worker is None or self.worker.process is None:
            return {"token": self._token}
        return {"pid": self.worker.process.pid, "token": self._token}

    async def start_worker(self) -> None:
        """Start the worker that this attempt has for itself; OSError if that cannot be done."""
        assert self.worker is not None
        # Cut off in the middle, the start would leave a process that nobody knows.
        await undisturbed(in_thread(start, self.worker))

    @abstractmethod
    def answer(self, task: bytes, directory: str) -> Awaitable[Answer | None]:
        """Have a worker run the task, and return what it says, or None if it died."""

    def stop(self) -> "Future[bool] | None":
        """Stop the work; return whose result is whether that ended the task, or None if late.

        Where there is no work yet, there is nothing to wait for: who is told of the attempt may
        have to be told of its end before it begins.
        """
        with guard:
            if self._settled or not self._stop_work() or self.loop.is_closed():
                return None
            self.stopped = True
            told: Future[bool] = Future()
            # A caller that stops waiting must not be able to cancel it.
            told.set_running_or_notify_cancel()
            if self.is_given:
                self._told += (told,)
            else:
                told.set_result(True)
            return told

    @abstractmethod
    def _stop_work(self) -> bool:
        """Stop the work from any thread, under `guard`; return False if it is over."""

    def settle(self) -> bool:
        """End the time in which the attempt can be stopped; return whether it was."""
        if not self._settled:
            with guard:
                self._settled = True
                _running.pop(self._token, None)
        return self.stopped

    async def part(self, answer: Answer | None, keep: Keep, end: End) -> None:
        """Part with the worker: give it back, or `end` it if anything speaks against that.

        `keep` is told what the task has printed.
        """
        must_end = self.settle() or answer is None or answer.is_last
        if answer is not None and answer.printed is not None and any(answer.printed):
            keep(*map(decoded, answer.printed))
        if self.worker is None:
            return
        if must_end:
            self.worker.channel.unwatch()
            # Where a shutdown cuts off everything, also what starts it in a thread has to know.
            self.worker.is_condemned = True
            await undisturbed(end(self))
        elif answer is not None and answer.printed is None:
            await undisturbed(self._catch_up(self.worker, keep))
        else:
            self._give_back(self.worker)

    async def end_worker(self, keep: Keep) -> None:
        """End the worker with all of its group, and keep what it printed."""
        worker = self.worker
        assert worker is not None
        stdout, stderr = await in_thread(worker.end)
        self.last_words = worker.last_words(stderr)
        keep(stdout, stderr)

    async def _catch_up(self, worker: Worker, keep: Keep) -> None:
        """Keep what the worker has printed, which is much, and give it back."""
        try:
            printed = await in_thread(worker.catch_up)
        except BaseException:
            worker.channel.unwatch()
            await in_thread(worker.end)
            raise
        self._give_back(worker)
        keep(*printed)

    @abstractmethod
    def _give_back(self, worker: Worker) -> None:
        """Leave a warm worker to others."""

    def abandon(self) -> None:
        """Part with the worker in the middle of the task: nothing can be awaited any more."""
        self.settle()
        if self.worker is not None:
            condemn(self.worker)

    def tell(self, cancelled: bool) -> None:
        """Tell whoever has stopped the attempt whether that ended the task."""
        for told in self._told:
            told.set_result(cancelled)


class Alone(Attempt):
    """An attempt that has a worker for itself, from beginning to end."""

    def __init__(self, pool: Pool, place: Place | None) -> None:
        super().__init__(pool)
        self.place = place
        self.worker: Worker = pool.worker_for(place)

    async def answer(self, task: bytes, directory: str) -> Answer | None:
        with guard:
            self.is_given = not self.stopped
        return await self.worker.do(task, directory) if self.is_given else None

    def _stop_work(self) -> bool:
        self.worker.kill()
        return True

    def _give_back(self, worker: Worker) -> None:
        """Leave it to the next attempt: of this task, or of the next in its place."""
        if self.place is not None and self.place.is_taken and self.place.kept is None:
            self.place.kept = worker
        else:
            worker.put_away()
