"""The base class of executor plugins, and the template by which a host runs a task on one."""

import io
import logging
from abc import ABC, abstractmethod
from asyncio import CancelledError
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from .attempts import attempt_until_done, limits_of, own_error
from .attributes import check_attribute, read_attributes, rehydrate, type_name
from .context import DispatchInfo, dispatch_context, enter_dispatch
from .outcome import TaskCancelledError, TaskOutcome, TaskRuntimeError, TaskStatus
from .streams import write_streams_to_file
from .task import RunningTask, get_running_task
from .waiting import call, ended

__all__ = ["AsyncBaseExecutor", "run_task"]

logger = logging.getLogger(__name__)


async def run_task(
    executor: Any,
    function: Callable[..., Any],
    args: Iterable[Any],
    kwargs: dict[str, Any],
    dispatch_id: str,
    results_dir: str,
    node_id: int = -1,
    *,
    cancel_requested: Callable[[], bool | Awaitable[bool]] | None = None,
    on_job_handle: Callable[[Any], object] | None = None,
) -> TaskOutcome:
    """Run one task on `executor` as its host: setup, attempts at `run`, teardown, logs.

    `executor` is an `AsyncBaseExecutor` or anything of that shape. Methods that are no coroutine
    functions are called in a thread; a missing `setup`, `teardown` or attribute is tolerated.

    `cancel_requested` answers `get_cancel_requested()` inside the task, `on_job_handle` is told
    what the executor passes to `set_job_handle`. Both may be coroutine functions.

    Returns a `TaskOutcome` for COMPLETED, FAILED (`TaskRuntimeError`) and CANCELLED
    (`TaskCancelledError`, or a CancelledError of the backend's own). Any other error of the task
    is raised as it is, `TaskTimeoutError` after the time limit, CancelledError when the awaiting
    task was cancelled: each after `teardown` has ended and the logs are written. A rubbish
    `time_limit` or `retries` raises TypeError or ValueError before anything runs.
    """
    task = RunningTask(dispatch_id, node_id, results_dir, cancel_requested, on_job_handle)
    ending = await ended(_live(executor, function, args, kwargs, task), task)
    return ending.outcome(task)


async def _live(
    executor: Any,
    function: Callable[..., Any],
    args: Iterable[Any],
    kwargs: dict[str, Any],
    task: RunningTask,
) -> "_Ending":
    """Lead a task from `setup` to `teardown`, in an asyncio task, and so in a context, of its own:
    what setup puts into a ContextVar, run and teardown find, and the host does not.
    """
    time_limit, retries = limits_of(executor)
    enter_dispatch(task.dispatch_id)
    result, ended_by = None, None
    try:
        task.begin()
        if hasattr(executor, "setup"):
            await call(executor.setup, task_metadata=task.metadata())
        task.check()
        result = await attempt_until_done(
            executor, function, args, kwargs, task, time_limit, retries
        )
    except GeneratorExit:
        raise  # the coroutine is being thrown away with its loop: nothing can be awaited
    except BaseException as error:
        ended_by = own_error(error, task)
    await task.end()
    ending = _Ending(result, ended_by)
    del ended_by  # its traceback refers to this frame, see `outcome`
    await _close(executor, task, ending)
    return ending


@dataclass(slots=True)
class _Ending:
    """How a task ended, and what went wrong after that."""

    result: Any = None
    error: BaseException | None = None
    stdout: str = ""
    stderr: str = ""
    problems: list[str] = field(default_factory=list)

    @property
    def is_returned(self) -> bool:
        return self.error is None or isinstance(self.error, TaskRuntimeError | TaskCancelledError)

    def add_problem(self, doing: str, error: BaseException) -> None:
        logger.error("%s failed", doing, exc_info=error)
        problem = f"{doing} failed: {error!r}"
        self.problems.append(problem)
        if self.is_returned:
            self.stderr = _with_line(self.stderr, problem)

    def outcome(self, task: RunningTask) -> TaskOutcome:
        # Taken out, and then let go: the traceback of the error refers to this frame and to that
        # of `_live`. Without the cycles all are freed as soon as the caller lets go.
        error, self.error = self.error, None
        if task.stopped and not isinstance(error, CancelledError):
            error = CancelledError()
        try:
            if error is None:
                return TaskOutcome(self.result, self.stdout, self.stderr, TaskStatus.COMPLETED)
            if isinstance(error, TaskRuntimeError):
                return TaskOutcome(None, self.stdout, self.stderr, TaskStatus.FAILED)
            if isinstance(error, TaskCancelledError):
                return TaskOutcome(None, self.stdout, self.stderr, TaskStatus.CANCELLED)
            for problem in self.problems:
                error.add_note(problem)
            raise error
        finally:
            del error


