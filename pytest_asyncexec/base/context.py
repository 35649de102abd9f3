"""Which dispatch the running code belongs to."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

__all__ = ["DispatchInfo", "dispatch_context", "enter_dispatch", "get_active_dispatch"]


class DispatchInfo(NamedTuple):
    """What identifies one dispatch of a workflow."""

    dispatch_id: str


_latest = DispatchInfo("")
_active: ContextVar[DispatchInfo | None] = ContextVar("active_dispatch", default=None)


def get_active_dispatch() -> DispatchInfo | None:
    """Return the dispatch that is active here, or None outside of any.

    Every asyncio task and every thread has its own: they never see each other's.
    """
    return _active.get()


def enter_dispatch(dispatch_id: str) -> None:
    """Make this the active dispatch for as long as the current context lives."""
    global _latest
    info = _latest
    if info.dispatch_id is not dispatch_id:  # or its tasks, which may be thousands, share it
        _latest = info = DispatchInfo(dispatch_id)
    _active.set(info)


@contextmanager
def dispatch_context(dispatch_info: DispatchInfo) -> Iterator[DispatchInfo]:
    """Make `dispatch_info` the active dispatch, and yield it.

    Leaving restores what was active before, after an exception too. Contexts nest.
    """
    before = _active.get()
    _active.set(dispatch_info)
    try:
        yield dispatch_info
    finally:
        # Not a token: leaving is allowed in another context than entering (a generator closed by
        # the garbage collector, an async fixture), where a token would be refused.
        _active.set(before)
