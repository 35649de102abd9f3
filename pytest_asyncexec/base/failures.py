"""What the errors of an executor's methods mean to a host: none of them may end it."""

import asyncio
import contextlib
import traceback
from typing import TypeVar

from .outcome import TaskCancelledError, TaskRuntimeError
from .task import RunningTask

__all__ = ["failure_of", "own_error", "shown"]

E = TypeVar("E", bound=BaseException)


def own_error(error: BaseException, task: RunningTask) -> BaseException:
    """Return the error that what was raised by an executor's method stands for.

    After a cancellation by the host that is always CancelledError. Without one, a CancelledError
    may be the backend's own and becomes TaskCancelledError. What else is no Exception (SystemExit,
    KeyboardInterrupt, GeneratorExit, one of the task's own) becomes TaskRuntimeError: none of
    them may end the host.
    """
    if task.stopped:
        meant = error if isinstance(error, asyncio.CancelledError) else asyncio.CancelledError()
        if meant is not error:
            meant.__cause__ = error
        return meant
    if isinstance(error, asyncio.CancelledError):
        cancelled = TaskCancelledError(f"The task was cancelled by its backend: {shown(error)}")
        return _with_notes(cancelled, error)
    if not isinstance(error, Exception):
        return failure_of(error)
    if isinstance(error, RuntimeError) and isinstance(error.__cause__, StopIteration):
        # Python's own message does not have that of what no coroutine can raise.
        _note(error, f"The task raised: {shown(error.__cause__)}")
    return error


def failure_of(error: BaseException) -> TaskRuntimeError:
    """Return the failure of a task that raised what hosts do not take for an error.

    It tells type, message, notes and traceback.
    """
    verb = "exited" if isinstance(error, SystemExit) else "raised"
    failure = TaskRuntimeError(f"The task {verb}: {shown(error)}")
    lines: list[str] = []
    with contextlib.suppress(Exception):  # an error may be of a class that cannot be shown
        lines = traceback.format_exception(error)
    _note(failure, "".join(lines).rstrip())
    return _with_notes(failure, error)


def _with_notes(meant: E, error: BaseException) -> E:
    for note in getattr(error, "__notes__", ()):
        _note(meant, str(note))
    meant.__cause__ = error
    return meant


def _note(error: BaseException, note: str) -> None:
    told = "\n".join([str(error), *getattr(error, "__notes__", ())])
    if note and note not in told:
        error.add_note(note)


def shown(error: BaseException) -> str:
    """Return type and message of an error, or what of them can be shown."""
    try:
        return repr(error)
    except Exception:
        return type(error).__name__
