"""Wrong by CAN."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import sys
import tempfile
import threading
from concurrent.futures import Future, InvalidStateError
from contextvars import ContextVar
from pathlib import Path
from typing import ClassVar

import cloudpickle
from pytest_asyncexec.reference_executor import LocalExecutor, ThreadExecutor
from pytest_asyncexec.reference_executor._payload import dumped, understood
from pytest_asyncexec.reference_executor._process import Worker

from pytest_asyncexec import (
    AsyncBaseExecutor,
    TaskCancelledError,
    TaskOutcome,
    TaskRuntimeError,
    TaskStatus,
)

from . import breaks


@breaks("CAN-01", "a task that is cancelled by its host: execute returned status FAILED")
class TakesCancellationForFailure(LocalExecutor):
    """Catches everything in `execute`, so that no error is ever lost."""

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        try:
            return await super().execute(function, args, kwargs, dispatch_id, results_dir, node_id)
        except BaseException as error:
            return TaskOutcome(None, "", repr(error), TaskStatus.FAILED)


@breaks("CAN-01", "no teardown came after the last run")
class TearsDownOnErrorsOnly(ThreadExecutor):
    """Written when CancelledError was still an Exception."""

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        metadata = {"dispatch_id": dispatch_id, "node_id": node_id, "results_dir": results_dir}
        await self.setup(metadata)
        try:
            result = await self.run(function, args, kwargs, metadata)
        except Exception:
            await self.teardown(metadata)
            raise
        await self.teardown(metadata)
        return TaskOutcome(result, "", "", TaskStatus.COMPLETED)


@breaks("CAN-01", "a task was cancelled, and its teardown raised RuntimeError('on purpose')")
class CatchesExceptionsOfTeardown(ThreadExecutor):
    """Lets no error of teardown hide one of the task; a cancellation is none to it."""

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        metadata = {"dispatch_id": dispatch_id, "node_id": node_id, "results_dir": results_dir}
        try:
            result = await self.run(function, args, kwargs, metadata)
        except Exception:
            with contextlib.suppress(Exception):
                await self.teardown(metadata)
            raise
        except asyncio.CancelledError:
            await self.teardown(metadata)
            raise
        with contextlib.suppress(Exception):
            await self.teardown(metadata)
        return TaskOutcome(result, "", "", TaskStatus.COMPLETED)


@breaks("CAN-01", "a task that is cancelled by its host: execute returned status CANCELLED")
class ReportsItsOwnCancellation(LocalExecutor):
    """Takes the cancellation of its host for one of the task, and returns that status."""

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        try:
            return await super().execute(function, args, kwargs, dispatch_id, results_dir, node_id)
        except asyncio.CancelledError:
            return TaskOutcome(None, "", "", TaskStatus.CANCELLED)


@breaks("CAN-01", "with retries=")
class KeepsWhatIsTriedAgain(ThreadExecutor):
    """Tears down after the last attempt, of which a cancelled task with retries left has none."""

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        metadata = {"dispatch_id": dispatch_id, "node_id": node_id, "results_dir": results_dir}
        await self.setup(metadata)
        for left in reversed(range(self.retries + 1)):
            try:
                result = await self.run(function, args, kwargs, metadata)
                break
            except BaseException as error:
                if not left:
                    await self.teardown(metadata)
                if not left or not isinstance(error, Exception):
                    raise
        await self.teardown(metadata)
        return TaskOutcome(result, "", "", TaskStatus.COMPLETED)


@breaks("CAN-02", "its task still runs (process")
class ForgetsTheWork(ThreadExecutor):
    """Drops what it waits for, and believes that this is all there is to cancelling."""

    cannot = frozenset({"streams"})


@breaks("CAN-02", "at work and deaf to SIGTERM: execute had ended in CancelledError, and its task")
class AsksPolitely(LocalExecutor):
    """Sends SIGTERM, as every manual says, and waits a moment for the worker to obey."""

    _patience: ClassVar[float | None] = 0.1

    async def run(self, function, args, kwargs, task_metadata):
        working = asyncio.ensure_future(super().run(function, args, kwargs, task_metadata))
        try:
            return await asyncio.shield(working)
        except asyncio.CancelledError:
            for worker in _workers_of(working):
                os.kill(worker, signal.SIGTERM)
            await asyncio.wait({working}, timeout=self._patience)
            raise

    async def set_job_handle(self, handle):
        # Not asyncio.current_task(): the name of a task is the only thing that a test can read.
        asyncio.current_task().set_name(f"worker {handle['pid']}")


@breaks("CAN-02", "at work and deaf to SIGTERM: nothing had stopped it when the suite let it go")
class AsksPolitelyAndWaits(AsksPolitely):
    """Sends SIGTERM, and waits for the worker to obey, however long that may take."""

    _patience = None


@breaks("CAN-02", "is cancelled by its host: execute had ended in CancelledError, and its task")
class CannotMoveAnybody(LocalExecutor):
    """Has one worker, and whoever is on it stays there, whatever his limit or his host says."""

    enforces = frozenset({"time_limit"})

    def __init__(self, **options):
        super().__init__(**options, max_workers=1)

    async def run(self, function, args, kwargs, task_metadata):
        working = super().run(function, args, kwargs, task_metadata)
        return await asyncio.shield(asyncio.ensure_future(working))


def _workers_of(task):
    kind, _, pid = task.get_name().partition(" ")
    return [int(pid)] if kind == "worker" else []


@breaks("CAN-03", "run raised TaskCancelledError: execute raised TaskCancelledError")
@breaks("CAN-06", "a task that is cancelled by its host twice: teardown was cancelled before")
class TearsDownInFinally(ThreadExecutor):
    """The template that everybody writes: a result, or an error for the caller."""

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        metadata = {"dispatch_id": dispatch_id, "node_id": node_id, "results_dir": results_dir}
        try:
            await self.setup(metadata)
            result = await self.run(function, args, kwargs, metadata)
        finally:
            await self.teardown(metadata)
        return TaskOutcome(result, "", "", TaskStatus.COMPLETED)


@breaks("CAN-03", "execute returned status FAILED")
class CallsCancelledFailed(ThreadExecutor):
    """Wraps whatever its backend raises, so that callers need to know one error only."""

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        try:
            outcome = await super().execute(
                function, args, kwargs, dispatch_id, results_dir, node_id
            )
        except Exception as error:
            raise TaskRuntimeError(str(error)) from error
        if outcome.status is not TaskStatus.COMPLETED:
            return outcome._replace(status=TaskStatus.FAILED)
        return outcome


@breaks("CAN-03", "without teardown having been awaited to its end")
class TearsDownWhatRan(ThreadExecutor):
    """A job that was cancelled has nothing left to tear down, it thinks."""

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        metadata = {"dispatch_id": dispatch_id, "node_id": node_id, "results_dir": results_dir}
        try:
            await self.setup(metadata)
            result = await self.run(function, args, kwargs, metadata)
        except TaskCancelledError:
            return TaskOutcome(None, "", "", TaskStatus.CANCELLED)
        except BaseException:
            await self.teardown(metadata)
            raise
        await self.teardown(metadata)
        return TaskOutcome(result, "", "", TaskStatus.COMPLETED)


@breaks("CAN-04", "returned True, and its task still runs (process")
class PromisesToCancel(LocalExecutor):
    """Has put the job on the list of those to be stopped."""

    async def cancel(self, task_metadata, job_handle):
        return True


_WORKER = """
import sys, cloudpickle
function, args, kwargs = cloudpickle.load(sys.stdin.buffer)
with open(sys.argv[1], "xb") as answer:
    cloudpickle.dump(function(*args, **kwargs), answer)
