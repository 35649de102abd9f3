"""Who may run a task, and on which worker: the state that executors of equal settings share.

An executor itself holds none of it, so that it can be copied and serialised at any time, and so
that a host which builds an executor anew for each task has no more tasks at once for that.
"""

import asyncio
import contextlib
import os
from typing import NamedTuple
from weakref import WeakValueDictionary

from ..base.places import Place, Places, guard
from ._process import Worker

__all__ = ["Pool", "Settings", "condemn", "end_idle_workers", "pool_of", "start"]


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

    def worker_for(self, place: Place | None) -> Worker:
        """Return the worker that belongs to a place, or one that waits for a task, or a new one.

        A new one is still to be started.
        """
        kept = None
        if place is not None:
            kept, place.kept = place.kept, None
        if isinstance(kept, Worker):
            if kept.channel.watched_by() not in (None, asyncio._get_running_loop()):
                kept.put_away()  # of a host that sets up and runs in different event loops
            elif kept.is_alive:
                return kept
            else:
                kept.channel.unwatch()
                condemn(kept)
        while True:
            with guard:
                if not self.idle:
                    break
                worker = self.idle.pop()
            if worker.is_alive:
                return worker
            condemn(worker)
        _, warm, cache_dir, environment = self.settings
        return Worker(cache_dir, dict(environment), not warm, self.give_back)

    def give_back(self, worker: Worker) -> None:
        """Keep a warm worker for the next task."""
        with guard:
            if _pools.get(self.settings) is self:
                self.idle.append(worker)
                return
        condemn(worker)


#: Those that may keep idle workers.
_pools: dict[Settings, Pool] = {}
#: All that anybody has to do with.
_known: WeakValueDictionary[Settings, Pool] = WeakValueDictionary()
#: Killed, and still to be waited for.
_condemned: list[Worker] = []


def pool_of(settings: Settings) -> Pool:
    """Return the pool that all executors of these settings share in this process.

    A new one ends the idle workers of all others: so many settings do not add up to many workers.
    """
    pool = _pools.get(settings)
    if pool is None:
        with guard:
            pool = _known.get(settings) or Pool(settings)
            _pools[settings] = _known[settings] = pool
            others = [other for other in _pools.values() if other is not pool]
            for other in others:
                while other.idle:
                    condemn(other.idle.pop())
                if other.places.are_free:
                    _pools.pop(other.settings, None)
    return pool


def start(worker: Worker) -> None:
    """Start a worker, once those that were killed have ended. It may block."""
    _end_condemned()
    worker.start()
    with guard:
        is_condemned = worker.is_condemned
    if is_condemned:
        worker.end()  # whoever wanted it has gone while it was started


def end_idle_workers(settings: Settings) -> None:
    """End the warm workers that wait for tasks of executors of these settings. It may block.

    And wait for those that were killed: they have files open, and are zombies until then.
    """
    _end_condemned()
    pool = _pools.get(settings)
    if pool is None:
        return
    with guard:
        workers, pool.idle = pool.idle, []
    for worker in workers:
        worker.end()


def _end_condemned() -> None:
    with contextlib.suppress(IndexError):
        while True:
            _condemned.pop().end()


def condemn(worker: Worker) -> None:
    """Kill a worker, and leave it to others to wait for its end."""
    with guard:
        worker.is_condemned = True
        worker.kill()
        _condemned.append(worker)


def _forget_all() -> None:
    """Leave the workers to the process that this one was forked from."""
    _pools.clear()
    _known.clear()
    _condemned.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
