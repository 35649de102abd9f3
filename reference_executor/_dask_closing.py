"""Learning that a Dask worker ends, so that what it runs does not outlive it.

A Dask worker also ends when it has lost its scheduler. Its threads would go on.
"""

import threading
from collections.abc import Callable
from typing import Any
from weakref import WeakSet

from distributed import WorkerPlugin, get_worker

__all__ = ["watched_address"]

_lock = threading.Lock()
_watched: WeakSet[Any] = WeakSet()


class _Closing(WorkerPlugin):  # type: ignore[misc,unused-ignore]
    """Call `on_close` with the address of the worker as soon as it closes."""

    name = "pytest-asyncexec-closing"

    def __init__(self, on_close: Callable[[str], None]) -> None:
        self.on_close = on_close
        self.address = ""

    def setup(self, worker: Any) -> None:
        self.address = worker.address

    def teardown(self, worker: Any) -> None:
        self.on_close(self.address)


def watched_address(on_close: Callable[[str], None]) -> str:
    """Return the address of the Dask worker that this thread works for, and watch its end."""
    worker = get_worker()
    with _lock:
        is_new = worker not in _watched
        _watched.add(worker)
    if is_new:
        worker.loop.add_callback(worker.plugin_add, _Closing(on_close), name=_Closing.name)
    address: str = worker.address
    return address