async def _close(executor: Any, task: RunningTask, ending: _Ending) -> None:
    teardown_error: BaseException | None = None
    try:
        if hasattr(executor, "teardown"):
            await call(executor.teardown, task_metadata=task.metadata())
    except (Exception, CancelledError, SystemExit) as error:
        teardown_error = error
    ending.stdout, ending.stderr = _printed(executor, task)
    if isinstance(ending.error, TaskRuntimeError):
        for text in (str(ending.error), *getattr(ending.error, "__notes__", ())):
            ending.stderr = _with_line(ending.stderr, text)
    if teardown_error is not None:
        ending.add_problem(f"The teardown of the {task}", teardown_error)
    del teardown_error  # its traceback refers to this frame
    try:
        await _write_logs(executor, task, ending)
    except (Exception, CancelledError, SystemExit) as error:
        ending.add_problem(f"Writing the logs of the {task}", error)


async def _write_logs(executor: Any, task: RunningTask, ending: _Ending) -> None:
    paths = (getattr(executor, "log_stdout", ""), getattr(executor, "log_stderr", ""))
    write = getattr(executor, "write_streams_to_file", write_streams_to_file)
    if not any(paths) and getattr(write, "__func__", write) in _WRITERS_OF_NOTHING:
        return
    streams = (ending.stdout, ending.stderr)
    await call(write, streams, paths, task.dispatch_id, task.results_dir)


def _printed(executor: Any, task: RunningTask) -> tuple[str, str]:
    stdout, stderr = task.printed()
    return _text(executor, "task_stdout", stdout), _text(executor, "task_stderr", stderr)


def _text(executor: Any, name: str, own: str) -> str:
    if getattr(type(executor), name, None) is getattr(AsyncBaseExecutor, name):
        return own
    stream: Any = getattr(executor, name, None)
    text: str = stream.getvalue() if hasattr(stream, "getvalue") else own
    return text


def _with_line(text: str, line: str) -> str:
    if line in text:
        return text
    separator = "" if not text or text.endswith("\n") else "\n"
    return f"{text}{separator}{line}\n"


