"""Executors with a backend of their own: a process for each task, or one for all of them."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import contextvars
import logging
import os
import pickle
import signal
import struct
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import cloudpickle
from pytest_asyncexec.broken.offline import offline
from pytest_asyncexec.reference_executor import LocalExecutor, ThreadExecutor
from pytest_asyncexec.reference_executor._channel import Answer
from pytest_asyncexec.reference_executor._payload import understood

from pytest_asyncexec import AsyncBaseExecutor, TaskRuntimeError
from pytest_asyncexec.base.places import Places
from pytest_asyncexec.base.waiting import in_thread, undisturbed

# Workers have the first end, and see by it when this process has ended, which alone has the other.
_lifeline, _held_open = os.pipe()


class PollingExecutor(AsyncBaseExecutor):
    """Submits a job, asks from time to time how it is, and fetches its result from a file."""

    async def run(self, function, args, kwargs, task_metadata):
        try:
            task = await asyncio.to_thread(cloudpickle.dumps, (function, args, kwargs))
        except Exception as error:
            raise TaskRuntimeError(f"cannot be pickled: {error!r}") from error
        jobs = []
        try:
            # A job that was submitted is known, even if nobody waits for it any more.
            await undisturbed(asyncio.to_thread(_submit, self.cache_dir, task, jobs))
            while jobs[0].poll() is None:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        finally:
            for job in jobs:
                await undisturbed(self._fetch_output(job))
        if job.answer is None:
            raise TaskRuntimeError(f"the job ended without a result, exit code {job.returncode}")
        return await _understood(job.answer)

    async def _fetch_output(self, job):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(job.pid, signal.SIGKILL)
        while job.poll() is None:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        out, err, job.answer = await asyncio.to_thread(_fetch, job.folder)
        self.task_stdout.write(out)
        self.task_stderr.write(err)


def _submit(cache_dir, task, jobs):
    if cache_dir:
        os.makedirs(cache_dir, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=cache_dir or None))
    (folder / "task").write_bytes(pickle.dumps((sys.path, task)))
    with open(folder / "out", "wb") as out, open(folder / "err", "wb") as err:
        job = subprocess.Popen(
            [sys.executable, "-P", "-u", "-c", _JOB, folder, str(_lifeline)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
            pass_fds=(_lifeline,),
        )
    job.folder = folder
    jobs.append(job)


def _fetch(folder):
    result = folder / "result"
    answer = pickle.loads(result.read_bytes()) if result.exists() else None
    # As bytes: what is read as text has no line ends but Python's own.
    out, err = (
        (folder / name).read_bytes().decode("utf-8", "backslashreplace") for name in ("out", "err")
    )
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    return out, err, answer


async def _understood(answer):
    """Return the result or raise the error of what `attempt` has returned in a worker."""
    head, result = answer
    answered = Answer(0, *head, "", None, True, memoryview(result))
    return await in_thread(understood, answered)


# What a host ignores or blocks its workers do not. (SIGPIPE and SIGXFSZ are Python's own affair.)
_SIGNALS = """
import signal
signal.pthread_sigmask(signal.SIG_SETMASK, ())
for number in signal.valid_signals() - {signal.SIGPIPE, signal.SIGXFSZ}:
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)
"""

# What the module of the worker finds by the import path is its own affair.
_JOB = f"""{_SIGNALS}
import os, pickle, sys
for stream in (sys.stdout, sys.stderr):
    stream.reconfigure(encoding="utf-8", errors="backslashreplace", newline="\\n")
with open(os.path.join(sys.argv[1], "task"), "rb") as file:
    path, task = pickle.load(file)
sys.path[:] = path
from pytest_asyncexec.reference_executor._worker import attempt
from pytest_asyncexec.reference_executor._worker_ties import end_with_host
sys.path[:] = path
end_with_host(int(sys.argv[2]))
answer = pickle.dumps(attempt(os.getpid(), b"", task))
with open(os.path.join(sys.argv[1], "unfinished"), "wb") as file:
    file.write(answer)
os.replace(file.name, os.path.join(sys.argv[1], "result"))
"""


# Each task has a copy of the worker, which nobody has used before.
_LOOP = f"""{_SIGNALS}
import os, pickle, struct, sys, tempfile
answers = os.fdopen(os.dup(1), "wb")
os.dup2(2, 1)
tasks = os.fdopen(os.dup(0), "rb")
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
path = pickle.loads(tasks.read(struct.unpack("q", tasks.read(8))[0]))
sys.path[:] = path
from pytest_asyncexec.reference_executor._worker import attempt
from pytest_asyncexec.reference_executor._worker_ties import end_with_host
sys.path[:] = path
end_with_host(int(sys.argv[1]))
while head := tasks.read(8):
    task = tasks.read(struct.unpack("q", head)[0])
    with tempfile.TemporaryFile() as answer:
        copy = os.fork()
        if not copy:
            pickle.dump(attempt(os.getpid(), b"", task), answer)
            answer.flush()
            os._exit(0)
        os.waitpid(copy, 0)
        answer.seek(0)
        data = answer.read()
    if not data:
        break
    answers.write(struct.pack("q", len(data)) + data)
    answers.flush()