"""


@breaks("CAN-04", "a child process returned True, and its child still runs (process")
class EndsTheWorkerAlone(AsyncBaseExecutor):
    """Kills the process that it started, and not those which that one has started."""

    cannot = frozenset({"streams"})

    async def run(self, function, args, kwargs, task_metadata):
        with tempfile.TemporaryDirectory() as folder:
            answer = Path(folder, "answer")
            worker = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", _WORKER, answer), stdin=asyncio.subprocess.PIPE
            )
            try:
                await self.set_job_handle({"pid": worker.pid})
                await worker.communicate(cloudpickle.dumps((function, args, kwargs)))
            finally:
                if worker.returncode is None:
                    worker.kill()
            if worker.returncode == -signal.SIGKILL:
                raise TaskCancelledError
            if worker.returncode:
                raise TaskRuntimeError(f"the worker ended with code {worker.returncode}")
            return cloudpickle.loads(answer.read_bytes())

    async def cancel(self, task_metadata, job_handle):
        if not job_handle:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(job_handle["pid"], signal.SIGKILL)
        return True


@breaks("CAN-04", "a task that ignores SIGTERM returned True, and its task still runs (process")
class TrustsTheSignal(LocalExecutor):
    """Asks the worker to end, and believes that it does."""

    async def cancel(self, task_metadata, job_handle):
        if not job_handle:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.killpg(job_handle["pid"], signal.SIGTERM)
        return True


@breaks("CAN-04", "of a running task raised KeyError")
class WantsAHandle(LocalExecutor):
    """Is asked about a job that it has not told of yet."""

    async def cancel(self, task_metadata, job_handle):
        pid = {"pid": job_handle["pid"]} if job_handle else {}["pid"]
        return await super().cancel(task_metadata, pid)


@breaks("CAN-04", "returned None, which is no bool")
class CancelsWithoutAWord(LocalExecutor):
    """Stops the job, and forgets to say so."""

    async def cancel(self, task_metadata, job_handle):
        await super().cancel(task_metadata, job_handle)


@breaks("CAN-04", "returned True, and the task was attempted again")
class KillsBehindItsOwnBack(LocalExecutor):
    """Kills the worker; to `run`, which knows nothing of it, that is one more worker that died."""

    async def cancel(self, task_metadata, job_handle):
        if job_handle is None:
            return False
        os.killpg(job_handle["pid"], signal.SIGKILL)
        return True


@breaks("CAN-04", "cancel of a task that is over raised KeyError")
class LooksForTheJob(LocalExecutor):
    """Cannot stop a job, and says so; of one that is over it has nothing to say."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self._jobs = {}

    async def run(self, function, args, kwargs, task_metadata):
        self._jobs[task_metadata["dispatch_id"]] = "running"
        try:
            return await super().run(function, args, kwargs, task_metadata)
        finally:
            del self._jobs[task_metadata["dispatch_id"]]

    async def cancel(self, task_metadata, job_handle):
        return self._jobs[task_metadata["dispatch_id"]] == "queued"


