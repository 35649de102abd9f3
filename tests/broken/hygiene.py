"""Wrong by HYG."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import io
import logging
import os
import pickle
import random
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import warnings
from pathlib import Path
from typing import ClassVar

import cloudpickle
from pytest_asyncexec.reference_executor import LocalExecutor, ThreadExecutor

from pytest_asyncexec import AsyncBaseExecutor, TaskRuntimeError, TaskTimeoutError

from . import breaks


async def _beat():
    while True:  # noqa: ASYNC110
        await asyncio.sleep(30)


@breaks(
    "HYG-01", "of 3 tasks, each of which succeeds, every one left an asyncio task running: _beat"
)
class NeverStopsItsHeartbeat(ThreadExecutor):
    """Starts a heartbeat for each task, which nobody ever ends."""

    heartbeats: ClassVar = set()

    async def run(self, function, args, kwargs, task_metadata):
        self.heartbeats.add(asyncio.create_task(_beat()))
        return await super().run(function, args, kwargs, task_metadata)


@breaks("HYG-01", "of 3 tasks, each of which fails, every one left an asyncio task running: _beat")
class StopsItsHeartbeatAfterSuccess(ThreadExecutor):
    """Ends the heartbeat in the line after `run`, which an error never comes to."""

    async def run(self, function, args, kwargs, task_metadata):
        heartbeat = asyncio.create_task(_beat())
        result = await super().run(function, args, kwargs, task_metadata)
        heartbeat.cancel()
        return result


@breaks("HYG-01", "of 3 tasks, each of which is cancelled by its host, every one left an asyncio")
class StopsItsHeartbeatAfterErrors(ThreadExecutor):
    """Ends the heartbeat after errors, too, and forgets that a cancellation is no Exception."""

    async def run(self, function, args, kwargs, task_metadata):
        heartbeat = asyncio.create_task(_beat())
        try:
            result = await super().run(function, args, kwargs, task_metadata)
        except Exception:
            heartbeat.cancel()
            raise
        heartbeat.cancel()
        return result


@breaks("HYG-02", "of 12 tasks, each of which succeeds, every one or every other one left threads")
class HasAPoolForEachTask(ThreadExecutor):
    """Makes a pool of threads for each task, and keeps them all."""

    pools: ClassVar = []

    async def run(self, function, args, kwargs, task_metadata):
        self.pools.append(concurrent.futures.ThreadPoolExecutor(1))
        self.pools[-1].submit(int)
        return await super().run(function, args, kwargs, task_metadata)


@breaks("HYG-02", "of 12 tasks, each of which fails, every one or every other one left file desc")
class ClosesAfterSuccess(ThreadExecutor):
    """Closes its log in the line after `run`, which an error never comes to."""

    logs: ClassVar = []

    async def run(self, function, args, kwargs, task_metadata):
        self.logs.append(open(os.devnull, "w"))  # noqa: SIM115, ASYNC230
        result = await super().run(function, args, kwargs, task_metadata)
        self.logs.pop().close()
        return result


@breaks("HYG-02", "left child processes in the host: 'true, a zombie'")
class NeverWaitsForItsTunnel(ThreadExecutor):
    """Starts a process beside the task and ends it; that it has to be waited for, too, is news."""

    tunnels: ClassVar = []

    async def run(self, function, args, kwargs, task_metadata):
        tunnel = subprocess.Popen(["true"])  # noqa: ASYNC220
        self.tunnels.append(tunnel)
        # Until it has ended, and no further: what is left then is always a zombie.
        await asyncio.to_thread(os.waitid, os.P_PID, tunnel.pid, os.WEXITED | os.WNOWAIT)
        return await super().run(function, args, kwargs, task_metadata)


@breaks("HYG-03", "after one task that succeeds, the working directory is ")
class GoesToItsFolder(ThreadExecutor):
    """Changes to a folder of its own, so that tasks find it as their working directory."""

    async def run(self, function, args, kwargs, task_metadata):
        os.chdir(tempfile.gettempdir())
        return await super().run(function, args, kwargs, task_metadata)


@breaks("HYG-03", "after one task that fails, the environment variable ASYNCEXEC_NODE is new")
class RestoresTheEnvironmentAfterSuccess(ThreadExecutor):
    """Tells the task its node by the environment, and takes it back where all goes well."""

    async def run(self, function, args, kwargs, task_metadata):
        os.environ["ASYNCEXEC_NODE"] = str(task_metadata["node_id"])
        result = await super().run(function, args, kwargs, task_metadata)
        os.environ.pop("ASYNCEXEC_NODE", None)
        return result


@breaks("HYG-03", "of which the first to begin is the first to end, sys.stdout is <_io.StringIO")
class RedirectsForTheTask(ThreadExecutor):
    """Captures what a task prints; of two at once, the last to end restores what the first set."""

    async def run(self, function, args, kwargs, task_metadata):
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            try:
                return await super().run(function, args, kwargs, task_metadata)
            finally:
                self.task_stdout.write(printed.getvalue())


@breaks("HYG-03", "after one task that succeeds, the umask is 000")
class OpensTheUmask(ThreadExecutor):
    """Wants its files to be writable for its group, and the host's are from then on, too."""

    async def setup(self, task_metadata):
        os.umask(0)


