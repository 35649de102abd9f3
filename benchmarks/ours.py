"""This package's executors, imported in one place.

mypy takes the folder beside this one for the package, where its parts have other names.
"""

from pathlib import Path

from pytest_asyncexec.reference_executor import (  # type: ignore[import-not-found, unused-ignore]
    LocalExecutor,
    _worker_messages,
)

from pytest_asyncexec import reference_executor  # type: ignore[attr-defined, unused-ignore]

__all__ = ["WORKER", "LocalExecutor", "messages"]

WORKER = str(Path(reference_executor.__file__).with_name("_worker.py"))
messages = _worker_messages
