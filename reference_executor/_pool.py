"""Who may run a task, and on which worker: the state that executors of equal settings share.

An executor itself holds none of it, so that it can be copied and serialised at any time, and so
that a host which builds an executor anew for each task has no more tasks at once for that.
"""

import atexit
import os
import weakref
from threading import Lock
from typing import NamedTuple

from ..places import Places
from ._process import Worker

__all__ = ["Pool", "Settings", "end_idle_workers", "pool_of"]


class Settings(NamedTuple):
    """What executors must have in common to share places and workers."""

    max_workers: int
    warm: bool
    cache_dir: str
    environment: tuple[tuple[str, str], ...]


class Pool:
    """Places for `max_workers` tasks, and the warm workers that wait for one."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.places = Places(settings.max_workers)
        self.idle: list[Worker] = []

    def worker(self) -> Worker:
        """Return a warm worker that waits for a task, or else one that is still to be started."""
        while True:
            with _lock:
                if not self.idle:
                    break
                worker = self.idle.pop()
            if worker.is_alive:
                return worker
            _condemn([worker])
        _, warm, cache_dir, environment = self.settings
        return Worker(cache_dir, dict(environment), not warm, self.give_back)

    def give_back(self, worker: Worker) -> None:
        """Keep a warm worker for the next task."""
        with _lock:
            self.idle.append(worker)


_lock = Lock()
_pools: dict[Settings, Pool] = {}
_started: weakref.WeakSet[Worker] = weakref.WeakSet()
#: Killed, and still to be waited for.
_condemned: list[Worker] = []


def pool_of(settings: Settings) -> Pool:
    """Return the pool that all executors of these settings share in this process.

    A new one ends the idle workers of all others: so many settings do not add up to many workers.
    """
    pool = _pools.get(settings)
    if pool is None:
        with _lock:
            pool = _pools.setdefault(settings, Pool(settings))
            others = [other for other in _pools.values() if other is not pool]
            _condemn([worker for other in others for worker in other.idle])
            for other in others:
                other.idle.clear()
                if other.places.are_free:
                    del _pools[other.settings]
    return pool


def start(worker: Worker) -> None:
    """Start a worker, and see to it that it does not outlive this process. It may block."""
    while _condemned:
        _condemned.pop().end()
    worker.start()
    _started.add(worker)


def end_idle_workers(settings: Settings) -> None:
    """End the warm workers that wait for tasks of executors of these settings. It may block."""
    pool = _pools.get(settings)
    if pool is None:
        return
    with _lock:
        workers, pool.idle = pool.idle, []
    for worker in workers:
        worker.end()


def _condemn(workers: list[Worker]) -> None:
    for worker in workers:
        worker.kill()
    _condemned.extend(workers)


@atexit.register
def _end_all() -> None:
    for worker in list(_started):
        worker.kill()
    for worker in list(_started):
        worker.end()


def _forget_all() -> None:
    """Leave the workers to the process that this one was forked from."""
    global _lock
    _lock = Lock()
    for worker in list(_started):
        worker.close()
    for known in (_pools, _started, _condemned):
        known.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