@breaks(
    "CAN-04", "when the attempt had failed by itself, returned True, and the task was attempted"
)
class AnswersForWhatItHasKilled(LocalExecutor):
    """Whatever was still there when it was killed was cancelled, if it was not over already."""

    async def cancel(self, task_metadata, job_handle):
        try:
            os.kill(job_handle["pid"], 0)
        except (TypeError, ProcessLookupError):
            return False
        await super().cancel(task_metadata, job_handle)
        return True


@breaks("CAN-05", "setup was begun, and teardown awaited 0 times")
class SetsUpBeforeItTries(ThreadExecutor):
    """`setup` stands before the `try`: what fails there needs no teardown, does it?"""

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        metadata = {"dispatch_id": dispatch_id, "node_id": node_id, "results_dir": results_dir}
        await self.setup(metadata)
        try:
            result = await self.run(function, args, kwargs, metadata)
        finally:
            await self.teardown(metadata)
        return TaskOutcome(result, "", "", TaskStatus.COMPLETED)


@breaks("CAN-05", "and teardown awaited 0 times")
class LooksAroundBetweenItsSteps(ThreadExecutor):
    """Everything is within a `try`, but for one look at the clock between two of them."""

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        metadata = {"dispatch_id": dispatch_id, "node_id": node_id, "results_dir": results_dir}
        try:
            await self.setup(metadata)
        except BaseException:
            await self.teardown(metadata)
            raise
        await asyncio.sleep(0)
        try:
            result = await self.run(function, args, kwargs, metadata)
        finally:
            await self.teardown(metadata)
        return TaskOutcome(result, "", "", TaskStatus.COMPLETED)


