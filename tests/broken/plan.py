"""Wrong under one condition of the plan, or only where two of them meet."""

from __future__ import annotations

import asyncio
import copy
import os

import cloudpickle
from pytest_asyncexec.reference_executor import LocalExecutor, ThreadExecutor

from pytest_asyncexec import TaskRuntimeError

from . import breaks

_LARGE = 1 << 20


class WarmExecutor(LocalExecutor):
    """Keeps its workers, since each of these is judged by a hundred tasks."""

    def __init__(self, log_stdout="", log_stderr="", cache_dir="", time_limit=-1, retries=0):
        super().__init__(log_stdout, log_stderr, cache_dir, time_limit, retries, warm=True)


# ---- under one condition -----------------------------------------------------------------------


@breaks("RES-04", "a task that raises an error of many lines: execute returned status FAILED")
class KeepsTheFirstLine(ThreadExecutor):
    """Reads of an error what stands in its first line."""

    async def run(self, function, args, kwargs, task_metadata):
        try:
            return await super().run(function, args, kwargs, task_metadata)
        except ValueError as error:
            lines = f"{type(error).__name__}: {error}".splitlines()
            raise TaskRuntimeError(lines[0]) from (None if lines[1:] else error)


@breaks("RES-01", "a task whose result is an int of 5,000 digits: execute raised ValueError")
class WritesNumbersAsText(ThreadExecutor):
    """Python refuses to read and write the longest ints, lest a server be kept busy by them."""

    async def run(self, function, args, kwargs, task_metadata):
        result = await super().run(function, args, kwargs, task_metadata)
        return int(str(result)) if type(result) is int else result


@breaks("RES-01", "a task whose arguments are one list twice: what the task was given")
class SendsEachArgument(ThreadExecutor):
    """Sends every argument in a message of its own: one list that was given twice becomes two."""

    async def run(self, function, args, kwargs, task_metadata):
        args = [cloudpickle.loads(cloudpickle.dumps(value)) for value in args]
        return await super().run(function, args, kwargs, task_metadata)


@breaks("RES-11", "a task with keyword arguments that are ")
class SortsTheNames(ThreadExecutor):
    """Sorts keyword arguments, so that equal tasks look alike."""

    async def run(self, function, args, kwargs, task_metadata):
        return await super().run(function, args, dict(sorted(kwargs.items())), task_metadata)


@breaks("RET-02", "a task that fails twice first, with retries=2: it was attempted 2 times")
class RetriesOnce(ThreadExecutor):
    """Has one more attempt, however many were asked for."""

    async def execute(self, *args, **kwargs):
        asked, self.retries = self.retries, min(self.retries, 1)
        try:
            return await super().execute(*args, **kwargs)
        finally:
            self.retries = asked


@breaks("RET-02", "a task with retries=2: it was attempted 2 times")
class RepeatsWhatWentWell(ThreadExecutor):
    """Takes `retries` for the number of times that a task is to be repeated."""

    async def run(self, function, args, kwargs, task_metadata):
        for _ in range(min(self.retries, 1)):
            again = copy.deepcopy((args, kwargs))
            await super().run(function, *again, task_metadata)
        return await super().run(function, args, kwargs, task_metadata)


@breaks("TIM-04", "a task with time_limit=30 days: it never ran; execute raised OverflowError")
class CountsMilliseconds(WarmExecutor):
    """Its clock counts milliseconds in 32 bits."""

    async def run(self, function, args, kwargs, task_metadata):
        if self.time_limit > 0:
            int(self.time_limit * 1000).to_bytes(4, "little", signed=True)
        return await super().run(function, args, kwargs, task_metadata)


class Printing(WarmExecutor):
    """Changes what the outcome says was printed to stdout."""

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        task = function, args, kwargs, dispatch_id, results_dir, node_id
        outcome = await super().execute(*task)
        return outcome._replace(stdout=self.printed(outcome.stdout, node_id, args))

    def printed(self, text, node_id, args):
        raise NotImplementedError