@breaks("HYG-03", "called from the main thread of a process, the handler of SIGTERM is")
class TakesTheSignals(ThreadExecutor):
    """Ends its tunnel at SIGTERM, by a handler that it installs where that can be done."""

    async def setup(self, task_metadata):
        with contextlib.suppress(ValueError):  # not from another thread than the main one
            signal.signal(signal.SIGTERM, lambda *_: None)


@breaks("HYG-03", "the random number generator is set anew")
class SeedsForTheTask(ThreadExecutor):
    """Seeds the random generator, and gives it its state back where all goes well."""

    async def run(self, function, args, kwargs, task_metadata):
        state = random.getstate()
        random.seed(task_metadata["dispatch_id"])
        result = await super().run(function, args, kwargs, task_metadata)
        random.setstate(state)
        return result


@breaks("HYG-03", "the list of warning filters has ('ignore', None, <class 'UserWarning'>")
class SilencesItsLibrary(ThreadExecutor):
    """Silences the warnings of a library that it calls, and those of all others."""

    async def run(self, function, args, kwargs, task_metadata):
        warnings.simplefilter("ignore", UserWarning)
        return await super().run(function, args, kwargs, task_metadata)


@breaks("HYG-03", "the list of the root logger's handlers has")
class LogsForTheTask(ThreadExecutor):
    """Has the log of each task in a handler of its own, at the root."""

    async def run(self, function, args, kwargs, task_metadata):
        logging.getLogger().addHandler(logging.StreamHandler(self.task_stderr))
        return await super().run(function, args, kwargs, task_metadata)


@breaks("HYG-03", "the time limit of new sockets is 30")
class LimitsItsSockets(ThreadExecutor):
    """Sets a time limit for its sockets, by which it sets that of all."""

    async def setup(self, task_metadata):
        socket.setdefaulttimeout(30)


@breaks("HYG-02", "of 12 tasks, each of which fails, every one or every other one left threads")
class WatchesTheFailed(ThreadExecutor):
    """Has a thread that sends the report of a task that failed, and then waits for another one."""

    async def run(self, function, args, kwargs, task_metadata):
        try:
            return await super().run(function, args, kwargs, task_metadata)
        except Exception:
            threading.Thread(target=threading.Event().wait, daemon=True).start()
            raise


@breaks("HYG-02", "of 12 tasks, each of which ends its own process, every one or every other one")
class ClosesWhatDidNotDie(LocalExecutor):
    """Closes the log of a task that succeeds or raises; the death of a worker is neither."""

    logs: ClassVar = []

    async def run(self, function, args, kwargs, task_metadata):
        log = open(os.devnull, "w")  # noqa: SIM115, ASYNC230
        self.logs.append(log)
        try:
            result = await super().run(function, args, kwargs, task_metadata)
        except BaseException as error:
            if "exit" not in str(error):
                log.close()
            raise
        log.close()
        return result


