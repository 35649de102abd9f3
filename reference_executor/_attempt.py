"""One attempt on one worker, which anybody may stop until it is settled."""

import itertools
import secrets
from concurrent.futures import Future
from threading import RLock
from typing import Any
from weakref import WeakValueDictionary

from ._process import Worker

__all__ = ["Attempt", "attempt_of"]

_secret = secrets.token_hex(16)
_numbers = itertools.count()
# Weak, so that a task that is thrown away with its event loop really goes, and its worker with it.
_running: WeakValueDictionary[str, "Attempt"] = WeakValueDictionary()
# Reentrant, since a task that is thrown away is settled in the middle of anything.
_guard = RLock()


def attempt_of(token: object) -> "Attempt | None":
    """Return the attempt of this process that goes by `token`, if it is still running."""
    return _running.get(token) if isinstance(token, str) else None


class Attempt:
    """What `cancel`, in any thread and event loop of the process, may do to an attempt.

    A warm worker soon has another task, so that killing it and settling what became of this one
    exclude each other.
    """

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.stopped = False
        #: How the worker died, once it has.
        self.last_words = ""
        self.token = f"{_secret}-{next(_numbers)}"
        self._settled = False
        self._told: list[Future[bool]] = []

    def begin(self) -> dict[str, Any]:
        """From here on the attempt can be stopped; return what finds it, in JSON values."""
        _running[self.token] = self
        assert self.worker.process is not None
        return {"pid": self.worker.process.pid, "token": self.token}

    def stop(self) -> "Future[bool] | None":
        """Kill the worker; return whose result is whether that ended the task, or None if late."""
        with _guard:
            if self._settled:
                return None
            self.stopped = True
            self.worker.kill()
            told: Future[bool] = Future()
            # A caller that stops waiting must not be able to cancel it.
            told.set_running_or_notify_cancel()
            self._told.append(told)
            return told

    def settle(self) -> bool:
        """End the time in which the attempt can be stopped; return whether it was."""
        with _guard:
            self._settled = True
        _running.pop(self.token, None)
        return self.stopped

    def tell(self, cancelled: bool) -> None:
        """Tell whoever has stopped the attempt whether that ended the task."""
        for told in self._told:
            told.set_result(cancelled)
