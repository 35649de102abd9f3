"""An executor that runs every attempt in a fresh interpreter on this machine."""

import asyncio
import pickle
import secrets
from collections.abc import Callable
from typing import Any

from ..executor import AsyncBaseExecutor
from ..outcome import TaskCancelledError, TaskRuntimeError
from ..waiting import in_thread, undisturbed
from ._process import Answer, Worker

__all__ = ["LocalExecutor"]

# Of all executors of this process, by the token in the job handle: an executor itself holds no
# state of its tasks, so that it can be copied and serialised at any time.
_workers: dict[str, Worker] = {}


class LocalExecutor(AsyncBaseExecutor):
    """Run every attempt of a task in a fresh interpreter, which can be stopped at any moment.

    The worker is this Python with this process's import path and working directory, so that what
    can be imported here can be imported there; functions and classes of `__main__`, lambdas and
    closures travel by value. It ends as a script does: after the function has returned, once its
    non-daemon threads have.

    A time limit or a cancellation kills the worker and every process of its group, and is reported
    once they are dead. Only a process that has moved to a session of its own outlives its task.
    Whatever an attempt writes to its standard output and error is kept, from its children and from
    C code too, and of an attempt that was killed.

    Each attempt has a folder that its owner alone can read, in `cache_dir` or else in the
    system's folder for temporary files; it is gone when the attempt is.

    A task fails with `TaskRuntimeError` when something cannot be serialised, when it exits, and
    when its worker dies. Any other error of the task arrives as it was raised, with the worker's
    traceback as a note; one that cannot be sent arrives as a `TaskRuntimeError` that describes it.
    """

    async def run(
        self,
        function: Callable[..., Any],
        args: list[Any],
        kwargs: dict[str, Any],
        task_metadata: dict[str, Any],
    ) -> Any:
        """Run one attempt in a worker process of its own."""
        worker = Worker()
        token = secrets.token_hex(16)
        cancelled = False
        try:
            await undisturbed(
                asyncio.to_thread(worker.prepare, self.cache_dir, function, args, kwargs)
            )
            # Cut off in the middle, the start would leave a process that nobody knows.
            await undisturbed(worker.start())
            assert worker.process is not None
            _workers[token] = worker
            await self.set_job_handle({"pid": worker.process.pid, "token": token})
            await worker.process.wait()
            answer = await asyncio.to_thread(worker.answer)
            if answer is None and worker.stopped:
                cancelled = True
                raise TaskCancelledError("The task was stopped by cancel()")
            if answer is None:
                raise TaskRuntimeError(await asyncio.to_thread(worker.last_words))
            return await in_thread(_understood, answer)
        finally:
            try:
                await undisturbed(self._clean_up(worker, token))
            except asyncio.CancelledError:
                # Perhaps of a time limit that came first, and the task may be attempted again.
                cancelled = False
                raise
            finally:
                worker.ended.set_result(cancelled)

    async def cancel(self, task_metadata: dict[str, Any], job_handle: Any) -> bool:
        """Kill the worker of a running task; True if that ended the task, False if it was late.

        It returns once the worker is dead. The awaiting `execute` then ends as CANCELLED. Works
        from any thread and event loop of the process in which the task was started.
        """
        token = job_handle.get("token") if isinstance(job_handle, dict) else None
        worker = _workers.get(token) if isinstance(token, str) else None
        if worker is None:
            return False
        worker.stopped = True
        worker.kill()
        return await asyncio.wrap_future(worker.ended)

    async def _clean_up(self, worker: Worker, token: str) -> None:
        try:
            await worker.end()
            stdout, stderr = await asyncio.to_thread(worker.printed)
            if self.task_stdout is not None and self.task_stderr is not None:
                self.task_stdout.write(stdout)
                self.task_stderr.write(stderr)
        finally:
            _workers.pop(token, None)
            await asyncio.to_thread(worker.remove)


def _understood(answer: Answer) -> Any:
    """Return or raise what the worker answered."""
    if answer[0] == "returned":
        try:
            return pickle.loads(answer[1])
        except Exception as error:
            raise TaskRuntimeError(
                f"The result of the task cannot be loaded in the host: "
                f"{type(error).__qualname__}: {error}"
            ) from error
    _, data, description, traceback = answer
    raised = _loaded(data) or TaskRuntimeError(description)
    raised.add_note(f"Traceback in the worker process:\n{traceback.rstrip()}")
    raise raised


def _loaded(data: bytes | None) -> BaseException | None:
    if data is None:
        return None
    try:
        loaded = pickle.loads(data)
    except Exception:
        return None
    return loaded if isinstance(loaded, BaseException) else None
