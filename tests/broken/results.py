"""Wrong by RES."""

from __future__ import annotations

import asyncio
import base64
import concurrent.futures
import contextlib
import decimal
import functools
import io
import json
import multiprocessing
import pickle
import traceback
import types

import cloudpickle
from pytest_asyncexec.reference_executor import LocalExecutor, ThreadExecutor

from pytest_asyncexec import AsyncBaseExecutor, TaskRuntimeError

from . import breaks


@breaks("RES-01", "execute raised TypeError: keys must be str, int, float, bool or None, not tuple")
class KeepsResultsAsJson(ThreadExecutor):
    """Writes results as JSON, so that other programs can read them."""

    async def run(self, function, args, kwargs, task_metadata):
        result = await super().run(function, args, kwargs, task_metadata)
        return json.loads(json.dumps(result, default=str))


@breaks("RES-01", "the result was () (tuple), and arrived as [] (list)")
class MakesListsOfTuples(ThreadExecutor):
    """Goes by way of a format that has one kind of sequence."""

    async def run(self, function, args, kwargs, task_metadata):
        result = await super().run(function, args, kwargs, task_metadata)
        return list(result) if isinstance(result, tuple) else result


@breaks("RES-01", "what the task was given: kwargs was")
class DropsWhatIsNotSet(ThreadExecutor):
    """Takes a keyword argument that is None for one that was not given."""

    async def run(self, function, args, kwargs, task_metadata):
        given = {name: value for name, value in kwargs.items() if value is not None}
        return await super().run(function, args, given, task_metadata)


@breaks("RES-01", "args[0] was 0 (int), and arrived as None (NoneType)")
class TestsTheValue(ThreadExecutor):
    """Has written `or None` where nothing was meant to be there."""

    async def run(self, function, args, kwargs, task_metadata):
        args = [value or None if isinstance(value, int) else value for value in args]
        return await super().run(function, args, kwargs, task_metadata)


@breaks(
    "RES-01", "a task whose arguments are of many types: it never ran; execute raised TypeError"
)
class RaisesErrorsThatAreValues(ThreadExecutor):
    """Takes an exception among the arguments for the failure of the task before."""

    async def run(self, function, args, kwargs, task_metadata):
        for value in (*args, *kwargs.values()):
            if isinstance(value, Exception):
                raise TypeError("an input of this task has failed")
        return await super().run(function, args, kwargs, task_metadata)


@breaks("RES-01", "the result was 0 (int), and arrived as None (NoneType)")
class ReturnsWhatIsTrue(ThreadExecutor):
    """Has written `result or None`, which is the same for nearly every result."""

    async def run(self, function, args, kwargs, task_metadata):
        result = await super().run(function, args, kwargs, task_metadata)
        return None if type(result) is int and not result else result


@breaks("RES-01", "was one list twice, and arrived as two lists that are equal")
class CopiesByParts(ThreadExecutor):
    """Takes a result apart to look at it, and puts it together again."""

    async def run(self, function, args, kwargs, task_metadata):
        result = await super().run(function, args, kwargs, task_metadata)
        return (
            [pickle.loads(cloudpickle.dumps(v)) for v in result]
            if type(result) is list
            else (result)
        )


@breaks("RES-01", "what the task was given: kwargs was {'zeta':")
class SortsKeywords(ThreadExecutor):
    """Sorts keyword arguments, so that equal tasks look alike in its queue."""

    async def run(self, function, args, kwargs, task_metadata):
        return await super().run(function, args, dict(sorted(kwargs.items())), task_metadata)


@breaks("RES-01", "the result was Decimal('1.00') (Decimal), and arrived as 1.0 (float)")
class ComputesInFloats(ThreadExecutor):
    """Has a database that knows one kind of number with a point in it."""

    async def run(self, function, args, kwargs, task_metadata):
        result = await super().run(function, args, kwargs, task_metadata)
        return float(result) if isinstance(result, decimal.Decimal) else result


