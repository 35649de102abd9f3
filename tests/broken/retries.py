"""Wrong by RET."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import io

from pytest_asyncexec.reference_executor import LocalExecutor, ThreadExecutor

from pytest_asyncexec import TaskCancelledError, TaskRuntimeError, TaskTimeoutError

from . import breaks

# ---- RET-01 ------------------------------------------------------------------------------


@breaks("RET-01", "it was attempted 2 times")
class AttemptsOnceMore(ThreadExecutor):
    """Takes `retries` for what comes on top of a second chance."""

    async def run(self, function, args, kwargs, task_metadata):
        try:
            return await super().run(function, args, kwargs, task_metadata)
        except ValueError:
            return await super().run(function, args, kwargs, task_metadata)


@breaks("RET-01", "it was attempted 4 times")
class TakesZeroForUnset(ThreadExecutor):
    """Has a default of its own, for whoever has not set any."""

    enforces = frozenset({"retries"})

    async def run(self, function, args, kwargs, task_metadata):
        for _ in range(self.retries or 3):
            with contextlib.suppress(ValueError):
                return await super().run(function, args, kwargs, task_metadata)
        return await super().run(function, args, kwargs, task_metadata)


@breaks("RET-01", "a task that raises a ConnectionError: it was attempted 2 times")
class ResubmitsWhenTheConnectionIsLost(ThreadExecutor):
    """Submits a job again whose connection was lost; a task may have lost one of its own."""

    async def run(self, function, args, kwargs, task_metadata):
        try:
            return await super().run(function, args, kwargs, task_metadata)
        except ConnectionError:
            return await super().run(function, args, kwargs, task_metadata)


# ---- RET-02 ------------------------------------------------------------------------------


@breaks("RET-02", "it was attempted 1 time;")
class NeverRetries(ThreadExecutor):
    """Stores `retries`, says that its backend makes them, and forgets to tell the backend."""

    enforces = frozenset({"retries"})


@breaks("RET-02", "it was attempted 1 time;")
class CountsTheFirstAttempt(ThreadExecutor):
    """Makes `retries` attempts in all, and one where there is none."""

    enforces = frozenset({"retries"})

    async def run(self, function, args, kwargs, task_metadata):
        for _ in range(self.retries - 1):
            with contextlib.suppress(ValueError):
                return await super().run(function, args, kwargs, task_metadata)
        return await super().run(function, args, kwargs, task_metadata)


@breaks("RET-02", "that fails twice first, with retries=2: it was attempted 2 times")
class KnowsWhatGoesAway(ThreadExecutor):
    """Attempts again after the errors that it has met; others, it thinks, will not go away."""

    enforces = frozenset({"retries"})

    async def run(self, function, args, kwargs, task_metadata):
        for _ in range(self.retries):
            with contextlib.suppress(ValueError, RuntimeError):
                return await super().run(function, args, kwargs, task_metadata)
        return await super().run(function, args, kwargs, task_metadata)


@breaks("RET-02", "with retries=12 a task that fails 11 times first was attempted 4 times")
class ThinksThreeIsEnough(ThreadExecutor):
    """Protects its backend from users, who are told of it in a comment."""

    enforces = frozenset({"retries"})

    async def run(self, function, args, kwargs, task_metadata):
        for _ in range(min(self.retries, 3)):
            with contextlib.suppress(Exception):
                return await super().run(function, args, kwargs, task_metadata)
        return await super().run(function, args, kwargs, task_metadata)


# ---- RET-03 ------------------------------------------------------------------------------


class _Retries(ThreadExecutor):
    enforces = frozenset({"retries"})
    #: The errors after which it does not try again.
    final: tuple[type[Exception], ...] = ()

    async def run(self, function, args, kwargs, task_metadata):
        for _ in range(self.retries):
            try:
                return await super().run(function, args, kwargs, task_metadata)
            except Exception as error:
                if isinstance(error, self.final):
                    raise
        return await super().run(function, args, kwargs, task_metadata)


@breaks("RET-02", "whose attempts fail with a KeyError, then an AttributeError: it was attempted 1")
class NeverRetriesBugs(_Retries):
    """Tries again what may go away, and takes some errors for those of the author."""

    final = LookupError, AttributeError, NameError, AssertionError


@breaks("RET-02", "attempts fail with a TimeoutError, then an ImportError: it was attempted 1")
class TakesTimeOutsForItsOwn(_Retries):
    """Does not try again what its limit has ended, and knows that by the type of the error."""

    final = (TimeoutError,)


@breaks("RET-03", "fails in attempt 1")
class ShowsTheFirstError(ThreadExecutor):
    """Keeps the first error and raises it at the end."""

    enforces = frozenset({"retries"})

    async def run(self, function, args, kwargs, task_metadata):
        first = None
        for _ in range(self.retries + 1):
            try:
                return await super().run(function, args, kwargs, task_metadata)
            except Exception as error:
                first = first or error
        raise first


@breaks("RET-03", "that is not its last error")
class ShowsTheFirstErrorWhileHandlingTheLast(ThreadExecutor):
    """Raises the first error where it gives up, so that the last one is merely its context."""

    enforces = frozenset({"retries"})

    async def run(self, function, args, kwargs, task_metadata):
        first = None
        for left in reversed(range(self.retries + 1)):
            try:
                return await super().run(function, args, kwargs, task_metadata)
            except Exception as error:
                first = first or error
                if not left:
                    raise first  # noqa: B904
        return None


# ---- RET-04 ------------------------------------------------------------------------------


class _AttemptsItself(ThreadExecutor):
    enforces = frozenset({"retries"})

    def copied(self, args, kwargs):
        return args, kwargs

    async def run(self, function, args, kwargs, task_metadata):
        for left in reversed(range(self.retries + 1)):
            try:
                these, named = self.copied(args, kwargs)
                return await super().run(function, these, named, task_metadata)
            except Exception:
                if not left:
                    raise
        return None


@breaks("RET-04", "what the task was given")
class SharesTheArguments(_AttemptsItself):
    """Makes the retries itself, and hands every attempt what it was handed."""


@breaks("RET-04", "what the task was given")
class CopiesTheOutside(_AttemptsItself):
    """Gives each attempt a list and a dictionary of its own, of the same values."""

    def copied(self, args, kwargs):
        return list(args), dict(kwargs)


# ---- RET-05 ------------------------------------------------------------------------------


@breaks("RET-05", "a task that is cancelled by its host, with retries=")
class TakesCancellationForFailure(ThreadExecutor):
    """Catches everything that an attempt can end in."""

    enforces = frozenset({"retries"})

    async def run(self, function, args, kwargs, task_metadata):
        for left in reversed(range(self.retries + 1)):
            try:
                return await super().run(function, args, kwargs, task_metadata)
            except BaseException:
                if not left:
                    raise
        return None


@breaks("RET-05", "`run` raised TaskCancelledError and was called 4 times")
class RepeatsWhateverFails(ThreadExecutor):
    """Attempts again after every Exception; that of a cancelled task is one."""

    enforces = frozenset({"retries"})

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        task = (dispatch_id, results_dir, node_id)
        for _ in range(self.retries):
            try:
                outcome = await super().execute(function, args, kwargs, *task)
            except Exception:
                continue
            if outcome.status == "COMPLETED":
                return outcome
        return await super().execute(function, args, kwargs, *task)


@breaks("RET-05", "when its first attempt had just failed was attempted again")
class RestsThroughACancellation(ThreadExecutor):
    """Rests between two attempts, and lets nothing disturb it."""

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        once = copy.copy(self)
        once.retries = 0
        task = (function, args, kwargs, dispatch_id, results_dir, node_id)
        for _ in range(self.retries):
            try:
                return await once._attempt(*task)
            except Exception:
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(0.05)
        return await once._attempt(*task)

    async def _attempt(self, *task):
        return await super().execute(*task)


# ---- RET-06 ------------------------------------------------------------------------------


@breaks("RET-06", "it was attempted once")
class LimitsAllAttempts(LocalExecutor):
    """Watches the limit outside of the loop that makes the attempts."""

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        try:
            async with asyncio.timeout(self.time_limit if self.time_limit > 0 else None):
                unlimited = type(self)(retries=self.retries)
                return await LocalExecutor.execute(
                    unlimited, function, args, kwargs, dispatch_id, results_dir, node_id
                )
        except TimeoutError as error:
            raise TaskTimeoutError("over its limit") from error


@breaks("RET-06", "when attempt 2 began, of the one before its task still runs (process")
class ClearsUpAtTheEnd(LocalExecutor):
    """Leaves the worker of an attempt that is over its limit to the teardown."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._left = []

    async def _clean_up(self, attempt):
        if attempt.worker.is_alive:
            self._left.append(attempt)
        else:
            await super()._clean_up(attempt)

    async def teardown(self, task_metadata):
        while self._left:
            await super()._clean_up(self._left.pop())
        await super().teardown(task_metadata)


