"""The packages that are measured beside ours, imported where they are used."""

from __future__ import annotations

import importlib
from importlib.metadata import PackageNotFoundError, version
from typing import Any

__all__ = ["PEERS", "MissingPeer", "peer", "versions"]

#: By distribution.
PEERS = (
    "pytest-asyncexec",
    "cloudpickle",
    "covalent",
    "dask",
    "distributed",
    "loky",
    "Pebble",
    "pytest",
)


class MissingPeer(Exception):
    """A package that a contender needs is not there."""


def peer(module: str) -> Any:
    """Import a module that may not be installed; MissingPeer says what to do then."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = (error.name or module).partition(".")[0]
        if package != module.partition(".")[0]:
            raise
        raise MissingPeer(f"{package} is not installed: pip install -e '.[benchmark]'") from error


def versions() -> dict[str, str]:
    """The version of every peer, or that it is not there."""
    found = {}
    for name in PEERS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