@breaks("CAN-05", "an asyncio task was left running")
class LeavesItsHeartbeat(ThreadExecutor):
    """Stops its heartbeat after a task and after an error, and not after a cancellation."""

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        beating = asyncio.ensure_future(asyncio.sleep(3600))
        try:
            outcome = await super().execute(
                function, args, kwargs, dispatch_id, results_dir, node_id
            )
        except Exception:
            beating.cancel()
            raise
        beating.cancel()
        return outcome


@breaks("CAN-05", "execute has ended, and its task still runs (process ")
class TellsBeforeItTries(LocalExecutor):
    """Tells somebody of the worker that it has started, and only then begins to watch it."""

    async def run(self, function, args, kwargs, task_metadata):
        task = await asyncio.to_thread(dumped, (function, args, kwargs))
        worker = Worker(self.cache_dir, self.environment, True, print)
        await asyncio.to_thread(worker.start)
        answer = Future()
        threading.Thread(target=_answered, args=(worker, task, answer), daemon=True).start()
        await asyncio.sleep(0)
        try:
            return await asyncio.to_thread(understood, await asyncio.wrap_future(answer))
        finally:
            await asyncio.to_thread(worker.end)


def _answered(worker, task, answer):
    answered = worker.do_blocking(task, os.getcwd())
    with contextlib.suppress(InvalidStateError):
        answer.set_result(answered)


@breaks("CAN-05", "as if nobody had cancelled it")
class ShieldsItsResult(ThreadExecutor):
    """A result that is there must not be lost: from then on no cancellation is listened to."""

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        metadata = {"dispatch_id": dispatch_id, "node_id": node_id, "results_dir": results_dir}
        try:
            await self.setup(metadata)
            result = await self.run(function, args, kwargs, metadata)
        finally:
            closing = asyncio.ensure_future(self.teardown(metadata))
            try:
                await asyncio.shield(closing)
            except asyncio.CancelledError:
                await closing
        return TaskOutcome(result, "", "", TaskStatus.COMPLETED)


@breaks("CAN-06", "teardown was begun and not awaited: it was still going on when execute ended")
class ShieldsAndLeaves(ThreadExecutor):
    """Shields its teardown, and does not wait for it any more."""

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        metadata = {"dispatch_id": dispatch_id, "node_id": node_id, "results_dir": results_dir}
        try:
            await self.setup(metadata)
            result = await self.run(function, args, kwargs, metadata)
        finally:
            await asyncio.shield(self.teardown(metadata))
        return TaskOutcome(result, "", "", TaskStatus.COMPLETED)


@breaks("CAN-06", "cancelled a second time, during teardown: teardown was cancelled")
class TearsDownAgain(ThreadExecutor):
    """Whose teardown was cut short begins it once more, on what is half gone."""

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        metadata = {"dispatch_id": dispatch_id, "node_id": node_id, "results_dir": results_dir}
        try:
            await self.setup(dict(metadata))
            result = await self.run(function, args, kwargs, dict(metadata))
        finally:
            try:
                await self.teardown(dict(metadata))
            except asyncio.CancelledError:
                await self.teardown(dict(metadata))
                raise
        return TaskOutcome(result, "", "", TaskStatus.COMPLETED)


@breaks("CAN-07", "cancelled during setup: teardown was not called")
class SetsUpOutside(SetsUpBeforeItTries):
    """As above: what was half acquired is left to itself."""


