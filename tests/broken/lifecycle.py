"""Wrong by LIF."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import time
from concurrent.futures import ThreadPoolExecutor

from pytest_asyncexec.reference_executor import ThreadExecutor

from pytest_asyncexec import TaskOutcome, TaskRuntimeError

from . import breaks

logger = logging.getLogger(__name__)


def timed(method):
    """A plain function around a coroutine function."""

    @functools.wraps(method)
    def wrapper(*args, **kwargs):
        logger.debug("begins at %s", time.monotonic())
        return method(*args, **kwargs)

    return wrapper


class Template(ThreadExecutor):
    """An `execute` of its own: most of the wrong ones change a few of its lines."""

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        metadata = {"dispatch_id": dispatch_id, "node_id": node_id, "results_dir": results_dir}
        result = await self.bracket(function, args, kwargs, metadata)
        return TaskOutcome(result, "", "", "COMPLETED")


@breaks("LIF-01", "run began before setup had returned")
class SetsUpMeanwhile(Template):
    """Saves time: the connection is made while the task is being prepared."""

    async def bracket(self, function, args, kwargs, metadata):
        setting_up = asyncio.create_task(self.setup(dict(metadata)))
        try:
            return await self.run(function, args, kwargs, dict(metadata))
        finally:
            await setting_up
            await self.teardown(dict(metadata))


@breaks("LIF-01", "run began after teardown, without a setup of its own")
class RetriesOutsideOfTheBracket(Template):
    """Repeats what failed, on a connection that is closed by then."""

    async def bracket(self, function, args, kwargs, metadata):
        await self.setup(dict(metadata))
        for left in reversed(range(self.retries + 1)):
            try:
                return await self.run(function, args, kwargs, dict(metadata))
            except Exception:
                if not left:
                    raise
            finally:
                await self.teardown(dict(metadata))
        return None


@breaks("LIF-01", "no teardown came after the last run")
class KeepsWhatWorked(Template):
    """What has served one task well is kept for the next one, and made anew all the same."""

    async def bracket(self, function, args, kwargs, metadata):
        try:
            await self.setup(dict(metadata))
            return await self.run(function, args, kwargs, dict(metadata))
        except BaseException:
            await self.teardown(dict(metadata))
            raise


@breaks("LIF-01", "as the second task of its instance: run began before setup had returned")
class SetsUpOnce(Template):
    """Connects for the first task, and disconnects after every one."""

    _is_set_up = False

    async def bracket(self, function, args, kwargs, metadata):
        try:
            if not self._is_set_up:
                self._is_set_up = True
                await self.setup(dict(metadata))
            return await self.run(function, args, kwargs, dict(metadata))
        finally:
            await self.teardown(dict(metadata))


@breaks("LIF-02", "in the bracket, teardown was called 2 times")
class FreesTheNodeEarly(ThreadExecutor):
    """Gives its node back as soon as the task is over, and so does `execute`."""

    async def run(self, function, args, kwargs, task_metadata):
        try:
            return await super().run(function, args, kwargs, task_metadata)
        finally:
            await self.teardown(task_metadata)


@breaks("LIF-02", "teardown was called 0 times")
class SetsUpEveryAttempt(ThreadExecutor):
    """Connects anew for every attempt, and disconnects once."""

    async def run(self, function, args, kwargs, task_metadata):
        if getattr(self, "_connected", False):
            await self.setup(task_metadata)
        self._connected = True
        return await super().run(function, args, kwargs, task_metadata)

    async def teardown(self, task_metadata):
        self._connected = False


@breaks("LIF-02", "teardown was begun and not awaited: it was still going on when execute ended")
class TearsDownInTheBackground(Template):
    """Nobody has to wait for the cleaning up, its author thought."""

    async def bracket(self, function, args, kwargs, metadata):
        await self.setup(dict(metadata))
        try:
            return await self.run(function, args, kwargs, dict(metadata))
        finally:
            self._cleaning = asyncio.create_task(self.teardown(dict(metadata)))
            await asyncio.sleep(0)


@breaks("LIF-01", "run began before setup had returned")
class StartsBehindAPlainWrapper(Template):
    """Has its setup timed by a decorator, and does not wait for it before the end."""

    @timed
    async def setup(self, task_metadata):
        await asyncio.sleep(0)

    async def bracket(self, function, args, kwargs, metadata):
        self._setting_up = asyncio.ensure_future(self.setup(dict(metadata)))
        try:
            return await self.run(function, args, kwargs, dict(metadata))
        finally:
            await self.teardown(dict(metadata))


@breaks("LIF-03", "no teardown came after the last run")
class HasNoFinally(Template):
    """Tears down on the way that its author had in mind."""

    async def bracket(self, function, args, kwargs, metadata):
        await self.setup(dict(metadata))
        result = await self.run(function, args, kwargs, dict(metadata))
        await self.teardown(dict(metadata))
        return result


@breaks("LIF-03", "run raised TaskRuntimeError, and teardown was not called")
class TearsDownUnlessItIsAStatus(ThreadExecutor):
    """Answers a failed task on a way of its own, which leads past teardown."""

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        metadata = {"dispatch_id": dispatch_id, "node_id": node_id, "results_dir": results_dir}
        await self.setup(dict(metadata))
        try:
            result = await self.run(function, args, kwargs, dict(metadata))
        except TaskRuntimeError as error:
            return TaskOutcome(None, "", str(error), "FAILED")
        except BaseException:
            await self.teardown(dict(metadata))
            raise
        await self.teardown(dict(metadata))
        return TaskOutcome(result, "", "", "COMPLETED")


@breaks("LIF-03", "a task that raises a group of errors: no teardown came after the last run")
class TearsDownAfterErrorsItKnows(Template):
    """Names the errors that it has met."""

    async def bracket(self, function, args, kwargs, metadata):
        await self.setup(dict(metadata))
        try:
            result = await self.run(function, args, kwargs, dict(metadata))
        except (ValueError, RuntimeError, OSError):
            await self.teardown(dict(metadata))
            raise
        await self.teardown(dict(metadata))
        return result


@breaks("LIF-04", "setup raised, and teardown was not called")
class SetsUpBeforeTheTry(Template):
    """What a half-made setup acquired is never freed."""

    async def bracket(self, function, args, kwargs, metadata):
        await self.setup(dict(metadata))
        try:
            return await self.run(function, args, kwargs, dict(metadata))
        finally:
            await self.teardown(dict(metadata))


@breaks("LIF-04", "run was called although setup had raised")
class RunsWhateverSetupSays(Template):
    """Takes a failed setup for a warning."""

    async def bracket(self, function, args, kwargs, metadata):
        try:
            await self.setup(dict(metadata))
        except Exception:
            logger.warning("setup failed", exc_info=True)
        try:
            return await self.run(function, args, kwargs, dict(metadata))
        finally:
            await self.teardown(dict(metadata))


@breaks("LIF-04", "of which the caller sees nothing")
class SaysThatSomethingWentWrong(Template):
    """Replaces every error of setup by one of its own, without its cause."""

    async def bracket(self, function, args, kwargs, metadata):
        try:
            try:
                await self.setup(dict(metadata))
            except Exception:
                raise ConnectionError("the cluster could not be reached") from None
            return await self.run(function, args, kwargs, dict(metadata))
        finally:
            await self.teardown(dict(metadata))


@breaks("LIF-04", "the caller sees nothing; teardown had raised as well")
class TearsDownAfterAFailedSetup(Template):
    """Catches errors of teardown after `run`, and not where there was none."""

    async def bracket(self, function, args, kwargs, metadata):
        try:
            await self.setup(dict(metadata))
        except Exception:
            await self.teardown(dict(metadata))
            raise
        try:
            return await self.run(function, args, kwargs, dict(metadata))
        finally:
            with contextlib.suppress(Exception):
                await self.teardown(dict(metadata))


@breaks("LIF-05", "execute raised RuntimeError: the teardown failed on purpose")
class TearsDownInAFinally(Template):
    """As Covalent's base class has it: the last error wins."""

    async def bracket(self, function, args, kwargs, metadata):
        try:
            await self.setup(dict(metadata))
            return await self.run(function, args, kwargs, dict(metadata))
        finally:
            await self.teardown(dict(metadata))