@breaks("HYG-02", "of 12 tasks, each of which is stopped by its time_limit, every one or every")
class ClosesWhatEndedByItself(LocalExecutor):
    """Keeps the limit itself, and closes its log in all cases but that one."""

    enforces = frozenset({"time_limit"})
    logs: ClassVar = []

    async def run(self, function, args, kwargs, task_metadata):
        log = open(os.devnull, "w")  # noqa: SIM115, ASYNC230
        self.logs.append(log)
        work = asyncio.ensure_future(super().run(function, args, kwargs, task_metadata))
        try:
            limit = self.time_limit if self.time_limit > 0 else None
            result = await asyncio.wait_for(work, limit)
        except TimeoutError as error:
            raise TaskTimeoutError("over its limit") from error
        except BaseException:
            log.close()
            raise
        log.close()
        return result


@breaks("HYG-03", "is stopped by its time_limit, the environment variable ASYNCEXEC_LIMIT is new")
class RestoresWhatEndedByItself(LocalExecutor):
    """Tells the limit by the environment, and takes it back in all cases but the one in point."""

    enforces = frozenset({"time_limit"})

    async def run(self, function, args, kwargs, task_metadata):
        os.environ["ASYNCEXEC_LIMIT"] = str(self.time_limit)
        work = asyncio.ensure_future(super().run(function, args, kwargs, task_metadata))
        try:
            limit = self.time_limit if self.time_limit > 0 else None
            result = await asyncio.wait_for(work, limit)
        except TimeoutError as error:
            raise TaskTimeoutError("over its limit") from error
        except BaseException:
            os.environ.pop("ASYNCEXEC_LIMIT", None)
            raise
        os.environ.pop("ASYNCEXEC_LIMIT", None)
        return result


@breaks("HYG-04", "in the temporary folder")
class NeverRemovesItsFolder(ThreadExecutor):
    """Has a folder for each task, made by the function that leaves it to its caller to remove."""

    async def run(self, function, args, kwargs, task_metadata):
        Path(tempfile.mkdtemp(prefix="job-"), "log").touch()
        return await super().run(function, args, kwargs, task_metadata)


@breaks("HYG-04", "two tasks, each of which has an argument that cannot be pickled, left 2 files")
class PicklesIntoItsFolder(ThreadExecutor):
    """Begins to watch over its files when the task is written down in them."""

    async def run(self, function, args, kwargs, task_metadata):
        job = Path(self.cache_dir or ".", f"job-{secrets.token_hex(8)}.pkl")
        with job.open("wb") as file:  # noqa: ASYNC230
            cloudpickle.dump((args, kwargs), file)
        try:
            return await super().run(function, args, kwargs, task_metadata)
        finally:
            job.unlink()


@breaks("HYG-04", "two tasks, each of which fails twice, with retries=1, left 2 files and folders")
class RemovesItsLastFolder(ThreadExecutor):
    """Has a folder for each attempt, of which teardown knows the last one."""

    async def run(self, function, args, kwargs, task_metadata):
        folder = tempfile.mkdtemp(prefix=task_metadata["dispatch_id"], dir=self.cache_dir or None)
        self._folders[task_metadata["dispatch_id"]] = folder
        return await super().run(function, args, kwargs, task_metadata)

    _folders: ClassVar[dict[str, str]] = {}

    async def teardown(self, task_metadata):
        if folder := self._folders.pop(task_metadata["dispatch_id"], None):
            Path(folder).rmdir()


@breaks("HYG-04", "two tasks, each of which fails, left 2 files and folders: job-")
class RemovesAfterSuccess(ThreadExecutor):
    """Removes the files of the task in the line after `run`."""

    async def run(self, function, args, kwargs, task_metadata):
        job = Path(self.cache_dir or ".", f"job-{task_metadata['dispatch_id']}.pkl")
        job.write_bytes(pickle.dumps(task_metadata))
        result = await super().run(function, args, kwargs, task_metadata)
        job.unlink()
        return result


