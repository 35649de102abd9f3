"""Synchronous executors: plain methods that block, on the base class for them."""

from __future__ import annotations

import contextlib
import os
import signal
import threading

import cloudpickle
from pytest_asyncexec.reference_executor._channel import Answer
from pytest_asyncexec.reference_executor._payload import understood

from pytest_asyncexec import BaseExecutor, TaskCancelledError, TaskRuntimeError

from .workers import _fetch, _submit


class CallsItHere(BaseExecutor):
    """Calls the function in the thread it is given, and is honest about that."""

    cannot = frozenset({"stop", "streams"})

    def run(self, function, args, kwargs, task_metadata):
        return function(*args, **kwargs)


class BlockingJobs(BaseExecutor):
    """Submits a job, blocks until it has ended, and kills it where it is told to."""

    jobs = {}  # noqa: RUF012
    stopped = set()  # noqa: RUF012
    lock = threading.Lock()

    def run(self, function, args, kwargs, task_metadata):
        try:
            task = cloudpickle.dumps((function, args, kwargs))
        except Exception as error:
            raise TaskRuntimeError(f"cannot be pickled: {error!r}") from error
        submitted = []
        _submit(self.cache_dir, task, submitted)
        [job] = submitted
        handle = job.folder.name
        self.jobs[handle] = job
        try:
            self.set_job_handle(handle)
            job.wait()
        finally:
            self._end(job)
            self._fetch_output(job)
        if job.answer is None:
            if handle in self.stopped:
                raise TaskCancelledError("the job was cancelled")
            raise TaskRuntimeError(f"the job ended without a result, exit code {job.returncode}")
        head, result = job.answer
        return understood(Answer(0, *head, "", None, True, memoryview(result)))

    def _end(self, job):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(job.pid, signal.SIGKILL)
        job.wait()

    def _fetch_output(self, job):
        with self.lock:
            del self.jobs[job.folder.name]
            out, err, job.answer = _fetch(job.folder)
        self.task_stdout.write(out)
        self.task_stderr.write(err)

    def cancel(self, task_metadata, job_handle):
        with self.lock:
            job = self.jobs.get(job_handle)
            if job is None:
                return False
            self._end(job)
            # What has its result already has not been stopped.
            if (job.folder / "result").exists():
                return False
            self.stopped.add(job_handle)
            return True
