"""The template by which a host runs a task on an executor: setup, attempts, teardown, logs."""

import logging
from asyncio import CancelledError
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .attempts import attempt_until_done, check_wanted, limits_of, question_of
from .context import enter_dispatch
from .failures import own_error, shown
from .outcome import TaskCancelledError, TaskOutcome, TaskRuntimeError, TaskStatus
from .streams import write_streams_to_file
from .task import RunningTask, TaskStreams
from .waiting import call, ended

__all__ = ["OWN_WRITERS", "Ending", "execute_on", "run_task"]

logger = logging.getLogger(__name__)

#: What writes as `write_streams_to_file` does, and need not be called where no file is named.
OWN_WRITERS: set[Any] = {write_streams_to_file}


async def run_task(
    executor: Any,
    function: Callable[..., Any],
    args: Iterable[Any],
    kwargs: Mapping[str, Any],
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
    `args` and `kwargs` are read once, before anything runs, and every attempt gets copies.

    `cancel_requested` answers `get_cancel_requested()` inside the task, and is asked before
    `setup` and before each attempt: once it is true, none begins and the status is CANCELLED.
    `on_job_handle` is told what the executor passes to `set_job_handle`. Both may be coroutine
    functions.

    Returns a `TaskOutcome` for COMPLETED, FAILED (`TaskRuntimeError`) and CANCELLED
    (`TaskCancelledError`, or a CancelledError of the backend's own), with the message in `stderr`.
    What is no Exception, as SystemExit, is FAILED, too. Any other error of the task
    is raised as it is, `TaskTimeoutError` after the time limit, CancelledError when the awaiting
    task was cancelled: each after `teardown` has ended and the logs are written. A rubbish
    `time_limit` or `retries` raises TypeError or ValueError before anything runs, and a time limit
    on an executor that says it cannot stop a task ValueError.
    """
    task = RunningTask(dispatch_id, node_id, results_dir, cancel_requested, on_job_handle)
    return (await execute_on(executor, function, args, kwargs, task)).outcome(task)


def execute_on(
    executor: Any,
    function: Callable[..., Any],
    args: Iterable[Any],
    kwargs: Mapping[str, Any],
    task: RunningTask,
) -> "Awaitable[Ending]":
    """Begin a task, and return what to await for how it ended.

    For a coroutine that is to cost no more than one for each of thousands of tasks that wait.
    """
    # An error of the caller's own iterator is raised here, where nothing has begun.
    return ended(_live(executor, function, list(args), dict(kwargs), task), task)


async def _live(
    executor: Any,
    function: Callable[..., Any],
    args: list[Any],
    kwargs: dict[str, Any],
    task: RunningTask,
) -> "Ending":
    """Lead a task from `setup` to `teardown`, in an asyncio task, and so in a context, of its own:
    what setup puts into a ContextVar, run and teardown find, and the host does not.
    """
    time_limit, retries = limits_of(executor)
    enter_dispatch(task.dispatch_id)
    result, ended_by = None, None
    try:
        task.begin()
        task.question = question_of(executor, task)
        if task.question is not None:
            await check_wanted(task)
        if hasattr(executor, "setup"):
            await call(executor.setup, task_metadata=task.metadata())
        task.check()
        result = await attempt_until_done(
            executor, function, args, kwargs, task, time_limit, retries
        )
    except BaseException as error:
        if task.is_thrown_away_by(error):
            raise  # nothing can be awaited
        ended_by = own_error(error, task)
    await task.end()
    ending = Ending(result, ended_by)
    del ended_by  # its traceback refers to this frame, see `outcome`
    await _close(executor, task, ending)
    return ending


@dataclass(slots=True)
class Ending:
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
        problem = f"{doing} failed: {shown(error)}"
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


async def _close(executor: Any, task: RunningTask, ending: Ending) -> None:
    teardown_error: BaseException | None = None
    try:
        if hasattr(executor, "teardown"):
            await call(executor.teardown, task_metadata=task.metadata())
    except BaseException as error:
        if task.is_thrown_away_by(error):
            raise
        teardown_error = error
    ending.stdout, ending.stderr = _printed(executor, task)
    if isinstance(ending.error, TaskRuntimeError | TaskCancelledError):
        for text in (str(ending.error), *getattr(ending.error, "__notes__", ())):
            ending.stderr = _with_line(ending.stderr, text)
    if teardown_error is not None:
        ending.add_problem(f"The teardown of the {task}", teardown_error)
    del teardown_error  # its traceback refers to this frame
    try:
        await _write_logs(executor, task, ending)
    except BaseException as error:
        if task.is_thrown_away_by(error):
            raise
        ending.add_problem(f"Writing the logs of the {task}", error)


async def _write_logs(executor: Any, task: RunningTask, ending: Ending) -> None:
    paths = (getattr(executor, "log_stdout", ""), getattr(executor, "log_stderr", ""))
    write = getattr(executor, "write_streams_to_file", write_streams_to_file)
    if getattr(write, "__func__", write) in OWN_WRITERS:
        if not any(paths):
            return
        write = write_streams_to_file
    streams = (ending.stdout, ending.stderr)
    await call(write, streams, paths, task.dispatch_id, task.results_dir)


def _printed(executor: Any, task: RunningTask) -> tuple[str, str]:
    stdout, stderr = task.printed()
    return _text(executor, "task_stdout", stdout), _text(executor, "task_stderr", stderr)


def _text(executor: Any, name: str, own: str) -> str:
    if getattr(type(executor), name, None) is getattr(TaskStreams, name):
        return own
    stream: Any = getattr(executor, name, None)
    text: str = stream.getvalue() if hasattr(stream, "getvalue") else own
    return text


def _with_line(text: str, line: str) -> str:
    if line in text:
        return text
    separator = "" if not text or text.endswith("\n") else "\n"
    return f"{text}{separator}{line}\n"