@breaks("LIF-05", "run returned 'precious', then teardown raised; execute raised RuntimeError")
class LosesTheResult(Template):
    """Thought of the failing task, and not of the one that succeeds."""

    async def bracket(self, function, args, kwargs, metadata):
        try:
            await self.setup(dict(metadata))
            result = await self.run(function, args, kwargs, dict(metadata))
        except Exception:
            with contextlib.suppress(Exception):
                await self.teardown(dict(metadata))
            raise
        await self.teardown(dict(metadata))
        return result


@breaks("LIF-06", "teardown was called with task_metadata in which 'results_dir' is missing")
class TearsDownByTheIds(Template):
    """Passes on what its own teardown uses."""

    async def bracket(self, function, args, kwargs, metadata):
        ids = {"dispatch_id": metadata["dispatch_id"], "node_id": metadata["node_id"]}
        try:
            await self.setup(dict(metadata))
            return await self.run(function, args, kwargs, dict(metadata))
        finally:
            await self.teardown(ids)


@breaks("LIF-06", "run was called with task_metadata in which 'node_id' is '")
class NamesItsJobs(Template):
    """Makes the node id fit for a file name on the way."""

    async def bracket(self, function, args, kwargs, metadata):
        try:
            await self.setup(dict(metadata))
            named = {**metadata, "node_id": str(metadata["node_id"])}
            return await self.run(function, args, kwargs, named)
        finally:
            await self.teardown(dict(metadata))