@breaks("RES-06", "a task that prints line ends of every kind: stdout ")
class HasOneKindOfLineEnd(Printing):
    """Reads output as text, of which Python makes lines that end as its own do."""

    def printed(self, text, node_id, args):
        return text.replace("\r\n", "\n").replace("\r", "\n")


@breaks("STR-12", "a task with log files: unwritable: it never ran; execute raised OSError")
class WantsItsLogs(ThreadExecutor):
    """Begins no task whose log it could not open."""

    async def setup(self, task_metadata):
        await super().setup(task_metadata)
        if self.log_stdout and os.path.isdir(self.log_stdout):
            raise OSError(f"{self.log_stdout} is a folder")


@breaks(
    "LIF-06", "a task with node id -1: setup was called with task_metadata in which 'node_id' is 0"
)
class KnowsNoNodeBelowZero(ThreadExecutor):
    """Takes -1 for a node that was not given."""

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        node_id = max(node_id, 0)
        return await super().execute(function, args, kwargs, dispatch_id, results_dir, node_id)


@breaks(
    "LIF-06", "a task in a dispatch named with digits alone: setup was called with task_metadata"
)
class ReadsNumbers(ThreadExecutor):
    """Reads ids as YAML would: what looks like a number is one."""

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        if dispatch_id.isdecimal():
            dispatch_id = str(int(dispatch_id))
        return await super().execute(function, args, kwargs, dispatch_id, results_dir, node_id)


@breaks("LIF-08", "a task as the second task of its instance: it never ran; execute raised")
class IsSpentAfterOne(ThreadExecutor):
    """Closes its connection with the first task and never opens it again."""

    async def run(self, function, args, kwargs, task_metadata):
        if vars(self).get("_closed"):
            raise RuntimeError("the connection is closed")
        return await super().run(function, args, kwargs, task_metadata)

    async def teardown(self, task_metadata):
        await super().teardown(task_metadata)
        object.__setattr__(self, "_closed", True)


# ---- where two of them meet --------------------------------------------------------------------


@breaks("TIM-04", "a task whose result is None, with time_limit=")
class TakesNothingForTooLate(WarmExecutor):
    """What it waits with gives None when the time is over."""

    async def run(self, function, args, kwargs, task_metadata):
        result = await super().run(function, args, kwargs, task_metadata)
        if result is None and self.time_limit > 0:
            raise ValueError("the task is too late")
        return result


@breaks("RET-02", "a task whose result is 0, with retries=")
class RetriesWhatIsFalse(ThreadExecutor):
    """Its loop goes on until there is a result, and 0 does not look like one."""

    async def run(self, function, args, kwargs, task_metadata):
        again = copy.deepcopy(args), copy.deepcopy(kwargs)
        result = await super().run(function, args, kwargs, task_metadata)
        if self.retries and type(result) is int and not result:
            result = await super().run(function, *again, task_metadata)
        return result


@breaks("STR-12", "with log files: unwritable: execute raised OSError")
class LosesTheErrorWithTheLog(ThreadExecutor):
    """Opens the log of a task that failed to add a last line, and does not expect to fail."""

    async def run(self, function, args, kwargs, task_metadata):
        try:
            return await super().run(function, args, kwargs, task_metadata)
        except Exception:
            if self.log_stdout and os.path.isdir(self.log_stdout):
                raise OSError(f"{self.log_stdout} is a folder") from None
            raise


