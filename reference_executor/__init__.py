"""Executors that keep the whole contract, to use and to learn from."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .dask import DaskExecutor
    from .local import LocalExecutor
    from .thread import ThreadExecutor

__all__ = ["DaskExecutor", "LocalExecutor", "ThreadExecutor"]

_HOMES = {
    "DaskExecutor": ".dask",
    "LocalExecutor": ".local",
    "ThreadExecutor": ".thread",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES[name], __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
