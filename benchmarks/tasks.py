"""What the contenders are asked to do: next to nothing, so that what is left is their own cost."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import cloudpickle


def identity(value: int) -> int:
    """The trivial task."""
    return value


def transported(_: object, value: int) -> int:
    """The trivial task behind the argument that Covalent's executors look for."""
    return value


def unpickled(data: bytes) -> bytes:
    """A pickled task to a pickled result."""
    function, args, kwargs = cloudpickle.loads(data)
    result: bytes = cloudpickle.dumps(function(*args, **kwargs))
    return result


def overrun(path: str) -> None:
    """Tell who is at work, and take too long."""
    Path(path).write_text(str(os.getpid()), encoding="utf-8")
    time.sleep(60)


def check(results: list[Any], expected: range) -> None:
    """A contender that did something else is not to be compared."""
    if results != list(expected):
        raise RuntimeError(f"the results are wrong: {str(results)[:200]}")