@breaks("RES-02", "a lambda: execute raised")
class UsesPlainPickle(ThreadExecutor):
    """Sends the task with pickle, which its own tests never minded."""

    async def run(self, function, args, kwargs, task_metadata):
        function, args, kwargs = pickle.loads(pickle.dumps((function, args, kwargs)))
        return await super().run(function, args, kwargs, task_metadata)


@breaks("RES-02", "a function of __main__, which uses another, a class and an import: execute")
class ImportsByName(ThreadExecutor):
    """Carries lambdas and closures by value, and everything with a proper name by its name."""

    async def run(self, function, args, kwargs, task_metadata):
        local = "<" in getattr(function, "__qualname__", "<")
        dumps = cloudpickle.dumps if local else pickle.dumps
        return await super().run(pickle.loads(dumps(function)), args, kwargs, task_metadata)


@breaks("RES-03", "a task whose result is a text of 1 MiB: execute raised ValueError")
class SendsALine(ThreadExecutor):
    """Reads the result as one line, and a line of asyncio's has a limit."""

    async def run(self, function, args, kwargs, task_metadata):
        result = await super().run(function, args, kwargs, task_metadata)
        reader = asyncio.StreamReader()
        reader.feed_data(base64.b64encode(cloudpickle.dumps(result)) + b"\n")
        return cloudpickle.loads(base64.b64decode(await reader.readline()))


@breaks("RES-03", "and arrived as 1,048,576 bytes")
class ReadsOnce(ThreadExecutor):
    """One `read` of a megabyte was enough for all that its author ever sent."""

    async def run(self, function, args, kwargs, task_metadata):
        args = [value[: 1 << 20] if isinstance(value, bytes) else value for value in args]
        return await super().run(function, args, kwargs, task_metadata)


@breaks("RES-03", "the result was 17,825,792 bytes")
class CutsWhatComesBack(ThreadExecutor):
    """Its database has columns of four megabytes."""

    async def run(self, function, args, kwargs, task_metadata):
        result = await super().run(function, args, kwargs, task_metadata)
        return result[: 1 << 22] if isinstance(result, bytes) else result


@breaks("RES-04", "execute returned status COMPLETED")
class ReturnsTheError(ThreadExecutor):
    """Hands errors back as results, for the caller to look at."""

    async def run(self, function, args, kwargs, task_metadata):
        try:
            return await super().run(function, args, kwargs, task_metadata)
        except Exception:
            return traceback.format_exc()


@breaks("RES-04", "of the message of its error")
class SaysThatTheTaskFailed(ThreadExecutor):
    """Knows that the task failed, and keeps the reason to itself."""

    async def run(self, function, args, kwargs, task_metadata):
        try:
            return await super().run(function, args, kwargs, task_metadata)
        except Exception as error:
            raise TaskRuntimeError(f"the task ended with {type(error).__name__}") from None


@breaks("RES-04", "a task that raises an error of many lines: execute raised TaskRuntimeError")
class TellsTheFirstLine(ThreadExecutor):
    """Keeps what fits into one line of its table."""

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        try:
            return await super().execute(function, args, kwargs, dispatch_id, results_dir, node_id)
        except Exception as error:
            raise TaskRuntimeError(str(error).partition("\n")[0]) from None


@breaks("RES-04", "run wrote 'the backend refused the task' to self.task_stderr and raised")
class SaysNothingTwice(ThreadExecutor):
    """Leaves out of stderr what the error says, and the error is not returned."""

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        task = function, args, kwargs, dispatch_id, results_dir, node_id
        seen = await super().execute(*task)
        lines = seen.stderr.splitlines(keepends=True)
        return seen._replace(stderr="".join(line for line in lines if lines.count(line) > 1))


