"""The warm worker processes beside a Dask worker that wait for an attempt."""

from ._process import Worker

__all__ = ["taken"]

_idle: list[Worker] = []


def taken(cache_dir: str) -> Worker:
    """Return a warm worker that waits for a task, or else one that is still to be started.

    So there are never more of them than attempts at once, whatever folders these name.
    """
    try:
        worker = _idle.pop()
    except IndexError:
        return _new(cache_dir)
    if worker.cache_dir == cache_dir and worker.is_alive:
        return worker
    worker.end()
    return _new(cache_dir)


def _new(cache_dir: str) -> Worker:
    return Worker(cache_dir, {}, False, _idle.append)