@breaks("CAN-07", "cancelled during setup: run was called")
class GoesOnWithoutSetup(ThreadExecutor):
    """Its setup is only a warm-up, and whatever goes wrong there, the task can do without."""

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        metadata = {"dispatch_id": dispatch_id, "node_id": node_id, "results_dir": results_dir}
        try:
            try:
                await asyncio.wait_for(self.setup(metadata), 30)
            except BaseException:
                self.last_warm_up = "failed"
            result = await self.run(function, args, kwargs, metadata)
        finally:
            await self.teardown(metadata)
        return TaskOutcome(result, "", "", TaskStatus.COMPLETED)


@breaks("CAN-11", "execute returned status CANCELLED")
class GivesUpItsTeardown(ThreadExecutor):
    """Whoever cancels a second time is in a hurry: it tells what is known and leaves."""

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        metadata = {"dispatch_id": dispatch_id, "node_id": node_id, "results_dir": results_dir}
        try:
            await self.setup(dict(metadata))
            result = await self.run(function, args, kwargs, dict(metadata))
        except asyncio.CancelledError:
            try:
                await self.teardown(dict(metadata))
            except asyncio.CancelledError:
                return TaskOutcome(None, "", "", TaskStatus.CANCELLED)
            raise
        except BaseException:
            await self.teardown(dict(metadata))
            raise
        await self.teardown(dict(metadata))
        return TaskOutcome(result, "", "", TaskStatus.COMPLETED)


@breaks("CAN-11", "execute raised RuntimeError: teardown of")
class BlamesItsTeardown(ThreadExecutor):
    """Shields its teardown from two cancellations; after the third it reports a failure."""

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        metadata = {"dispatch_id": dispatch_id, "node_id": node_id, "results_dir": results_dir}
        cancelled = 0
        try:
            await self.setup(dict(metadata))
            result = await self.run(function, args, kwargs, dict(metadata))
        except asyncio.CancelledError:
            cancelled += 1
            raise
        finally:
            closing = asyncio.ensure_future(self.teardown(dict(metadata)))
            while not closing.done():
                try:
                    await asyncio.shield(closing)
                except asyncio.CancelledError:
                    cancelled += 1
                    if cancelled > 2:
                        raise RuntimeError(f"teardown of {dispatch_id} was cut short") from None
            if cancelled:
                raise asyncio.CancelledError
        return TaskOutcome(result, "", "", TaskStatus.COMPLETED)


@breaks("CAN-08", "while it ran, set_job_handle was not called; cancel(task_metadata, None)")
class TellsOfItsJobAtTheEnd(LocalExecutor):
    """Keeps the handle until there is an outcome to go with it."""

    async def set_job_handle(self, handle):
        _of_task.set(handle)

    async def run(self, function, args, kwargs, task_metadata):
        result = await super().run(function, args, kwargs, task_metadata)
        await LocalExecutor.set_job_handle(self, _of_task.get())
        return result


_of_task: ContextVar[object] = ContextVar("handle", default=None)