@breaks("RES-05", "neither that line nor its number and function is found")
class SendsTheMessageAlone(ThreadExecutor):
    """Sends back what the error says, and not where it was raised."""

    async def run(self, function, args, kwargs, task_metadata):
        try:
            return await super().run(function, args, kwargs, task_metadata)
        except Exception as error:
            raise TaskRuntimeError(f"{type(error).__name__}: {error}") from None


@breaks("RES-05", "neither the text of the line nor the name of its file")
class HidesItsFolders(ThreadExecutor):
    """Sends code without the name of its file, which is the same wherever it was written then."""

    async def run(self, function, args, kwargs, task_metadata):
        sent = pickle.loads(cloudpickle.dumps(function))
        for each in (sent, *getattr(sent, "__globals__", {}).values()):
            if isinstance(each, types.FunctionType):
                each.__code__ = each.__code__.replace(co_filename="<dynamic-code>")
        return await super().run(sent, args, kwargs, task_metadata)


class Printing(LocalExecutor):
    """Changes what the outcome says was printed."""

    async def execute(self, *args, **kwargs):
        outcome = await super().execute(*args, **kwargs)
        return outcome._replace(
            stdout=self.printed(outcome.stdout, "out"), stderr=self.printed(outcome.stderr, "err")
        )


@breaks("RES-06", "stdout holds only the last 65,536")
class KeepsTheEnd(Printing):
    """Keeps the last 64 KiB, since those hold the error."""

    def printed(self, text, stream):
        return text[-65536:]


@breaks("RES-06", "stdout is without the white space at one end or the other")
class Strips(Printing):
    """Tidies up."""

    def printed(self, text, stream):
        return text.strip()


@breaks("RES-06", "stdout is None, of type NoneType")
class HasNoStreamWhereNothingWasPrinted(LocalExecutor):
    """Takes silence for no stream at all."""

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        outcome = await super().execute(function, args, kwargs, dispatch_id, results_dir, node_id)
        return outcome._replace(stdout=outcome.stdout or None)


@breaks("RES-06", "was printed by the host, too")
class PrintsItToo(Printing):
    """Shows the user what the task says, while it is there."""

    def printed(self, text, stream):
        print(text, end="")
        return text


@breaks("RES-06", "the next one's output holds what the first had printed")
class KeepsStreamsOnSelf(Printing):
    """Collects what is printed on the instance, and never empties it."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._streams = {"out": "", "err": ""}

    def printed(self, text, stream):
        self._streams[stream] += text
        return self._streams[stream]


@breaks("RES-06", "stdout holds what it printed to stderr")
class MergesStreams(Printing):
    """Runs its tasks with `2>&1`."""

    async def execute(self, *args, **kwargs):
        outcome = await LocalExecutor.execute(self, *args, **kwargs)
        return outcome._replace(stdout=outcome.stdout + outcome.stderr, stderr="")


@breaks(
    "RES-06", "stdout has 350,026 characters; printed were 350,026; from character 1 on it reads"
)
class ReadsAsAscii(Printing):
    """Decodes in the locale of a server that has none."""

    def printed(self, text, stream):
        return text.encode("ascii", "replace").decode()


@breaks("RES-06", "stderr has 1,048,576 characters; printed were")
class KeepsTheFirstMegabyte(Printing):
    """Has a column for each stream that is long enough for everybody."""

    def printed(self, text, stream):
        return text[: 1 << 20] if stream == "err" else text


@breaks("RES-06", "a task that prints a line to stderr alone: ")
class LooksAtStdoutFirst(Printing):
    """Where nothing was printed there is nothing to read."""

    async def execute(self, *args, **kwargs):
        outcome = await LocalExecutor.execute(self, *args, **kwargs)
        return outcome if outcome.stdout else outcome._replace(stderr="")


@breaks("RES-07", "the task changed the host's own objects: kwargs['args'] was [1]")
class BindsTheArguments(ThreadExecutor):
    """Makes one callable of function and arguments, past those who would have copied them."""

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        bound = functools.partial(function, *args, **kwargs)
        return await super().execute(bound, [], {}, dispatch_id, results_dir, node_id)


@breaks("RES-07", "the task changed the host's own objects: args[11][0] was {'key'")
class CopiesTheOuterOnes(ThreadExecutor):
    """Copies every argument, one level deep."""

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        def copied(value):
            return value.copy() if hasattr(value, "copy") else value

        bound = functools.partial(
            function, *map(copied, args), **{name: copied(v) for name, v in kwargs.items()}
        )
        return await super().execute(bound, [], {}, dispatch_id, results_dir, node_id)


@breaks("RES-07", "the task changed the host's own objects: args[14]")
class CopiesContainers(ThreadExecutor):
    """Copies all lists, dicts and sets, and takes everything else for a constant."""

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        def copied(value):
            if isinstance(value, dict):
                return {key: copied(inner) for key, inner in value.items()}
            if isinstance(value, list | tuple | set):
                return type(value)(map(copied, value))
            return bytearray(value) if isinstance(value, bytearray) else value

        bound = functools.partial(function, *map(copied, args), **copied(kwargs))
        return await super().execute(bound, [], {}, dispatch_id, results_dir, node_id)


@breaks("RES-11", "a task with a keyword argument named timeout: execute returned")
class HasATimeoutOfItsOwn(ThreadExecutor):
    """Its helper takes the function's arguments beside one of its own."""

    async def run(self, function, args, kwargs, task_metadata):
        return await self._submit(function, *args, **kwargs)

    async def _submit(self, work, /, *args, timeout=60, **kwargs):
        async with asyncio.timeout(timeout):
            return await asyncio.to_thread(work, *args, **kwargs)


