"""An executor that runs its tasks in worker processes on this machine."""

import asyncio
import os
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from ..executor import AsyncBaseExecutor
from ..outcome import TaskCancelledError, TaskRuntimeError
from ..places import Place
from ..streams import expand_home, path_of_dispatch
from ..waiting import in_thread, undisturbed
from ._attempt import Attempt, attempt_of
from ._options import check_environment, check_flag, check_max_workers, check_text
from ._payload import dumped, is_plain, understood
from ._pool import Pool, Settings, condemn, end_idle_workers, pool_of, start
from ._process import Answer, Worker, decoded

__all__ = ["LocalExecutor"]


class LocalExecutor(AsyncBaseExecutor):
    """Run tasks in worker processes, each of which can be stopped at any moment.

    A worker is this Python with this process's import path and working directory, so that what
    can be imported here can be imported there; functions and classes of `__main__`, lambdas and
    closures travel by value.

    Without more, every attempt has a fresh interpreter. It ends as a script does: after the
    function has returned, once its non-daemon threads have. With `warm=True` workers stay and take
    one task after the other, which is some hundred times quicker for short tasks. After each task
    its working directory, environment, import path and umask are put back; threads, child
    processes, replaced streams, signal handlers and timers, resource limits and many open files
    that it leaves behind end the worker. What a task changes in modules, its callbacks for
    `atexit`, its locale and the like stay for the next one, as in any pool of processes.

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
            same `max_workers`, `warm`, `cache_dir` and `environment`; the others wait in `setup`,
            which no time limit counts. None: as many as there are processors for this process.
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
        """Wait until fewer tasks run than may run at once."""
        pool = pool_of(self._settings())
        _slot.set(_Slot(self, pool, await pool.places.take()))

    async def run(
        self,
        function: Callable[..., Any],
        args: list[Any],
        kwargs: dict[str, Any],
        task_metadata: dict[str, Any],
    ) -> Any:
        """Run one attempt in a worker process."""
        directory = self._directory(task_metadata)
        work = (function, args, kwargs)
        task = dumped(work) if is_plain(*work) else await in_thread(dumped, work)
        slot = _slot.get()
        if slot is None or slot.executor is not self:
            # Of a host that has no use for setup: then nothing limits the number of its tasks.
            slot = _Slot(self, pool_of(self._settings()), None)
        attempt = Attempt(slot.take_worker())
        is_cancelled = False
        try:
            try:
                answer = await self._ask(attempt, task, directory)
            except GeneratorExit:
                # Thrown away with its event loop: nothing can be awaited any more.
                attempt.settle()
                condemn(attempt.worker)
                raise
            except BaseException:
                await self._part(attempt, None, slot)
                raise
            await self._part(attempt, answer, slot)
            if answer is not None:
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
        if slot is not None and slot.executor is self:
            _slot.set(None)
            slot.leave()

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

    async def _ask(self, attempt: Attempt, task: bytes, directory: str) -> Answer | None:
        """Return what the worker says after the task, or None if it died."""
        worker = attempt.worker
        if worker.process is None:
            # Cut off in the middle, the start would leave a process that nobody knows.
            await undisturbed(in_thread(start, worker))
        await self.set_job_handle(attempt.begin())
        answer = await worker.do(task, directory)
        if answer is not None and answer.is_last:
            await worker.ended()
        return answer

    async def _part(self, attempt: Attempt, answer: Answer | None, slot: "_Slot") -> None:
        """Part with the worker: give it back, or end it if anything speaks against that."""
        if attempt.settle() or answer is None or answer.is_last:
            attempt.worker.unwatch()
            if answer is not None and answer.printed is not None:
                self._print(*map(decoded, answer.printed))
            await undisturbed(self._clean_up(attempt))
        elif answer.printed is None:
            await undisturbed(self._take_back(attempt, slot))
        else:
            slot.give_back(attempt.worker)
            self._print(*map(decoded, answer.printed))
        if answer is not None and answer.problem and self.task_stderr is not None:
            self.task_stderr.write(f"{answer.problem}\n")

    async def _clean_up(self, attempt: Attempt) -> None:
        """End the worker with all of its group, and keep what it printed."""
        stdout, stderr = await in_thread(attempt.worker.end)
        attempt.last_words = attempt.worker.last_words(stderr)
        self._print(stdout, stderr)

    async def _take_back(self, attempt: Attempt, slot: "_Slot") -> None:
        """Keep what a worker has printed, which is much, and give the worker back."""
        try:
            printed = await in_thread(attempt.worker.take_printed)
        except BaseException:
            attempt.worker.unwatch()
            await in_thread(attempt.worker.end)
            raise
        slot.give_back(attempt.worker)
        self._print(*printed)

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


@dataclass(slots=True)
class _Slot:
    """What a task has on one executor from `setup` to `teardown`."""

    executor: LocalExecutor
    pool: Pool
    place: Place | None

    def take_worker(self) -> Worker:
        """Return the worker that belongs to the place, or one of the pool."""
        worker = None
        if self.place is not None:
            worker, self.place.kept = self.place.kept, None
        if isinstance(worker, Worker):
            if worker.is_alive:
                return worker
            worker.unwatch()
            condemn(worker)
        return self.pool.worker()

    def give_back(self, worker: Worker) -> None:
        """Leave a warm worker to the next attempt: of this task, or of the next in its place."""
        if self.place is not None and self.place.is_taken and self.place.kept is None:
            self.place.kept = worker
        else:
            worker.put_away()

    def leave(self) -> None:
        """Give the place back, with its worker."""
        if self.place is not None:
            self.place.leave()


#: Of the task that the calling code sets up, runs or tears down.
_slot: ContextVar[_Slot | None] = ContextVar("slot", default=None)