@breaks("LIF-06", "run was called with task_metadata in which 'dispatch_id' is")
class KeepsTheFirstMetadata(Template):
    """Makes the metadata of a task once, and hands it on as if there were no other task."""

    _metadata = None

    async def bracket(self, function, args, kwargs, metadata):
        self._metadata = self._metadata or metadata
        try:
            await self.setup(dict(metadata))
            return await self.run(function, args, kwargs, dict(self._metadata))
        finally:
            await self.teardown(dict(metadata))


@breaks("LIF-07", "a key that setup added to its task_metadata was there when run was called")
class SharesOneDictionary(Template):
    """Hands the same dictionary to all three."""

    async def bracket(self, function, args, kwargs, metadata):
        try:
            await self.setup(metadata)
            return await self.run(function, args, kwargs, metadata)
        finally:
            await self.teardown(metadata)


@breaks("LIF-07", "a key that run added to its task_metadata was there when teardown was called")
class CopiesOnceTooFew(Template):
    """Copies for setup, since that is who changed it once."""

    async def bracket(self, function, args, kwargs, metadata):
        try:
            await self.setup(dict(metadata))
            return await self.run(function, args, kwargs, metadata)
        finally:
            await self.teardown(metadata)


@breaks(
    "LIF-08",
    "as the second task of its instance: it never ran; execute raised RuntimeError: cannot",
)
class ShutsItsPoolDown(ThreadExecutor):
    """Makes its pool with the instance, and shuts it down with the first task."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._pool = ThreadPoolExecutor(1)

    async def run(self, function, args, kwargs, task_metadata):
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, lambda: function(*args, **kwargs))

    async def teardown(self, task_metadata):
        self._pool.shutdown(wait=False)


@breaks(
    "LIF-08", "as the second (after one that failed) task of its instance: execute raised Value"
)
class RemembersTheError(ThreadExecutor):
    """Keeps the error of a task where the next one finds it."""

    _error = None

    async def run(self, function, args, kwargs, task_metadata):
        result = None
        try:
            result = await super().run(function, args, kwargs, task_metadata)
        except Exception as error:
            self._error = error
        if self._error is not None:
            raise self._error
        return result


class _Pool:
    """Of a class rather than of an instance: made once, when the first executor is built."""

    threads: ThreadPoolExecutor | None = None


@breaks("LIF-09", "an ordinary task: it never ran; execute raised RuntimeError")
class SharesAPool(ThreadExecutor):
    """Every instance uses the pool of the class, and the first that is done shuts it down."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        _Pool.threads = _Pool.threads or ThreadPoolExecutor(1)

    async def run(self, function, args, kwargs, task_metadata):
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(_Pool.threads, lambda: function(*args, **kwargs))

    async def teardown(self, task_metadata):
        _Pool.threads.shutdown(wait=False)