@breaks("RES-11", "a task with a keyword argument named resources: execute returned")
class ReadsItsOwnOptions(ThreadExecutor):
    """Takes some options of its queue from the keyword arguments, as its client library does."""

    async def run(self, function, args, kwargs, task_metadata):
        given = {name: v for name, v in kwargs.items() if name not in ("priority", "resources")}
        return await super().run(function, args, given, task_metadata)


@breaks("RES-11", "a task with a keyword argument named function: execute raised TypeError")
class PassesThemOn(ThreadExecutor):
    """Calls the function by way of another one, whose parameters have names."""

    async def run(self, function, args, kwargs, task_metadata):
        return await super().run(_call, [function, *args], kwargs, task_metadata)


def _call(function, *args, **kwargs):
    return function(*args, **kwargs)


@breaks("RES-08", "a task that calls sys.exit(): execute returned status COMPLETED, result None")
class TakesAnExitForTheEnd(ThreadExecutor):
    """Takes an exit for what it is in a script, whatever its code."""

    async def run(self, function, args, kwargs, task_metadata):
        try:
            return await super().run(function, args, kwargs, task_metadata)
        except SystemExit:
            return None


@breaks("RES-08", "a task that calls sys.exit(0): execute returned status COMPLETED, result None")
class ReadsTheExitCode(LocalExecutor):
    """A worker that exits with 0 has done its work, and who returns nothing returns None."""

    async def run(self, function, args, kwargs, task_metadata):
        try:
            return await super().run(function, args, kwargs, task_metadata)
        except TaskRuntimeError as error:
            if str(error) == "SystemExit: 0":
                return None
            raise


@breaks("RES-08", "execute raised SystemExit, which ends every host that does not expect it")
class HasAnExecuteOfItsOwn(ThreadExecutor):
    """Turns every Exception of a task into the status FAILED; that is all there are."""

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        try:
            result = await asyncio.to_thread(function, *args, **kwargs)
        except Exception as error:
            return None, "", repr(error), "FAILED"
        return result, "", "", "COMPLETED"


