"""Run tasks in this interpreter: `python -P -u _worker.py once|warm [LIFELINE CONTROL [QUEUE]]`.

This file is run by its path and imports nothing of its own package but what pickles results by
value. The others are descriptors: what they are for, and what stands for them on Windows, say
`_process.py` and `_channel.py`. A message, either way, is the number of the task, two lengths, a
head and a body:

- a task: the head is empty or pickled `(sys_path or None, directory or None)`, for what is to be
  changed first; the body is pickled `(function, args, kwargs)`;
- an answer: the head is empty after a plain result and no output, or else pickled, see `Answer` in
  `_channel.py`; the body is the pickled result.

After an answer that leaves it to the host to read what was printed, a worker waits for one byte.

A worker that was started `once` ends after its task as a script does: once its threads have. So
does a warm one that the task has changed in a way that the next one would notice and that cannot
be put back: see `_worker_state.py`.

Every import here costs each fresh worker some milliseconds: what few tasks need is imported late.
"""

from __future__ import annotations

import atexit
import os
import sys
from _contextvars import Context

try:
    import _pickle as pickle  # the part of it in C, without all that the other part imports
except ImportError:  # another Python than CPython
    import pickle  # type: ignore[no-redef]

# The modules beside this file are found by their names in this process alone, and only now.
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from _worker_messages import SHORT, receive, send  # type: ignore[import-not-found]
from _worker_ties import connected, connected_by_stdin, hear_signals  # type: ignore[import-not-found]

TYPE_CHECKING = False  # for tools that read this file; `typing` takes as long as all the rest here
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

#: That of the host, once the host has told it.
import_path: list[str] = []

#: What nobody's code takes part in when it is loaded.
PLAIN = frozenset({type(None), bool, int, float, complex, str, bytes})

#: What to say of a task that has returned something plain.
PLAINLY = ("returned", True, None, "", "")
NOTHING = (b"", b"")


def main(mode: str, *descriptors: str) -> None:
    hear_signals()
    queue, control = connected(*map(int, descriptors)) if descriptors else connected_by_stdin()
    for stream in (sys.stdout, sys.stderr):
        # The host reads UTF-8, whatever the locale, and exactly the newlines that were printed.
        stream.reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")  # type: ignore[union-attr]
    state = None
    if mode == "warm":
        from _worker_state import State  # type: ignore[import-not-found]

        state = State()
    sys.path.pop(0)
    is_restored = True
    process = os.getpid()
    while is_restored and (message := receive(queue, control)) is not None:
        number, *task = message
        modules = len(sys.modules)
        # In a context of its own, so that the variables of the context are its own too.
        what, body = Context().run(attempt, process, *task)
        if state is not None:
            state.settings.kept.collect()
        problem = flushed()
        # What was imported from elsewhere would be found there by the next task too.
        is_imported = sys.path != import_path and len(sys.modules) != modules
        is_restored = state is not None and not is_imported and state.is_restored()
        # Left in the files where the answer takes long, which its receiver may not live to see.
        is_short = is_restored and len(body) < SHORT
        printed = state.printed() if state is not None and is_short else None
        is_ordinary = what == PLAINLY and not problem and printed == NOTHING
        head = b"" if is_ordinary else pickle.dumps((*what, problem, printed, not is_restored))
        if is_restored and state is not None:
            state.begin()
        send(control, number, head, body)
        sys.path[:] = import_path or sys.path
        del message, task, what, head, body
        if is_restored and printed is None and not control.read(1):
            break
    # Called before what makes the end of a process wait for its children.
    atexit.register(end_children)


def attempt(process: int, head: memoryview, body: memoryview) -> tuple[tuple[Any, ...], bytes]:
    try:
        if head:
            enter(*pickle.loads(head))
        function, args, kwargs = pickle.loads(body)
    except BaseException as error:
        return refused("The task could not be loaded in the worker process", error)
    try:
        result = function(*args, **kwargs)
        if os.getpid() != process:
            sys.exit()  # a fork of the task, which ends like any other
    except BaseException as error:
        if os.getpid() != process:
            raise
        return raised(error)
    try:
        data = dumped(result)
    except BaseException as error:
        kind = type(result).__qualname__
        return refused(f"The result, of type {kind}, cannot be sent back from the worker", error)
    is_plain = type(result) in PLAIN and len(data) < SHORT
    return PLAINLY if is_plain else ("returned", False, None, "", ""), data


def enter(sys_path: list[str] | None, directory: str | None) -> None:
    if sys_path is not None:
        sys.path[:] = import_path[:] = sys_path
    if directory is not None:
        os.makedirs(directory, exist_ok=True)
        os.chdir(directory)


def refused(what: str, error: BaseException) -> tuple[tuple[Any, ...], bytes]:
    text = formatted(error, error.__traceback__)
    return ("raised", False, None, f"{what}: {described(error)}", text), b""


def raised(error: BaseException) -> tuple[tuple[Any, ...], bytes]:
    tb = error.__traceback__
    # The first frame is this file's call of the function, which tells the reader nothing.
    text = formatted(error, tb and tb.tb_next)
    return ("raised", False, portable(error), described(error), text), b""


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


def end_children() -> None:
    """End the children that `multiprocessing` would wait for, and nobody will hear of any more."""
    multiprocessing = sys.modules.get("multiprocessing")
    for child in multiprocessing.active_children() if multiprocessing is not None else ():
        if not child.daemon:
            child.kill()


def portable(error: BaseException) -> bytes | None:
    """Pickle an exception that may be raised in the host, if it comes back as it was."""
    # The others would be taken there for something else than the failure of a task.
    if isinstance(error, StopIteration) or not isinstance(error, Exception):
        return None
    try:
        data = dumped(error)
        copy = pickle.loads(data)
        return data if type(copy) is type(error) and str(copy) == str(error) else None
    except BaseException:
        return None


def dumped(value: Any) -> bytes:
    try:
        return pickle.dumps(value, protocol=-1)
    except Exception:
        return by_value(value)


def by_value(value: Any) -> bytes:
    try:
        from pytest_asyncexec.base.pickling import dumps
    except ImportError:  # the task has changed the import path
        import cloudpickle

        data: bytes = cloudpickle.dumps(value)
        return data
    return dumps(value)


def flushed() -> str:
    """Flush what was printed, and say what went wrong with that."""
    problems = []
    for name in ("stdout", "stderr"):
        try:
            getattr(sys, name).flush()
        except BaseException as error:
            problems.append(f"What the task printed to {name} is not complete: {described(error)}")
    return "\n".join(problems)


if __name__ == "__main__":
    # Processes that tasks start would run this file too, to have the functions of its module.
    sys.modules["__main__"] = type(sys)("__main__")
    arguments, sys.argv[1:] = sys.argv[1:], []
    main(*arguments)