@breaks("RES-03", "a task whose result is a text of 1 MiB, with node id -1: the result ")
class KeepsLargeResultsByNode(ThreadExecutor):
    """Keeps large results of the nodes it knows in memory, and of the others what fits a row."""

    async def run(self, function, args, kwargs, task_metadata):
        result = await super().run(function, args, kwargs, task_metadata)
        if isinstance(result, str) and task_metadata["node_id"] < 0:
            return result[: _LARGE // 2]
        return result


@breaks("LIF-06", "a task with node id -1, as the second task of its instance: ")
class RemembersItsNode(ThreadExecutor):
    """Takes -1 for "as before"."""

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        before = vars(self).get("_node")
        if node_id == -1 and before is not None:
            node_id = before
        object.__setattr__(self, "_node", node_id)
        return await super().execute(function, args, kwargs, dispatch_id, results_dir, node_id)


@breaks(
    "RES-06", "a task whose arguments are of 1 MiB, that prints line ends of every kind: stdout "
)
class HasAnotherWayForLargeTasks(Printing):
    """Sends large tasks by files, and reads what they print from one, as text."""

    def printed(self, text, node_id, args):
        large = any(isinstance(value, str) and len(value) >= _LARGE for value in args)
        return text.replace("\r\n", "\n").replace("\r", "\n") if large else text


@breaks("RES-06", "with node id -1: of the ")
class ForgetsWhatNobodyPrinted(Printing):
    """Files output by node, and has no file for one without a number."""

    def printed(self, text, node_id, args):
        return "" if node_id < 0 else text


@breaks("TIM-04", "that prints 1 MB of three-byte characters: stdout has 350,0")
class DecodesPieces(Printing):
    """Reads in pieces where it has to look at the clock, and decodes each of them."""

    def printed(self, text, node_id, args):
        if self.time_limit <= 0:
            return text
        raw = text.encode()
        pieces = [raw[begin : begin + 65536] for begin in range(0, len(raw), 65536)]
        return "".join(piece.decode(errors="replace") for piece in pieces)


@breaks("TIM-04", "a task whose arguments are falsy, with time_limit=")
class PassesTheLimitAlong(WarmExecutor):
    """Puts the limit in front of the arguments, unless there are none; and asks for truth."""

    async def run(self, function, args, kwargs, task_metadata):
        if self.time_limit > 0 and args and not any(args[2:]):
            args = args[:2]
        return await super().run(function, args, kwargs, task_metadata)


@breaks("RES-11", "a task with keyword arguments that are named as the host's own, with retries=")
class PassesRetriesByName(ThreadExecutor):
    """Hands its own settings down beside the keyword arguments of the task."""

    async def run(self, function, args, kwargs, task_metadata):
        def attempt(function, args, timeout=None, **kwargs):
            return super(PassesRetriesByName, self).run(function, args, kwargs, task_metadata)

        if self.retries:
            return await attempt(function, args, timeout=self.time_limit, **kwargs)
        return await super().run(function, args, kwargs, task_metadata)


@breaks("RET-03", " times; of the message of its error")
class CountsInsteadOfTelling(ThreadExecutor):
    """Says at the end how often it has tried, and not what went wrong."""

    async def execute(self, *args, **kwargs):
        try:
            return await super().execute(*args, **kwargs)
        except ValueError:
            if self.retries:
                raise TaskRuntimeError(f"failed {self.retries + 1} times") from None
            raise


@breaks("RET-05", "a task that is cancelled by its host, with retries=")
class TakesACancellationForAFailure(WarmExecutor):
    """Counts whatever has ended an attempt as a failure, where there may be another one."""

    async def execute(self, *args, **kwargs):
        try:
            return await super().execute(*args, **kwargs)
        except asyncio.CancelledError:
            if self.retries:
                raise RuntimeError("the attempt was lost") from None
            raise


@breaks("LIF-08", "a task whose result is None, as the second task of its instance: the result ")
class ReturnsTheLastOne(ThreadExecutor):
    """Keeps the last result that was one, for whoever asks too early."""

    async def run(self, function, args, kwargs, task_metadata):
        result = await super().run(function, args, kwargs, task_metadata)
        if result is None:
            return vars(self).get("_last")
        object.__setattr__(self, "_last", "an earlier result")
        return result


@breaks("RES-11", "a task whose arguments are falsy, with keyword arguments that are ")
class LooksForArguments(ThreadExecutor):
    """Takes the keyword arguments for the positional ones where those are all empty."""

    async def run(self, function, args, kwargs, task_metadata):
        if kwargs and list(kwargs) != sorted(kwargs) and not any(args[2:]):
            args = args[:2]
        return await super().run(function, args, kwargs, task_metadata)


@breaks(
    "RES-03", "a task whose result is a text of 1 MiB, in a dispatch named with dots and capitals"
)
class NamesFilesByDispatch(ThreadExecutor):
    """Keeps large results in files whose names end at the first dot."""

    async def run(self, function, args, kwargs, task_metadata):
        result = await super().run(function, args, kwargs, task_metadata)
        if isinstance(result, str) and len(result) > _LARGE and "." in task_metadata["dispatch_id"]:
            return result[:_LARGE]
        return result


@breaks(
    "RES-03", "a task whose result is one list twice, whose arguments are of 1 MiB: the result "
)
class CopiesNextToLargeOnes(ThreadExecutor):
    """Writes results as JSON where the task went by way of files."""

    async def run(self, function, args, kwargs, task_metadata):
        large = any(isinstance(value, str) and len(value) >= _LARGE for value in args)
        result = await super().run(function, args, kwargs, task_metadata)
        return [list(v) for v in result] if large and isinstance(result, list) else result


@breaks(
    "RES-01", "a task whose result is False, whose arguments are with white space around them: "
)
class StripsItsLine(ThreadExecutor):
    """Its protocol is a line of words, in which a result that is false has none."""

    async def run(self, function, args, kwargs, task_metadata):
        padded = any(isinstance(value, str) and value != value.strip() for value in args)
        result = await super().run(function, args, kwargs, task_metadata)
        return None if padded and result is False else result


@breaks(
    "RES-01", "a task whose result is an empty text, with keyword arguments that are named as the"
)
class MergesItsOwn(ThreadExecutor):
    """Keeps what it knows of a task beside the task's own names, and looks there at the end."""

    async def run(self, function, args, kwargs, task_metadata):
        result = await super().run(function, args, kwargs, task_metadata)
        return kwargs.get("function", "") if result == "" else result


@breaks("RET-04", "a task whose arguments are one list twice, with retries=")
class CopiesEachForTheNext(ThreadExecutor):
    """Copies arguments for each attempt, one by one, where there may be more than one."""

    async def run(self, function, args, kwargs, task_metadata):
        if self.retries:
            args = [copy.deepcopy(value) for value in args]
        return await super().run(function, args, kwargs, task_metadata)


@breaks("TIM-04", "with time_limit=")
class BlamesTheLimit(WarmExecutor):
    """Knows one way only in which a task with a limit fails."""

    async def run(self, function, args, kwargs, task_metadata):
        try:
            return await super().run(function, args, kwargs, task_metadata)
        except ValueError:
            if self.time_limit > 0:
                raise TaskRuntimeError("the task was ended") from None
            raise


@breaks("LIF-08", "a task whose result is an instance of a class of __main__, as the second ")
class KnowsAClassOnce(ThreadExecutor):
    """Sends a class with the first task and takes it for known from then on."""

    async def run(self, function, args, kwargs, task_metadata):
        result = await super().run(function, args, kwargs, task_metadata)
        known = vars(self).get("_known")
        object.__setattr__(self, "_known", True)
        return vars(result) if known and type(result).__module__ == "__main__" else result


@breaks("CNC-02", "it got what belongs to another task")
class SharesItsLine(ThreadExecutor):
    """Hands results over by way of the class, under a lock that each instance has for itself."""

    _last = None

    async def run(self, function, args, kwargs, task_metadata):
        if "_lock" not in vars(self):
            object.__setattr__(self, "_lock", asyncio.Lock())
        async with vars(self)["_lock"]:
            result = await super().run(function, args, kwargs, task_metadata)
            SharesItsLine._last = result
            # Long enough for two of several instances to meet here.
            await asyncio.sleep(0.05)
            return SharesItsLine._last
