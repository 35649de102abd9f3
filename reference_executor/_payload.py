"""Tasks as bytes, and answers as results or errors."""

import pickle
import sys
from collections.abc import Callable
from types import BuiltinFunctionType, FunctionType
from typing import Any

import cloudpickle

from ..base.outcome import TaskRuntimeError
from ..base.pickling import dumps
from . import _worker_messages as messages
from ._channel import Answer

__all__ = ["Task", "dumped", "plainly_dumped", "understood"]

Task = tuple[Callable[..., Any], list[Any], dict[str, Any]]

#: Values in whose pickling nobody's code takes part.
_PLAIN = frozenset({type(None), bool, int, float, complex, str, bytes})


def is_plain(function: Callable[..., Any], args: list[Any], kwargs: dict[str, Any]) -> bool:
    """Return whether a task is short, and nobody's code takes part in pickling it."""
    for value in (*args, *kwargs.values()):
        kind = type(value)
        if kind not in _PLAIN or (kind in (str, bytes) and len(value) >= messages.SHORT):
            return False
    return type(function) in (FunctionType, BuiltinFunctionType) and _is_sent_by_name(function)


def _is_sent_by_name(function: Any) -> bool:
    name = function.__module__
    module = sys.modules.get(name) if name else None
    return (
        module is not None
        and name != "__main__"
        and getattr(module, function.__qualname__, None) is function
        and not cloudpickle.list_registry_pickle_by_value()
    )


def plainly_dumped(
    function: Callable[..., Any], args: list[Any], kwargs: dict[str, Any]
) -> bytes | None:
    """Pickle a task that is plain; None for any other, which may block."""
    return pickle.dumps((function, args, kwargs)) if is_plain(function, args, kwargs) else None


def dumped(task: Task) -> bytes:
    """Pickle a task. It may block.

    Raises TaskRuntimeError, which names the culprit, if that cannot be done.
    """
    try:
        return dumps(task)
    except Exception as error:
        raise TaskRuntimeError(
            f"{_culprit(*task)} cannot be sent to a worker process: "
            f"{type(error).__qualname__}: {error}"
        ) from error


def _culprit(function: Callable[..., Any], args: list[Any], kwargs: dict[str, Any]) -> str:
    parts = {"The function": function}
    parts |= {f"Argument {position}": value for position, value in enumerate(args)}
    parts |= {f"Keyword argument {name!r}": value for name, value in kwargs.items()}
    for name, value in parts.items():
        try:
            dumps(value)
        except Exception:
            return f"{name}, of type {type(value).__qualname__},"
    return "The task"


def understood(answer: Answer) -> Any:
    """Return the result of a task or raise its error. It may block, unless the result is plain."""
    if answer.kind == "returned":
        return _result(answer)
    error = _error(answer)
    error.add_note(f"Traceback in the worker process:\n{answer.traceback.rstrip()}")
    raise error


def _result(answer: Answer) -> Any:
    try:
        return pickle.loads(answer.result)
    except BaseException as error:
        raise TaskRuntimeError(
            f"The result of the task cannot be loaded in the host: "
            f"{type(error).__qualname__}: {error}"
        ) from error


def _error(answer: Answer) -> BaseException:
    error = None
    if answer.portable is not None:
        try:
            error = pickle.loads(answer.portable)
        except BaseException:
            error = None
    return error if isinstance(error, BaseException) else TaskRuntimeError(answer.description)
