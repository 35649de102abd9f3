"""What happens in the process of a Dask worker: attempts, each in a worker process of ours.

Nothing can stop a thread of a Dask worker. So the thread only waits for a worker process, the
same that `LocalExecutor` uses, which can be killed at any moment with all of its group.
"""

import asyncio
import os
import threading
from collections import OrderedDict
from concurrent.futures import Future
from typing import cast

from . import _dask_closing
from ._channel import Answer
from ._dask_idle import taken
from ._dask_once import AGAIN, is_given_again
from ._dask_told import (
    ANSWERED,
    CLOSED,
    DIED,
    LOST,
    REFUSED,
    STOPPED,
    TIMED_OUT,
    Told,
    parted,
)
from ._pool import start
from ._process import Worker, decoded

__all__ = ["run_attempt", "stop"]

#: How many tokens of attempts that have ended, or must not begin, are remembered.
MEMORY = 1 << 14

CLOSING = "The Dask worker was closed, or lost its scheduler, while it ran the task"


def run_attempt(message: bytes) -> bytes:
    """Run one attempt in a worker process, and return what became of it: see `Told`.

    This is what Dask calls. It never raises, for Dask should run nothing anew. The time limit
    counts from here, so that no waiting in a queue of Dask's is part of it.
    """
    (token, cache_dir, time_limit), task = parted(message)
    if is_given_again(token):
        return Told(LOST, words=AGAIN).message()
    attempt = _Attempt(token)
    if not attempt.begin():
        return Told(REFUSED).message()
    told = Told(DIED)
    try:
        told = attempt.run(task, cache_dir, time_limit)
    except Exception as error:
        problem = f"{type(error).__qualname__}: {error}"
        told = Told(DIED, words=f"The Dask worker could not run the task: {problem}")
    finally:
        attempt.end(told)
    return told.message()


async def stop(tokens: list[str]) -> dict[str, tuple[str, str] | None]:
    """Stop attempts, and return of those known here what they printed, or None if it was late.

    It returns once they are dead. An attempt that has not begun here will never begin here.
    """
    known: dict[str, tuple[str, str] | None] = {}
    attempts = []
    with _lock:
        for token in tokens:
            if token in _over:
                known[token] = None
            elif _refused.get(token):
                known[token] = ("", "")
            elif (attempt := _running.get(token)) is not None:
                attempts.append(attempt)
            else:
                _remember(_refused, token, False)
    for attempt in attempts:
        attempt.stop(STOPPED)
    for attempt in attempts:
        told = await asyncio.wrap_future(attempt.told)
        is_stopped = told.ending == STOPPED
        known[attempt.token] = (told.stdout, told.stderr) if is_stopped else None
    return known


def stop_all(address: str) -> None:
    """Stop what runs for the Dask worker of this address, which is about to end."""
    with _lock:
        attempts = [attempt for attempt in _running.values() if attempt.address == address]
    for attempt in attempts:
        attempt.stop(CLOSED)


class _Attempt:
    """One attempt, which any thread may stop until it is settled."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.address = _dask_closing.watched_address(stop_all)
        self.told: Future[Told] = Future()
        # Who waits for it must not be able to cancel it.
        self.told.set_running_or_notify_cancel()
        self._worker: Worker | None = None
        self._reason = ""
        self._is_settled = False

    def begin(self) -> bool:
        """Say that the attempt can be stopped from now on; False if it was before it began."""
        with _lock:
            if self.token in _refused:
                _refused[self.token] = True
                return False
            _running[self.token] = self
            return True

    def run(self, task: memoryview, cache_dir: str, time_limit: float | None) -> Told:
        self._worker = worker = taken(cache_dir)
        timer = None
        if time_limit is not None:
            seconds = min(time_limit, threading.TIMEOUT_MAX)
            timer = threading.Timer(seconds, self.stop, [TIMED_OUT])
            timer.daemon = True
            timer.start()
        answer = None
        try:
            if worker.process is None:
                start(worker)
            if not self._reason_now():
                answer = worker.do_blocking(cast("bytes", task), os.getcwd())
                if answer is not None and answer.is_last:
                    worker.ended_blocking()
        finally:
            if timer is not None:
                timer.cancel()
            reason = self._settle()
            if reason or answer is None or answer.is_last:
                stdout, stderr = worker.end()
                last_words = worker.last_words(stderr)
            else:
                stdout, stderr = _printed(worker, answer)
                worker.put_away()
        if reason == TIMED_OUT or (reason and answer is None):
            return Told(reason, None, CLOSING, stdout, stderr)
        if answer is None:
            return Told(DIED, None, last_words, stdout, stderr)
        return Told(ANSWERED, answer, "", stdout, stderr)

    def stop(self, reason: str) -> None:
        """Kill the worker process, unless the attempt is settled. The first reason counts."""
        with _lock:
            if not self._is_settled:
                self._reason = self._reason or reason
                if self._worker is not None:
                    self._worker.kill()

    def _reason_now(self) -> str:
        """Kill a worker that had not been started yet when the attempt was stopped."""
        with _lock:
            if self._reason and self._worker is not None:
                self._worker.kill()
            return self._reason

    def _settle(self) -> str:
        with _lock:
            self._is_settled = True
            return self._reason

    def end(self, told: Told) -> None:
        with _lock:
            _running.pop(self.token, None)
            if told.ending != STOPPED:
                _remember(_over, self.token, True)
        self.told.set_result(told)


def _printed(worker: Worker, answer: Answer) -> tuple[str, str]:
    if answer.printed is None:
        return worker.catch_up()
    stdout, stderr = map(decoded, answer.printed)
    return stdout, stderr


def _remember(tokens: "OrderedDict[str, bool]", token: str, value: bool) -> None:
    tokens[token] = value
    if len(tokens) > MEMORY:
        tokens.popitem(last=False)


_lock = threading.RLock()
_running: dict[str, _Attempt] = {}
#: What has ended here, other than by being stopped.
_over: "OrderedDict[str, bool]" = OrderedDict()
#: What must not begin here, and whether it has been about to.
_refused: "OrderedDict[str, bool]" = OrderedDict()