"""


class _Backend:
    """One worker for all executors of this process; a new one where the last was killed."""

    def __init__(self):
        self.turn = threading.Lock()
        self.state = threading.Lock()
        self.worker = None
        atexit.register(self.kill)

    def kill(self):
        if self.worker is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.worker.pid, signal.SIGKILL)

    def call(self, job, data):
        # Whoever is stopped while it waits for its turn does not wait on.
        while not self.turn.acquire(timeout=0.05):
            if job.stopped:
                return None
        try:
            with self.state:
                if job.stopped:
                    return None
                if self.worker is None:
                    self.worker = self._start()
                job.runs = True
            try:
                return self._ask(data)
            finally:
                with self.state:
                    job.runs = False
                    if job.stopped or self.worker.poll() is not None:
                        self._bury()
        finally:
            self.turn.release()

    def stop(self, job):
        with self.state:
            job.stopped = True
            if job.runs:
                self.kill()

    def _start(self):
        worker = subprocess.Popen(
            [sys.executable, "-c", _LOOP, str(_lifeline)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=(_lifeline,),
        )
        path = pickle.dumps(sys.path)
        worker.stdin.write(struct.pack("q", len(path)) + path)
        return worker

    def _ask(self, data):
        try:
            self.worker.stdin.write(struct.pack("q", len(data)) + data)
            self.worker.stdin.flush()
            head = self.worker.stdout.read(8)
            answer = self.worker.stdout.read(struct.unpack("q", head)[0]) if head else b""
        except (BrokenPipeError, struct.error):
            answer = b""
        if not answer:
            self.worker.wait()
            return None
        return pickle.loads(answer)

    def _bury(self):
        self.kill()
        self.worker.wait()
        with contextlib.suppress(BrokenPipeError):
            self.worker.stdin.close()
        self.worker.stdout.close()
        self.worker = None


_backend = _Backend()


class _Job:
    stopped = runs = False


#: One for all executors and event loops of this process, and what the current task has of it.
_turns = Places(1)
_turn = contextvars.ContextVar("turn", default=None)


class PersistentWorker(AsyncBaseExecutor):
    """Keeps one worker process for all of its tasks, each of which runs in a copy of it.

    Whose turn it is not waits in setup, which no limit counts.
    """

    cannot = frozenset({"streams"})

    async def setup(self, task_metadata):
        _turn.set(await _turns.take())

    async def teardown(self, task_metadata):
        turn = _turn.get()
        if turn is not None:
            turn.leave()

    async def run(self, function, args, kwargs, task_metadata):
        try:
            data = cloudpickle.dumps((function, args, kwargs))
        except Exception as error:
            raise TaskRuntimeError(f"the task cannot be pickled: {error!r}") from error
        job = _Job()
        calling = asyncio.ensure_future(asyncio.to_thread(_backend.call, job, data))
        try:
            answer = await asyncio.shield(calling)
        except asyncio.CancelledError:
            _backend.stop(job)
            while not calling.done():
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.wait({calling})
            raise
        if answer is None:
            raise TaskRuntimeError("the worker died")
        return await _understood(answer)


class TriesAgainWhenAWorkerDies(LocalExecutor):
    """Its backend gives a task to a second worker when the first one died of it, and says so."""

    cannot = frozenset({"at-most-once"})

    async def run(self, function, args, kwargs, task_metadata):
        try:
            return await super().run(function, args, kwargs, task_metadata)
        except TaskRuntimeError as error:
            if "died without a result" not in str(error):
                raise
            return await super().run(function, args, kwargs, task_metadata)


def make_warm_workers() -> LocalExecutor:
    """Workers that are there already, and have had other tasks."""
    return LocalExecutor(warm=True)


def make_one_worker_at_a_time() -> LocalExecutor:
    """All tasks but one wait, and the next one has the worker of the one before."""
    return LocalExecutor(warm=True, max_workers=1)


class NoNetwork(LocalExecutor):
    """Its workers share files with everybody, and connect to nobody."""

    async def run(self, function, args, kwargs, task_metadata):
        return await super().run(offline(function), args, kwargs, task_metadata)


class ChattyExecutor(ThreadExecutor):
    """Tells its log everything, at every level."""

    log = logging.getLogger("right.chatty")

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.log.info("made %r", vars(self))

    async def setup(self, task_metadata):
        self.log.warning("setting up %s", task_metadata)

    async def run(self, function, args, kwargs, task_metadata):
        self.log.debug("running %s", task_metadata)
        try:
            return await super().run(function, args, kwargs, task_metadata)
        except Exception:
            self.log.exception("the task %s failed", task_metadata)
            raise

    async def teardown(self, task_metadata):
        self.log.critical("torn down %s", task_metadata)


class KeywordsEverywhere(ThreadExecutor):
    """Passes on whatever it is given, by whatever name."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)

    async def setup(self, **kwargs):
        await super().setup(**kwargs)

    async def run(self, *args, **kwargs):
        return await super().run(*args, **kwargs)

    async def teardown(self, **kwargs):
        await super().teardown(**kwargs)

    async def cancel(self, *args, **kwargs):
        return await super().cancel(*args, **kwargs)

    async def execute(self, *args, **kwargs):
        return await super().execute(*args, **kwargs)

    async def write_streams_to_file(self, *args, **kwargs):
        await super().write_streams_to_file(*args, **kwargs)

    def to_dict(self, **kwargs):
        return super().to_dict(**kwargs)

    def from_dict(self, *args, **kwargs):
        return super().from_dict(*args, **kwargs)