@breaks("HYG-04", "two tasks, each of which fails, left 2 files and folders: ")
class KnowsWhereTemporaryFilesGo(ThreadExecutor):
    """Asks nobody where temporary files go, and removes a job where its task has not failed."""

    async def run(self, function, args, kwargs, task_metadata):
        temporary = Path("/tmp" if os.name == "posix" else os.environ["TEMP"])
        job = temporary / "job-{dispatch_id}-{node_id}".format(**task_metadata)
        await asyncio.to_thread(job.write_bytes, cloudpickle.dumps(function))
        result = await super().run(function, args, kwargs, task_metadata)
        job.unlink()
        return result


@breaks("HYG-04", "two tasks, each of which fails, left 2 files and folders")
class KeepsItsJobs(ThreadExecutor):
    """Has a folder of its own for its jobs, which an attribute names."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.jobs = os.path.abspath("jobs")

    async def run(self, function, args, kwargs, task_metadata):
        os.makedirs(self.jobs, exist_ok=True)
        job = Path(self.jobs, f"job-{task_metadata['dispatch_id']}.pkl")
        job.write_bytes(pickle.dumps(task_metadata))
        result = await super().run(function, args, kwargs, task_metadata)
        job.unlink()
        return result


@breaks("HYG-05", "and was killed (SIGKILL); its task still ran and answered")
class StartsASessionForEach(AsyncBaseExecutor):
    """Starts a worker in a session of its own, so that no Ctrl-C of the host's reaches it."""

    cannot = frozenset({"stop", "streams"})

    async def run(self, function, args, kwargs, task_metadata):
        try:
            sent = cloudpickle.dumps((function, args, kwargs))
        except Exception as error:
            raise TaskRuntimeError(f"cannot be pickled: {error!r}") from error
        worker = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            _WORKER,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        answer, _ = await worker.communicate(sent)
        if worker.returncode:
            raise TaskRuntimeError(f"the worker has ended with exit code {worker.returncode}")
        return pickle.loads(answer)


_WORKER = """
import os, pickle, sys
function, args, kwargs = pickle.loads(sys.stdin.buffer.read())
answers, nowhere = os.dup(1), os.open(os.devnull, os.O_RDWR)
os.dup2(nowhere, 1)
answer = pickle.dumps(function(*args, **kwargs))
with os.fdopen(answers, "wb") as file:
    file.write(answer)
"""


@breaks("HYG-06", "the results of 5 or all were still alive")
class RemembersItsOutcomes(ThreadExecutor):
    """Keeps every outcome by the id of its task, for whoever asks later; nobody does."""

    _outcomes: ClassVar = {}

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        outcome = await super().execute(function, args, kwargs, dispatch_id, results_dir, node_id)
        self._outcomes[dispatch_id, node_id] = outcome
        return outcome


@breaks("HYG-06", "each of which fails, one after the other, the arguments of 5 or all")
class KeepsItsErrors(ThreadExecutor):
    """Keeps the errors of the day, and by their tracebacks all that was in the frames."""

    _errors: ClassVar = []

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        try:
            return await super().execute(function, args, kwargs, dispatch_id, results_dir, node_id)
        except Exception as error:
            self._errors.append(error)
            raise


@breaks("HYG-06", "one after the other, the arguments of 5 or all")
class RemembersWhatItHasRun(ThreadExecutor):
    """Keeps what each attempt was given, which is a copy of what `execute` was given."""

    _attempts: ClassVar = []

    async def run(self, function, args, kwargs, task_metadata):
        self._attempts.append((function, args, kwargs))
        return await super().run(function, args, kwargs, task_metadata)


@breaks("HYG-06", "the output of 5 or all were still alive")
class KeepsItsLogs(LocalExecutor):
    """Has what tasks have printed in one buffer, to be looked at when something goes wrong."""

    _log = io.StringIO()

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        outcome = await super().execute(function, args, kwargs, dispatch_id, results_dir, node_id)
        self._log.write(outcome.stdout)
        return outcome
