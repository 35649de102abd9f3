"""Base class and conformance suite for asynchronous executor plugins of workflow platforms.

Everything a plugin author needs is importable from here. The names are loaded on first use, so
that importing this package costs next to nothing and pulls in neither pytest nor hypothesis.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .context import DispatchInfo, get_active_dispatch
    from .executor import AsyncBaseExecutor, run_task
    from .outcome import (
        TaskCancelledError,
        TaskOutcome,
        TaskRuntimeError,
        TaskStatus,
        TaskTimeoutError,
    )
    from .streams import write_streams_to_file

    __version__: str

__all__ = [
    "AsyncBaseExecutor",
    "DispatchInfo",
    "TaskCancelledError",
    "TaskOutcome",
    "TaskRuntimeError",
    "TaskStatus",
    "TaskTimeoutError",
    "__version__",
    "get_active_dispatch",
    "run_task",
    "write_streams_to_file",
]

_HOMES = {
    "AsyncBaseExecutor": ".executor",
    "DispatchInfo": ".context",
    "TaskCancelledError": ".outcome",
    "TaskOutcome": ".outcome",
    "TaskRuntimeError": ".outcome",
    "TaskStatus": ".outcome",
    "TaskTimeoutError": ".outcome",
    "get_active_dispatch": ".context",
    "run_task": ".executor",
    "write_streams_to_file": ".streams",
}


def __getattr__(name: str) -> Any:
    value: Any
    if name in _HOMES:
        value = getattr(import_module(_HOMES[name], __name__), name)
    elif name == "__version__":
        value = import_module("importlib.metadata").version("pytest-asyncexec")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