@breaks("CAN-08", "asked of a rehydrated instance, returned False; asked of its own, it ended the")
class KnowsItsJobsByHeart(LocalExecutor):
    """Keeps a table of the jobs that it has begun, and gives out their numbers."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self._jobs = []

    async def set_job_handle(self, handle):
        self._jobs.append(handle)
        await super().set_job_handle(len(self._jobs) - 1)

    async def cancel(self, task_metadata, job_handle):
        try:
            return await super().cancel(task_metadata, self._jobs[job_handle])
        except (IndexError, TypeError):
            return False


class _Jobs(LocalExecutor):
    #: What is known of the jobs that run, by all instances.
    jobs: ClassVar[dict] = {}

    async def run(self, function, args, kwargs, task_metadata):
        job = {**task_metadata, "by": id(self)}
        _of_task.set(job)
        try:
            return await super().run(function, args, kwargs, task_metadata)
        finally:
            self.jobs.pop(job.get("token"), None)

    async def set_job_handle(self, handle):
        job = _of_task.get()
        job["token"] = handle["token"]
        self.jobs[handle["token"]] = job
        await super().set_job_handle(handle)

    def meant(self, job, jobs):
        """The tokens of the jobs that are ended."""
        return [job["token"]]

    async def cancel(self, task_metadata, job_handle):
        token = job_handle.get("token") if isinstance(job_handle, dict) else None
        jobs = list(self.jobs.values())
        job = self.jobs.get(token) or self.otherwise(jobs)
        found = [] if job is None else self.meant(job, jobs)
        ended = [await super(_Jobs, self).cancel(task_metadata, {"token": t}) for t in found]
        return any(ended)

    def otherwise(self, jobs):
        """The job that is meant by a handle that nobody knows."""
        return


@breaks("CAN-09", "was gone, too: execute returned status CANCELLED")
class CancelsTheDispatch(_Jobs):
    """Who cancels a node cancels its dispatch, it thinks."""

    def meant(self, job, jobs):
        return [each["token"] for each in jobs if each["dispatch_id"] == job["dispatch_id"]]


@breaks("CAN-09", "was gone, too: execute returned status CANCELLED")
class CancelsTheLastOne(_Jobs):
    """Remembers the job that it has begun, and never thought of a second one."""

    def meant(self, job, jobs):
        return [job["token"], jobs[-1]["token"]]


@breaks("CAN-09", "after cancel without a handle, of a dispatch that was never begun, task node")
class CancelsSomethingAtLeast(_Jobs):
    """Where it does not know a handle, there is one job only that can be meant: the first."""

    def otherwise(self, jobs):
        return jobs[0] if jobs else None


@breaks("CAN-09", "was gone, too: execute returned status CANCELLED")
class CancelsItsInstance(_Jobs):
    """Gives up all that an instance does, as a workflow that is cancelled is cancelled whole."""

    def meant(self, job, jobs):
        return [each["token"] for each in jobs if each["by"] == job["by"]]


@breaks("CAN-09", "after cancel of a task that is over task node")
class GivesItsNumbersAgain(LocalExecutor):
    """Names a job by the lowest number that is free, which the next one has when it is over."""

    _numbers: ClassVar[dict] = {}

    async def run(self, function, args, kwargs, task_metadata):
        number = next(n for n in itertools.count() if n not in self._numbers)
        self._numbers[number] = None
        _of_task.set(number)
        try:
            return await super().run(function, args, kwargs, task_metadata)
        finally:
            del self._numbers[number]

    async def set_job_handle(self, handle):
        self._numbers[_of_task.get()] = handle
        await super().set_job_handle(_of_task.get())

    async def cancel(self, task_metadata, job_handle):
        known = isinstance(job_handle, int)
        return await super().cancel(task_metadata, self._numbers.get(job_handle) if known else None)


@breaks("CAN-10", "its host answered False, True, False, True; get_cancel_requested returned False")
class AnswersForItsHost(ThreadExecutor):
    """Has no use for the question, and answers it as nothing were the matter."""

    async def get_cancel_requested(self):
        return False


@breaks("CAN-10", "get_cancel_requested returned False, False, False, False")
class AsksOnce(ThreadExecutor):
    """Spares its host the same question, task by task."""

    async def get_cancel_requested(self):
        answer = _of_task.get()
        if answer is None:
            answer = await super().get_cancel_requested()
            _of_task.set(answer)
        return answer


@breaks("CAN-10", "its host wanted a task to stop before anything was done for it, and it was run")
class NeverAsks(ThreadExecutor):
    """Runs whatever it is given, as long as nobody cancels it."""

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        metadata = {"dispatch_id": dispatch_id, "node_id": node_id, "results_dir": results_dir}
        try:
            await self.setup(dict(metadata))
            result = await self.run(function, args, kwargs, dict(metadata))
        finally:
            await self.teardown(dict(metadata))
        return TaskOutcome(result, "", "", TaskStatus.COMPLETED)
