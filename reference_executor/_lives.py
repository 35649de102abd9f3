"""The workers of this process that are alive: none of them outlives it, and no fork has them."""

import atexit
import os
from typing import Protocol

__all__ = ["born", "gone"]


class Life(Protocol):
    """A worker that has been started."""

    def kill(self) -> None:
        """Kill it, without waiting for its end."""

    def end(self) -> object:
        """Kill it, and wait for its end."""

    def forget(self) -> None:
        """Leave it to the process that this one was forked from."""


_living: set[Life] = set()


def born(worker: Life) -> None:
    """See to it that a worker ends with this process."""
    _living.add(worker)


def gone(worker: Life) -> None:
    """Forget a worker that has ended."""
    _living.discard(worker)


@atexit.register
def _end_all() -> None:
    workers = list(_living)
    for worker in workers:
        worker.kill()
    for worker in workers:
        worker.end()


def _forget_all() -> None:
    """Leave the workers to the process that this one was forked from."""
    for worker in list(_living):
        worker.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