@breaks("RET-06", "attempt 2 was held far longer than its limit, and nothing stopped it")
class LimitsTheFirstAttempt(LocalExecutor):
    """Was written with a limit, and got its retries later, in a line below."""

    enforces = frozenset({"time_limit", "retries"})

    async def run(self, function, args, kwargs, task_metadata):
        try:
            async with asyncio.timeout(self.time_limit if self.time_limit > 0 else None):
                return await super().run(function, args, kwargs, task_metadata)
        except Exception:
            if not self.retries:
                raise
        for _ in range(self.retries - 1):
            with contextlib.suppress(Exception):
                return await super().run(function, args, kwargs, task_metadata)
        return await super().run(function, args, kwargs, task_metadata)


# ---- RET-07 ------------------------------------------------------------------------------


@breaks("RET-07", "first, with retries=")
class ShowsTheLastOutput(LocalExecutor):
    """Begins each attempt with streams that are empty."""

    async def run(self, function, args, kwargs, task_metadata):
        for stream in (self.task_stdout, self.task_stderr):
            stream.seek(0)
            stream.truncate()
        return await super().run(function, args, kwargs, task_metadata)


@breaks("RET-07", "first, with retries=")
class ShowsTheLastErrorFirst(LocalExecutor):
    """Puts the latest of what went wrong on top."""

    async def run(self, function, args, kwargs, task_metadata):
        before = self.task_stderr.getvalue()
        self.task_stderr.seek(0, io.SEEK_SET)
        self.task_stderr.truncate()
        try:
            return await super().run(function, args, kwargs, task_metadata)
        finally:
            self.task_stderr.write(before)


