"""An executor that runs its tasks in worker processes on this machine."""

import asyncio
import os
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, NamedTuple

from ..base.attributes import effective_time_limit
from ..base.executor import AsyncBaseExecutor
from ..base.outcome import TaskCancelledError, TaskRuntimeError
from ..base.places import Place
from ..base.streams import expand_home, path_of_dispatch
from ..base.waiting import in_thread
from ._attempt import Alone, Attempt, attempt_of
from ._channel import NOTHING, TooLong
from ._job import LONGEST, Job
from ._line import Line, line_of
from ._options import check_environment, check_flag, check_max_workers, check_text
from ._payload import Task, dumped, plainly_dumped, understood
from ._pool import Pool, Settings, end_idle_workers, pool_of

__all__ = ["LocalExecutor"]


class LocalExecutor(AsyncBaseExecutor):
    """Run tasks in worker processes, each of which can be stopped at any moment.

    A worker is this Python with this process's import path and working directory, so that what
    can be imported here can be imported there; functions and classes of `__main__`, lambdas and
    closures travel by value.

    Without more, every attempt has a fresh interpreter. It ends as a script does: after the
    function has returned, once its non-daemon threads have. With `warm=True` workers stay and take
    one task after the other, which is some hundred times quicker for short tasks. After each task
    its environment, working directory, umask, import path, locale, time zone, warning filters, root
    logger and the like are put back, and random numbers begin anew; each task has context variables
    of its own. Threads, child processes, replaced streams, signal handlers and timers, resource
    limits, many open files and handlers of other loggers that it leaves behind end the worker, as
    do modules that it has imported from an import path of its own. What a task changes in modules
    stays for the next one, as in any pool of processes. What is printed on its behalf later than
    its end is its own or nobody's.

    A task finds the signals as in a script, whatever this process ignores or blocks, and nothing on
    standard input. Processes that it starts import what it imports. Nobody waits for those that it
    leaves behind: they end with it.

    A time limit or a cancellation kills the worker and every process of its group, and is reported
    once they are dead. Only a process that has moved to a session of its own outlives its task.
    When this process ends, however that comes about, its workers do.

    Whatever an attempt writes to its standard output and error is kept, from its children and from
    C code too, and of an attempt that was killed.

    A task fails with `TaskRuntimeError` when something cannot be serialised, when it exits, and
    when its worker dies. Any other error of the task arrives as it was raised, with the worker's
    traceback as a note; one that cannot be sent arrives as a `TaskRuntimeError` that describes it.

    Args:
        cache_dir: folder for the output of running tasks; "" is the system's for temporary files.
            The files have no name there, and vanish with the task.
        max_workers: how many tasks run at once, among all executors of this process that have the
            same `max_workers`, `warm`, `cache_dir` and `environment`; the others wait, which no
            time limit counts. None: as many as there are processors for this process.
        warm: whether workers are kept for further tasks.
        workdir: working directory of the tasks, made where it is missing; `~` is expanded. "" is
            that of this process.
        create_unique_workdir: whether each task works in `workdir/<dispatch id>/node_<node id>`.
        environment: variables that tasks find in addition to those which this process has when
            the worker starts. They are part of `to_dict()`: no place for secrets.

    The other arguments are those of `AsyncBaseExecutor`. `workdir` and `create_unique_workdir` are
    named as in Covalent's `LocalExecutor`, `max_workers` as in `concurrent.futures`.
    """

    def __init__(
        self,
        log_stdout: str = "",
        log_stderr: str = "",
        cache_dir: str = "",
        time_limit: float | None = -1,
        retries: int = 0,
        *,
        max_workers: int | None = None,
        warm: bool = False,
        workdir: str = "",
        create_unique_workdir: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(log_stdout, log_stderr, cache_dir, time_limit, retries)
        self.max_workers = max_workers
        self.warm = warm
        self.workdir = workdir
        self.create_unique_workdir = create_unique_workdir
        self.environment = {} if environment is None else dict(check_environment(environment))
        self._settings()

    async def setup(self, task_metadata: dict[str, Any]) -> None:
        """Wait until fewer tasks run than may run at once, or may wait for that in `run`."""
        pool = pool_of(self._settings())
        line = self._line(pool)
        places = pool.places if line is None else line.places
        # As `take` does, without one more coroutine for each of thousands of tasks that wait.
        asked = places.ask()
        if isinstance(asked, Place):
            place = asked
        else:
            try:
                place = await asked
            except BaseException:
                places.withdraw(asked)
                raise
        _slot.set(_Slot(self, pool, line, place))

    async def run(
        self,
        function: Callable[..., Any],
        args: list[Any],
        kwargs: dict[str, Any],
        task_metadata: dict[str, Any],
    ) -> Any:
        """Run one attempt in a worker process."""
        slot = _slot.get()
        if slot is None or slot.executor is not self:
            # Of a host that has no use for setup: then nothing limits the number of its tasks.
            pool = pool_of(self._settings())
            slot = _Slot(self, pool, self._line(pool), None)
        pool = slot.pool
        directory = self._directory(task_metadata)
        if slot.line is not None:
            task = plainly_dumped(function, args, kwargs)
            if task is not None and len(task) <= LONGEST:
                try:
                    return await self._attempt(Job(slot.line), task, directory)
                except TooLong:
                    pass  # because of an import path that has to go with it
            place = await pool.places.take()
            try:
                return await self._run_alone(pool, place, (function, args, kwargs), directory)
            finally:
                place.leave()
        return await self._run_alone(pool, slot.place, (function, args, kwargs), directory)

    def _line(self, pool: Pool) -> Line | None:
        """Return where to wait in `run`: None if that would count, or if more attempts may come.

        On Windows nothing waits there: its event loops cannot watch what workers say.
        """
        limit = -1 if self.time_limit is None else self.time_limit
        is_counted = self.retries or effective_time_limit(limit) is not None
        may_wait = self.warm and not is_counted and os.name == "posix"
        return line_of(pool) if may_wait else None

    async def _run_alone(self, pool: Pool, place: Place | None, work: Task, directory: str) -> Any:
        task = plainly_dumped(*work)
        if task is None:
            task = await in_thread(dumped, work)
        return await self._attempt(Alone(pool, place), task, directory)

    async def _attempt(self, attempt: Attempt, task: bytes, directory: str) -> Any:
        """Return the result of an attempt, or raise its error."""
        is_cancelled = False
        try:
            try:
                if attempt.worker is not None and attempt.worker.process is None:
                    await attempt.start_worker()
                await self.set_job_handle(attempt.begin())
                answer = await attempt.answer(task, directory)
                if answer is not None and answer.is_last and attempt.worker is not None:
                    await attempt.worker.ended()
            except GeneratorExit:
                # Thrown away with its event loop: nothing can be awaited any more.
                attempt.abandon()
                raise
            except BaseException:
                await attempt.part(None, self._print, self._clean_up)
                raise
            if answer is None or attempt.worker is not None or answer.printed != NOTHING:
                await attempt.part(answer, self._print, self._clean_up)
            if answer is not None:
                if answer.problem and self.task_stderr is not None:
                    self.task_stderr.write(f"{answer.problem}\n")
                plain = answer.is_plain
                return understood(answer) if plain else await in_thread(understood, answer)
            if attempt.stopped:
                is_cancelled = True
                raise TaskCancelledError("The task was stopped by cancel()")
            raise TaskRuntimeError(attempt.last_words)
        finally:
            attempt.tell(is_cancelled)

    async def teardown(self, task_metadata: dict[str, Any]) -> None:
        """Let the next task in."""
        slot = _slot.get()
        if slot is not None and slot.executor is self and slot.place is not None:
            _slot.set(None)
            slot.place.leave()

    async def cancel(self, task_metadata: dict[str, Any], job_handle: Any) -> bool:
        """Kill the worker of a running task; True if that ended the task, False if it was late.

        It returns once the worker is dead. The awaiting `execute` then ends as CANCELLED. Works
        from any thread and event loop of the process in which the task was started.
        """
        attempt = attempt_of(job_handle.get("token") if isinstance(job_handle, dict) else None)
        stopped = attempt.stop() if attempt is not None else None
        return False if stopped is None else await asyncio.wrap_future(stopped)

    async def close(self) -> None:
        """End the warm workers that wait for a task, now and not with this process.

        Tasks that are running go on. The next task has a new worker.
        """
        await in_thread(end_idle_workers, self._settings())

    async def _clean_up(self, attempt: Attempt) -> None:
        """End the worker of an attempt, and keep what it printed."""
        await attempt.end_worker(self._print)

    def _print(self, stdout: str, stderr: str) -> None:
        if stdout and self.task_stdout is not None:
            self.task_stdout.write(stdout)
        if stderr and self.task_stderr is not None:
            self.task_stderr.write(stderr)

    def _settings(self) -> Settings:
        """Return what is shared with other executors; TypeError or ValueError for rubbish."""
        check_text("workdir", self.workdir)
        check_flag("create_unique_workdir", self.create_unique_workdir)
        return Settings(
            check_max_workers(self.max_workers),
            check_flag("warm", self.warm),
            self.cache_dir,
            check_environment(self.environment),
        )

    def _directory(self, task_metadata: dict[str, Any]) -> str:
        workdir = os.path.abspath(expand_home(self.workdir)) if self.workdir else _here()
        if not self.create_unique_workdir:
            return workdir
        node = f"node_{task_metadata['node_id']}"
        return path_of_dispatch(node, task_metadata["dispatch_id"], workdir)


def _here() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError as error:
        raise FileNotFoundError(
            "The working directory of this process is gone, and tasks cannot work there: "
            "set workdir, or change to a folder that exists"
        ) from error


class _Slot(NamedTuple):
    """What a task has on one executor from `setup` to `teardown`."""

    executor: LocalExecutor
    pool: Pool
    #: To wait in during `run`, if at all.
    line: Line | None
    #: In the line, or else at work.
    place: Place | None


#: Of the task that the calling code sets up, runs or tears down.
_slot: ContextVar[_Slot | None] = ContextVar("slot", default=None)
