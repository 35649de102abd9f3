"""What executors of both kinds, asynchronous and synchronous, have in common."""

from abc import ABC
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Self

from .attributes import check_attribute, read_attributes, rehydrate, type_name
from .context import DispatchInfo, dispatch_context
from .outcome import TaskOutcome
from .task import RunningTask, TaskStreams
from .template import execute_on

__all__ = ["CommonExecutor"]


class CommonExecutor(TaskStreams, ABC):
    """Settings, the template method, and the way to JSON and back."""

    enforces: ClassVar[frozenset[str]] = frozenset()
    """What the backend enforces itself, of "time_limit" and "retries": `execute` does not."""

    cannot: ClassVar[frozenset[str]] = frozenset()
    """What this executor is honest enough to say it cannot do: "stop" (a running task cannot be
    stopped, so that a time limit is refused), "streams" (what a task prints is not captured),
    "shared-files" (tasks do not see the host's file system), "at-most-once" (its backend runs a
    task again when a worker is lost)."""

    # Class-level defaults serve subclasses that never call this constructor, dataclasses for one.
    log_stdout: str = ""
    log_stderr: str = ""
    cache_dir: str = ""
    time_limit: float = -1
    retries: int = 0

    def __init__(
        self,
        log_stdout: str = "",
        log_stderr: str = "",
        cache_dir: str = "",
        time_limit: float | None = -1,
        retries: int = 0,
    ) -> None:
        self.log_stdout = check_attribute("log_stdout", log_stdout, type(self))
        self.log_stderr = check_attribute("log_stderr", log_stderr, type(self))
        self.cache_dir = check_attribute("cache_dir", cache_dir, type(self))
        self.time_limit = check_attribute("time_limit", time_limit, type(self))
        self.retries = check_attribute("retries", retries, type(self))

    async def execute(
        self,
        function: Callable[..., Any],
        args: list[Any],
        kwargs: dict[str, Any],
        dispatch_id: str,
        results_dir: str,
        node_id: int = -1,
    ) -> TaskOutcome:
        """Run one task from `setup` to `teardown`, and return its outcome: see `run_task`.

        This is what hosts call. Override `run`, not this.
        """
        # As `run_task` does, without one more coroutine for each of thousands of tasks that wait.
        task = RunningTask(dispatch_id, node_id, results_dir)
        return (await execute_on(self, function, args, kwargs, task)).outcome(task)

    def get_dispatch_context(
        self, dispatch_info: DispatchInfo
    ) -> AbstractContextManager[DispatchInfo]:
        """Return a context manager that makes `dispatch_info` the active dispatch and yields it.

        Leaving it restores what was active before. `get_active_dispatch()` reads it.
        """
        return dispatch_context(dispatch_info)

    def short_name(self) -> str:
        """Return the short name of this kind of executor: the last part of its module's name."""
        return type(self).__module__.rpartition(".")[2]

    def to_dict(self) -> dict[str, Any]:
        """Return this executor as JSON values: `type`, `short_name` and `attributes`.

        The attributes are the public ones, copied deeply, with tuples as lists. What JSON cannot
        hold raises TypeError, NaN and infinity ValueError, naming the attribute: keep such state,
        and secrets, in attributes whose names start with an underscore.
        """
        return {
            "type": type_name(type(self)),
            "short_name": self.short_name(),
            "attributes": read_attributes(self),
        }

    def from_dict(self, object_dict: dict[str, Any]) -> Self:
        """Overwrite the attributes with those of a dictionary from `to_dict`; return this instance.

        An empty dictionary overwrites nothing. An attribute that is missing keeps its value, an
        unknown one is added. The values are copied deeply. A malformed dictionary, one of another
        class, and names that belong to the class or start with an underscore raise TypeError or
        ValueError, and leave this instance as it was. The dictionary is data: nothing that it
        names is imported or called.
        """
        return rehydrate(self, object_dict)