@breaks("RES-08", "and the SystemExit left the host's event loop, which asyncio.run() ends by")
class RunsBesideAHeartbeat(ThreadExecutor):
    """Calls the function in an asyncio task of its own, out of which a SystemExit ends the loop."""

    async def run(self, function, args, kwargs, task_metadata):
        task = asyncio.create_task(super().run(function, args, kwargs, task_metadata))
        heartbeat = asyncio.create_task(asyncio.sleep(3600))
        await asyncio.wait({task, heartbeat}, return_when=asyncio.FIRST_COMPLETED)
        heartbeat.cancel()
        return task.result()


@breaks("RES-08", "a task that calls sys.exit(3), with retries=")
class AttemptsAreForErrors(LocalExecutor):
    """Attempts again after an error; an exit is none, and so ended the attempts well."""

    async def run(self, function, args, kwargs, task_metadata):
        try:
            return await super().run(function, args, kwargs, task_metadata)
        except TaskRuntimeError as error:
            if self.retries and "SystemExit" in str(error):
                return None
            raise


@breaks("RES-09", "a task that ends its process, that prints a line")
class TakesItsOutputForSuccess(LocalExecutor):
    """A worker that has said something and nothing bad has done its work."""

    async def run(self, function, args, kwargs, task_metadata):
        try:
            return await super().run(function, args, kwargs, task_metadata)
        except TaskRuntimeError as error:
            if self.task_stdout.getvalue() and "without a result" in str(error):
                return None
            raise


@breaks("RES-09", "a task whose worker ended by os._exit(3): execute returned status COMPLETED")
class TakesNoResultForNone(LocalExecutor):
    """Reads the result's file, and where there is none the task has returned None."""

    async def run(self, function, args, kwargs, task_metadata):
        try:
            return await super().run(function, args, kwargs, task_metadata)
        except TaskRuntimeError as error:
            if "without a result" in str(error):
                return None
            raise


@breaks("RES-09", "a task whose worker ended by os._exit(0): execute returned status COMPLETED")
class TrustsTheExitCode(LocalExecutor):
    """Looks at how the worker ended, and for errors elsewhere: 0 is success."""

    async def run(self, function, args, kwargs, task_metadata):
        try:
            return await super().run(function, args, kwargs, task_metadata)
        except TaskRuntimeError as error:
            if "(exit code 0)" in str(error):
                return None
            raise


class PoolOfProcesses(AsyncBaseExecutor):
    """Keeps one pool of processes for all of its tasks."""

    cannot = frozenset({"stop", "streams"})
    pool = None

    async def run(self, function, args, kwargs, task_metadata):
        cls = type(self)
        if cls.pool is None:
            context = multiprocessing.get_context("spawn")
            cls.pool = concurrent.futures.ProcessPoolExecutor(1, mp_context=context)
        task = Carried(cloudpickle.dumps((function, args, kwargs)))
        return await asyncio.wrap_future(cls.pool.submit(_call_carried, task))


class Carried:
    """Is loaded where it arrives, before anybody could catch what that raises."""

    def __init__(self, data):
        self.data = data

    def __reduce__(self):
        return cloudpickle.loads, (self.data,)


def _call_carried(task):
    function, args, kwargs = task
    return Carried(cloudpickle.dumps(function(*args, **kwargs)))


@breaks(
    "RES-09", "a task whose worker ended by SIGKILL, as where memory runs out: execute returned"
)
class KnowsExitCodesAboveZero(LocalExecutor):
    """Takes `returncode > 0` for the test of whether a worker has failed."""

    async def run(self, function, args, kwargs, task_metadata):
        try:
            return await super().run(function, args, kwargs, task_metadata)
        except TaskRuntimeError as error:
            if "SIGKILL" in str(error):
                return None
            raise


@breaks("RES-09", "the next task, an ordinary one: execute raised BrokenProcessPool")
class NeverReplacesItsPool(PoolOfProcesses):
    """A pool is broken for good when one of its processes dies."""


@breaks(
    "RES-10", "an object whose unpickling raises for its argument: execute raised BrokenProcess"
)
class LoadsOutsideOfTheTry(PoolOfProcesses):
    """Leaves it to the pool to load the arguments, whose process dies of what it cannot load."""


