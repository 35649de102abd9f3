"""The base class of asynchronous executor plugins."""

from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import Any

from .attempts import OWN_QUESTIONS
from .common import CommonExecutor
from .streams import write_streams_to_file
from .task import RunningTask, get_running_task
from .template import OWN_WRITERS

__all__ = ["AsyncBaseExecutor"]


class AsyncBaseExecutor(CommonExecutor):
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

    async def setup(self, task_metadata: dict[str, Any]) -> None:
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

    async def teardown(self, task_metadata: dict[str, Any]) -> None:
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


OWN_WRITERS.add(AsyncBaseExecutor.write_streams_to_file)
OWN_QUESTIONS.add(AsyncBaseExecutor.get_cancel_requested)
