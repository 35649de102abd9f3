"""How a task ends: the outcome a host receives, and the errors an executor raises."""

from enum import StrEnum
from typing import Any, NamedTuple

__all__ = [
    "TaskCancelledError",
    "TaskOutcome",
    "TaskRuntimeError",
    "TaskStatus",
    "TaskTimeoutError",
]


class TaskStatus(StrEnum):
    """The three ways in which a task can have ended."""

    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class TaskOutcome(NamedTuple):
    """What `execute` returns: it unpacks as `result, stdout, stderr, status`.

    `result` is what the task returned, and None unless `status` is `TaskStatus.COMPLETED`.
    `stdout` and `stderr` are what all attempts printed, in order.
    """

    result: Any
    stdout: str
    stderr: str
    status: TaskStatus


class TaskRuntimeError(Exception):
    """The task failed: raise this from `setup` or `run` for the status FAILED.

    Its message is appended to the task's `stderr`, so say there what went wrong. Any other
    exception reaches the caller of `execute` as it is. A failed attempt is tried again as often
    as `retries` allows.
    """


class TaskCancelledError(Exception):
    """The task was cancelled: raise this from `setup` or `run` for the status CANCELLED.

    A cancelled task is never tried again.
    """


class TaskTimeoutError(TimeoutError):
    """An attempt took longer than the executor's `time_limit`.

    It is a `TimeoutError`, so that callers need to know one standard type only.
    """