@breaks("RES-10", "a lock for its argument: execute returned status COMPLETED, result 'str'")
class SendsWhatItCan(ThreadExecutor):
    """Sends the repr of what cannot be pickled, so that no task fails for that."""

    async def run(self, function, args, kwargs, task_metadata):
        return await super().run(function, [_sendable(arg) for arg in args], kwargs, task_metadata)


def _sendable(value):
    try:
        cloudpickle.dumps(value)
    except Exception:
        return repr(value)
    return value


@breaks("RES-10", "neither the type nor that it cannot be serialised is told")
class ReportsWhatItMisses(LocalExecutor):
    """Its worker dies while it pickles the result, and the host knows that there is none."""

    async def run(self, function, args, kwargs, task_metadata):
        try:
            return await super().run(function, args, kwargs, task_metadata)
        except TaskRuntimeError as error:
            if "cannot be sent back" in str(error):
                raise FileNotFoundError(2, "No such file or directory", "/tmp/job-7/out") from None
            raise


@breaks("RES-10", "for its result: execute returned status COMPLETED, result None")
class DropsWhatItCannotLoad(ThreadExecutor):
    """Has an `except` around the line that loads the result, from the days of its first tests."""

    async def run(self, function, args, kwargs, task_metadata):
        result = await super().run(function, args, kwargs, task_metadata)
        try:
            return pickle.loads(cloudpickle.dumps(result))
        except Exception:
            return None


@breaks("RES-12", "TakesTwo: execute returned status COMPLETED, result None")
class LosesWhatItCannotLoad(LocalExecutor):
    """Loads the exception, and has nothing to raise where that failed."""

    async def run(self, function, args, kwargs, task_metadata):
        try:
            return await super().run(function, args, kwargs, task_metadata)
        except TaskRuntimeError:
            return None


@breaks("RES-12", "its type and its message is nowhere to be found")
class RaisesTheErrorOfPickle(ThreadExecutor):
    """Raises what pickle says of the exception, in place of what the task says."""

    async def run(self, function, args, kwargs, task_metadata):
        try:
            return await super().run(function, args, kwargs, task_metadata)
        except Exception as error:
            try:
                pickle.loads(cloudpickle.dumps(error))
            except Exception as of_pickle:
                raise TaskRuntimeError(f"the worker sent rubbish: {type(of_pickle)}") from None
            raise


@breaks("RES-13", "a task that prints to the descriptor: ")
class RedirectsSysStdout(ThreadExecutor):
    """Redirects what Python prints, and nothing below it."""

    cannot = frozenset({"stop"})

    async def run(self, function, args, kwargs, task_metadata):
        out, err = io.StringIO(), io.StringIO()

        def task():
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                return function(*args, **kwargs)

        try:
            return await super().run(task, [], {}, task_metadata)
        finally:
            self.task_stdout.write(out.getvalue())
            self.task_stderr.write(err.getvalue())


@breaks("RES-13", "and flushed, before it was killed is neither in its outcome nor in its logs")
class SendsOutputWithTheResult(LocalExecutor):
    """Output comes with the result; of a task that has none, there is none."""

    async def run(self, function, args, kwargs, task_metadata):
        try:
            return await super().run(function, args, kwargs, task_metadata)
        except TaskRuntimeError as error:
            self.task_stdout.truncate(0)
            self.task_stderr.truncate(0)
            raise TaskRuntimeError(str(error).partition("\n")[0]) from None


@breaks("RES-13", "goes on past its limit")
class ForgetsWhatItKilled(LocalExecutor):
    """Who cancels a task is not interested in what it said."""

    async def run(self, function, args, kwargs, task_metadata):
        try:
            return await super().run(function, args, kwargs, task_metadata)
        except asyncio.CancelledError:
            self.task_stdout.truncate(0)
            self.task_stderr.truncate(0)
            raise