# ---- RET-08 ------------------------------------------------------------------------------


@breaks("RET-08", "first, with retries=2, `retries` was")
class CountsDown(ThreadExecutor):
    """Knows how often it may try again: `retries` says so."""

    enforces = frozenset({"retries"})

    async def run(self, function, args, kwargs, task_metadata):
        while True:
            try:
                return await super().run(function, args, kwargs, task_metadata)
            except Exception:
                if not self.retries:
                    raise
                self.retries -= 1


@breaks("RET-08", "`time_limit` was -2; it had been -1")
class GivesTheNextOneMoreTime(LocalExecutor):
    """Learns from a time-out that its limit was too short."""

    async def run(self, function, args, kwargs, task_metadata):
        try:
            return await super().run(function, args, kwargs, task_metadata)
        except asyncio.CancelledError:
            self.time_limit *= 2
            raise


@breaks(
    "RET-08", "after a task that failed once and was cancelled by its host then, `retries` was 2"
)
class RestoresAfterErrors(ThreadExecutor):
    """Counts down, and puts `retries` back where the task ends, but for CancelledError."""

    enforces = frozenset({"retries"})

    async def run(self, function, args, kwargs, task_metadata):
        retries = self.retries
        try:
            result = await self._attempt(function, args, kwargs, task_metadata)
        except Exception:
            self.retries = retries
            raise
        self.retries = retries
        return result

    async def _attempt(self, *task):
        while True:
            try:
                return await super().run(*task)
            except Exception:
                if not self.retries:
                    raise
                self.retries -= 1


# ---- RET-09 ------------------------------------------------------------------------------


@breaks("RET-09", "it was attempted 9 times, and `run` was called 3 times")
class AttemptsInBothPlaces(ThreadExecutor):
    """Was written for hosts that make no retries."""

    async def run(self, function, args, kwargs, task_metadata):
        for _ in range(self.retries):
            with contextlib.suppress(ValueError, TaskRuntimeError):
                return await super().run(function, args, kwargs, task_metadata)
        return await super().run(function, args, kwargs, task_metadata)


@breaks("RET-09", "it was attempted 6 times, and `run` was called 3 times")
class ResubmitsOnce(ThreadExecutor):
    """Submits a job a second time where the first was lost, and cannot tell that from a failure."""

    async def run(self, function, args, kwargs, task_metadata):
        if not self.retries:
            return await super().run(function, args, kwargs, task_metadata)
        with contextlib.suppress(ValueError):
            return await super().run(function, args, kwargs, task_metadata)
        return await super().run(function, args, kwargs, task_metadata)


# ---- RET-10 ------------------------------------------------------------------------------


@breaks("RET-10", "a task that ends its process: it was attempted 2 times")
class GivesTheTaskToAnotherWorker(LocalExecutor):
    """Takes the death of a worker for that of its machine, which is no fault of the task."""

    async def run(self, function, args, kwargs, task_metadata):
        try:
            return await super().run(function, args, kwargs, task_metadata)
        except TaskRuntimeError as error:
            if "died without a result" not in str(error):
                raise
            return await super().run(function, args, kwargs, task_metadata)


@breaks("RET-10", "a task that ends its process, with retries=")
class TakesADeathForTheEnd(LocalExecutor):
    """Tries again what tasks raise; a worker that dies, it thinks, will die again."""

    enforces = frozenset({"retries"})

    async def run(self, function, args, kwargs, task_metadata):
        for left in reversed(range(self.retries + 1)):
            try:
                return await super().run(function, args, kwargs, task_metadata)
            except TaskCancelledError:
                raise
            except Exception as error:
                if not left or "died without a result" in str(error):
                    raise
        return None