class AsyncBaseExecutor(ABC):
    """The base of every asynchronous executor plugin: implement `run`, and the rest is given.

    A plugin written against Covalent's class of the same name works with its import line changed.

    One instance may be asked to run many tasks at once. Keep nothing about a task on `self`: what
    belongs to one task is in its `task_metadata`, in local variables, or in a `ContextVar`.

    Args:
        log_stdout: file that the standard output of a task is appended to. A relative path lands
            in `results_dir/dispatch_id/`, `~` is expanded, and "" writes no file.
        log_stderr: likewise for the standard error.
        cache_dir: folder for an executor's own files; "" leaves the choice to the executor.
        time_limit: seconds that each attempt of `run` may take, anew for every attempt and
            without `setup` and `teardown`. None, zero, a negative number and infinity: no limit.
        retries: how often a failed attempt is repeated. A time-out is a failure, a cancellation
            and an error of `setup` or `teardown` are none.

    Raises TypeError or ValueError for a value that means nothing, naming it. Building an instance
    must have no effect besides: touch no file and open no connection before `setup`.

    These promises are those of Covalent's documentation; where it is silent, they are those of
    this package's contract.
    """

    enforces: ClassVar[frozenset[str]] = frozenset()
    """What the backend enforces itself, of "time_limit" and "retries": `execute` does not."""

    cannot: ClassVar[frozenset[str]] = frozenset()
    """What this executor is honest enough to say it cannot do: "stop" (a running task cannot be
    stopped), "streams" (what a task prints is not captured), "shared-files" (tasks do not see
    the host's file system)."""

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

    async def setup(self, task_metadata: dict[str, Any]) -> None:  # noqa: B027
        """Acquire what this task needs; called once, before the first attempt.

        `task_metadata` has `dispatch_id: str`, `node_id: int` and `results_dir: str`, and is a
        copy: what you change in it, `run` and `teardown` do not see. If this raises, `run` is not
        called, `teardown` is, and the caller sees the error. Never block the event loop here.
        """

    @abstractmethod
    async def run(
        self,
        function: Callable[..., Any],
        args: list[Any],
        kwargs: dict[str, Any],
        task_metadata: dict[str, Any],
    ) -> Any:
        """Run `function(*args, **kwargs)` on your backend once, and return its result.

        Each call is one attempt, with copies of the original arguments (a value that cannot be
        copied is passed as it is). Do not retry and do not watch the clock, unless the class says
        so in `enforces`. When this coroutine is cancelled, stop the work and let the
        CancelledError out only once the work is dead: attempts must not overlap.

        Write what the task printed to `self.task_stdout` and `self.task_stderr`. Raise
        `TaskRuntimeError` for the status FAILED and `TaskCancelledError` for CANCELLED; any other
        error reaches the caller as it is. Never block the event loop here.
        """

    async def teardown(self, task_metadata: dict[str, Any]) -> None:  # noqa: B027
        """Release what `setup` acquired; called exactly once, whatever happened before.

        Cope with any beginning: `setup` may have failed half-way or never begun. An error raised
        here never replaces the outcome of `run`: it is logged, and attached to that outcome. No
        cancellation of the host cuts this short.
        """

    async def cancel(self, task_metadata: dict[str, Any], job_handle: Any) -> bool:
        """Stop a running task; return True only if it will really not run on.

        `job_handle` is what `run` gave to `set_job_handle`, after a round trip through JSON. The
        awaiting `run` should then raise `TaskCancelledError`. By default nothing can be stopped.
        """
        return False

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
        ending = await ended(_live(self, function, args, kwargs, task), task)
        return ending.outcome(task)

    async def write_streams_to_file(
        self,
        stream_strings: Iterable[str],
        filepaths: Iterable[str],
        dispatch_id: str,
        results_dir: str,
    ) -> None:
        """Append each stream to the file of the same position, off the event loop's thread.

        The paths, the errors and the encoding: see `pytest_asyncexec.write_streams_to_file`.
        """
        await write_streams_to_file(stream_strings, filepaths, dispatch_id, results_dir)

    def get_dispatch_context(
        self, dispatch_info: DispatchInfo
    ) -> AbstractContextManager[DispatchInfo]:
        """Return a context manager that makes `dispatch_info` the active dispatch and yields it.

        Leaving it restores what was active before. `get_active_dispatch()` reads it.
        """
        return dispatch_context(dispatch_info)

    @property
    def task_stdout(self) -> io.StringIO | None:
        """The standard output of the task that the calling code runs for, or None outside of one.

        A thread that you start yourself does not inherit it (`asyncio.to_thread` does): take the
        stream into a local variable first.
        """
        task = get_running_task()
        return None if task is None else task.stdout

    @property
    def task_stderr(self) -> io.StringIO | None:
        """The standard error of the current task, or None outside of one; see `task_stdout`."""
        task = get_running_task()
        return None if task is None else task.stderr

    async def get_cancel_requested(self) -> bool:
        """Return whether the host wants the current task to stop.

        Ask before work that is expensive to undo, and raise `TaskCancelledError` if it does.
        """
        task = get_running_task()
        return False if task is None else await task.is_cancel_requested()

    async def set_job_handle(self, handle: Any) -> None:
        """Tell the host how to find the current task's job, for a later `cancel`.

        `handle` must consist of JSON values; TypeError otherwise. Call it as soon as the backend
        knows the job.
        """
        task = get_running_task() or RunningTask("", -1, "")
        await task.keep_job_handle(handle)

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


#: What does nothing where no file is named, and need not be asked.
_WRITERS_OF_NOTHING = (AsyncBaseExecutor.write_streams_to_file, write_streams_to_file)
