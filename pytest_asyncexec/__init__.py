"""Base class and conformance suite for asynchronous executor plugins of workflow platforms.

Everything a plugin author needs is importable from here. The names are loaded on first use, so
that importing this package costs next to nothing and pulls in neither pytest nor hypothesis.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .base.context import DispatchInfo, dispatch_context, get_active_dispatch
    from .base.executor import AsyncBaseExecutor
    from .base.outcome import (
        TaskCancelledError,
        TaskOutcome,
        TaskRuntimeError,
        TaskStatus,
        TaskTimeoutError,
    )
    from .base.plain import BaseExecutor
    from .base.streams import write_streams_to_file
    from .base.template import run_task

    __version__: str

__all__ = [
    "AsyncBaseExecutor",
    "BaseExecutor",
    "DispatchInfo",
    "TaskCancelledError",
    "TaskOutcome",
    "TaskRuntimeError",
    "TaskStatus",
    "TaskTimeoutError",
    "__version__",
    "dispatch_context",
    "get_active_dispatch",
    "run_task",
    "write_streams_to_file",
]

_HOMES = {
    "AsyncBaseExecutor": ".base.executor",
    "BaseExecutor": ".base.plain",
    "DispatchInfo": ".base.context",
    "TaskCancelledError": ".base.outcome",
    "TaskOutcome": ".base.outcome",
    "TaskRuntimeError": ".base.outcome",
    "TaskStatus": ".base.outcome",
    "TaskTimeoutError": ".base.outcome",
    "dispatch_context": ".base.context",
    "get_active_dispatch": ".base.context",
    "run_task": ".base.template",
    "write_streams_to_file": ".base.streams",
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
