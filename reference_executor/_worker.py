"""Run one task in this fresh interpreter: `python -P -u _worker.py FOLDER`.

This file is run by its path and imports nothing of its own package. `FOLDER` holds `sys_path`
and `task` (function, args and kwargs), both pickled; the worker adds `result`, a pickled tuple:
`("returned", pickled value)` or `("raised", pickled exception or None, description, traceback)`.

Every import here costs each attempt some milliseconds: what few tasks need is imported late.
"""

import os
import pickle
import sys
from types import TracebackType
from typing import Any


def main(folder: str) -> None:
    with open(os.path.join(folder, "sys_path"), "rb") as file:
        sys.path[:] = pickle.load(file)
    for stream in (sys.stdout, sys.stderr):
        # The host reads UTF-8, whatever the locale, and exactly the newlines that were printed.
        stream.reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")  # type: ignore[union-attr]
    answer = pickle.dumps(attempt(folder))
    unfinished = os.path.join(folder, "result.unfinished")
    with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(answer)
    # A worker that dies before this line leaves no half of a result behind.
    os.replace(unfinished, os.path.join(folder, "result"))


def attempt(folder: str) -> tuple[Any, ...]:
    try:
        with open(os.path.join(folder, "task"), "rb") as file:
            function, args, kwargs = pickle.load(file)
    except BaseException as error:
        return refused("The task could not be loaded in the worker process", error)
    try:
        result = function(*args, **kwargs)
    except BaseException as error:
        return raised(error)
    try:
        return "returned", dumped(result)
    except BaseException as error:
        kind = type(result).__qualname__
        return refused(f"The result, of type {kind}, cannot be sent back from the worker", error)


def refused(what: str, error: BaseException) -> tuple[Any, ...]:
    return "raised", None, f"{what}: {described(error)}", formatted(error, error.__traceback__)


def raised(error: BaseException) -> tuple[Any, ...]:
    tb = error.__traceback__
    # The first frame is this file's call of the function, which tells the reader nothing.
    text = formatted(error, tb and tb.tb_next)
    return "raised", portable(error), described(error), text


def described(error: BaseException) -> str:
    try:
        message = str(error)
    except BaseException as another:
        message = f"<its message cannot be shown: {type(another).__qualname__}>"
    name = type(error).__qualname__.rpartition("<locals>.")[2]
    return f"{name}: {message}" if message else name


def formatted(error: BaseException, tb: TracebackType | None) -> str:
    import traceback

    try:
        return "".join(traceback.format_exception(type(error), error, tb))
    except BaseException:
        return "".join(traceback.format_tb(tb)) + described(error)


def portable(error: BaseException) -> bytes | None:
    """Pickle an exception that may be raised in the host, if it comes back as it was."""
    if isinstance(error, StopIteration) or not (
        isinstance(error, Exception) or is_cancellation(error)
    ):
        return None
    try:
        data = dumped(error)
        copy = pickle.loads(data)
        return data if type(copy) is type(error) and str(copy) == str(error) else None
    except BaseException:
        return None


def is_cancellation(error: BaseException) -> bool:
    asyncio = sys.modules.get("asyncio")
    return asyncio is not None and isinstance(error, asyncio.CancelledError)


def dumped(value: Any) -> bytes:
    try:
        return pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    except Exception:
        import cloudpickle

        data: bytes = cloudpickle.dumps(value)
        return data


if __name__ == "__main__":
    main(sys.argv[1])