@breaks("LIF-09", "an ordinary task: it never ran; execute raised AttributeError")
class ConnectsOnce(ThreadExecutor):
    """Connects when the first instance is built, and tells nobody else the connection."""

    connected: list[str] = []  # noqa: RUF012

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if not self.connected:
            self.connected.append("login.example")
            self._connection = "open"

    async def run(self, function, args, kwargs, task_metadata):
        self._connection.encode()
        return await super().run(function, args, kwargs, task_metadata)


@breaks("LIF-10", "after the success of run, and the caller sees nothing of it")
class LogsAtDebugLevel(Template):
    """Catches the error of teardown where nobody reads it."""

    async def bracket(self, function, args, kwargs, metadata):
        try:
            await self.setup(dict(metadata))
            return await self.run(function, args, kwargs, dict(metadata))
        finally:
            try:
                await self.teardown(dict(metadata))
            except Exception:
                logger.debug("teardown failed", exc_info=True)


@breaks("LIF-10", "after the failure of run, and the caller sees nothing of it")
class NotesItOnErrorsAlone(ThreadExecutor):
    """Attaches the error of teardown to the one that is raised; a status FAILED has none."""

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        metadata = {"dispatch_id": dispatch_id, "node_id": node_id, "results_dir": results_dir}
        result, error, failed = None, None, ""
        try:
            await self.setup(dict(metadata))
            result = await self.run(function, args, kwargs, dict(metadata))
        except BaseException as raised:
            error = raised
        try:
            await self.teardown(dict(metadata))
        except Exception as raised:
            failed = repr(raised)
        if isinstance(error, TaskRuntimeError):
            return TaskOutcome(None, "", str(error), "FAILED")
        if error is not None:
            error.add_note(failed)
            raise error
        return TaskOutcome(result, "", failed, "COMPLETED")


@breaks("LIF-10", "after the failure of run, and the caller sees nothing of it")
class ShowsItAfterSuccessOnly(Template):
    """Raises the error of teardown, unless there is another."""

    async def bracket(self, function, args, kwargs, metadata):
        try:
            await self.setup(dict(metadata))
            result = await self.run(function, args, kwargs, dict(metadata))
        except Exception:
            with contextlib.suppress(Exception):
                await self.teardown(dict(metadata))
            raise
        await self.teardown(dict(metadata))
        return result


@breaks("LIF-11", "teardown was called after a setup that raised at its beginning, and raised")
class ClosesWhatIsNotThere(ThreadExecutor):
    """Takes it for granted that setup was there before."""

    async def setup(self, task_metadata):
        self._connections = {task_metadata["dispatch_id"]: "open"}

    async def teardown(self, task_metadata):
        self._connections.pop(task_metadata["dispatch_id"], None)


@breaks("LIF-11", "teardown was called twice, and raised")
class ClosesTwice(ThreadExecutor):
    """Frees what is there, and does not forget that it did."""

    async def setup(self, task_metadata):
        self._open = [task_metadata["dispatch_id"]]

    async def teardown(self, task_metadata):
        if hasattr(self, "_open"):
            self._open.remove(task_metadata["dispatch_id"])


@breaks("LIF-11", "teardown was called after a setup that raised at its end, and raised")
class CancelsAJobThatIsNotThere(ThreadExecutor):
    """Cleans up after the job, whether there was one or not."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._jobs = {}

    async def run(self, function, args, kwargs, task_metadata):
        self._jobs[task_metadata["dispatch_id"]] = "submitted"
        return await super().run(function, args, kwargs, task_metadata)

    async def setup(self, task_metadata):
        self._jobs.setdefault("ready", [])

    async def teardown(self, task_metadata):
        if self._jobs.get("ready") is not None:
            del self._jobs[task_metadata["dispatch_id"]]
