"""Executors that keep their promises in ways of their own."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import copy
import enum
import functools
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import cloudpickle
from pytest_asyncexec.reference_executor import LocalExecutor, ThreadExecutor

from pytest_asyncexec import (
    AsyncBaseExecutor,
    DispatchInfo,
    TaskCancelledError,
    TaskOutcome,
    TaskRuntimeError,
    TaskStatus,
    run_task,
    write_streams_to_file,
)
from pytest_asyncexec.base.context import dispatch_context
from pytest_asyncexec.base.waiting import in_thread

IN_PROCESS = frozenset({"stop", "streams"})


def _called(function, args, kwargs):
    """Call it, and tell what no host expects as the failure that it is."""
    try:
        return function(*args, **kwargs)
    except Exception:
        raise
    except BaseException as error:
        raise TaskRuntimeError(f"the task raised {error!r}") from error


class BracketPerAttempt(ThreadExecutor):
    """Sets up and tears down around every attempt, and makes the retries itself."""

    enforces = frozenset({"retries"})

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        for attempt in range(self.retries + 1):
            try:
                outcome = await super().execute(
                    function, args, kwargs, dispatch_id, results_dir, node_id
                )
            except Exception:
                if attempt == self.retries:
                    raise
            else:
                if outcome.status != TaskStatus.FAILED or attempt == self.retries:
                    return outcome
        raise AssertionError("the last attempt returns or raises")


@dataclass
class DataclassExecutor(AsyncBaseExecutor):
    """Its attributes are the fields of a dataclass, nested JSON among them."""

    log_stdout: str = ""
    log_stderr: str = ""
    cache_dir: str = ""
    time_limit: float = -1
    retries: int = 0
    queue: str = "short"
    options: dict = field(default_factory=lambda: {"partition": ["a", "b"], "nice": 0})

    cannot = IN_PROCESS

    def __post_init__(self):
        super().__init__(
            self.log_stdout, self.log_stderr, self.cache_dir, self.time_limit, self.retries
        )
        self.options = copy.deepcopy(self.options)

    async def run(self, function, args, kwargs, task_metadata):
        return await in_thread(_called, function, args, kwargs)


class StatusOfItsOwn(str, enum.Enum):  # noqa: UP042  # whose str() is not its value
    """What the statuses of a task are called, as an enumeration of strings of old."""

    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class EnumeratedStatus(ThreadExecutor):
    """Returns a plain tuple, whose status is the member of an enumeration."""

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        *outcome, status = await super().execute(
            function, args, kwargs, dispatch_id, results_dir, node_id
        )
        return (*outcome, StatusOfItsOwn(status.value))


class Temperamental(ThreadExecutor):
    """Cannot be compared, hashed, shown or taken for true or false."""

    __hash__ = None

    def __eq__(self, other):
        raise RuntimeError("is not compared")

    def __bool__(self):
        raise RuntimeError("is no condition")

    def __len__(self):
        return 0

    def __repr__(self):
        raise RuntimeError("is not shown")


class _Bound:
    """A method that is a partial wherever it is looked up on an instance."""

    def __init__(self, function):
        self.function = function

    def __get__(self, instance, owner=None):
        return self if instance is None else functools.partial(self.function, instance)


class PartialRun(ThreadExecutor):
    """Its methods are made by decorators: a partial, and a plain function around another."""

    @_Bound
    async def run(self, function, args, kwargs, task_metadata):
        return await ThreadExecutor.run(self, function, args, kwargs, task_metadata)

    setup = functools.partialmethod(ThreadExecutor.setup)

    @functools.wraps(ThreadExecutor.teardown)
    def teardown(self, task_metadata):
        return super().teardown(task_metadata)


class Registry(type(AsyncBaseExecutor)):
    """Knows every class by its name, and lets none be there twice."""

    classes: ClassVar = {}

    def __new__(cls, name, bases, namespace):
        if name in cls.classes:
            raise TypeError(f"{name} is registered already")
        made = cls.classes[name] = super().__new__(cls, name, bases, namespace)
        return made


class Registered(ThreadExecutor, metaclass=Registry):
    """Runs as the class that was registered, and as no subclass of it."""

    async def setup(self, task_metadata):
        if type(self) is not Registry.classes["Registered"]:
            raise RuntimeError(f"{type(self)} is not the registered class")


class Validating(ThreadExecutor):
    """Has these fields and no other, whoever sets them."""

    fields: ClassVar = {
        **dict.fromkeys(("log_stdout", "log_stderr", "cache_dir"), str),
        "time_limit": (int, float),
        "retries": int,
        "nodes": list,
    }

    def __init__(self, *, nodes=(), **kwargs):
        super().__init__(**kwargs)
        self.nodes = list(nodes)

    def __setattr__(self, name, value):
        if name not in self.fields:
            raise AttributeError(f"there is no field {name!r}")
        if isinstance(value, bool) or not isinstance(value, self.fields[name]):
            raise TypeError(f"{name} must not be {value!r}")
        super().__setattr__(name, copy.deepcopy(value))


class FilesExecutor(LocalExecutor):
    """Hands its results over through files, behind a task that reads and writes them."""

    async def run(self, function, args, kwargs, task_metadata):
        with tempfile.TemporaryDirectory() as folder:
            await super().run(_call_into_file, [function, args, kwargs, folder], {}, task_metadata)
            written = await asyncio.to_thread((Path(folder) / "result").read_bytes)
            return cloudpickle.loads(written)


def _call_into_file(function, args, kwargs, folder):
    import cloudpickle

    result = cloudpickle.dumps(function(*args, **kwargs))
    with open(f"{folder}/result", "wb") as file:
        file.write(result)


class GroupedExecutor(ThreadExecutor):
    """Runs its task in a group, as it would a heartbeat beside it; a failure is a group then."""

    async def run(self, function, args, kwargs, task_metadata):
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self._member(function, args, kwargs, task_metadata))
        return task.result()

    async def _member(self, *task):
        # A SystemExit that an asyncio task ends in ends the event loop, too.
        try:
            return await super().run(*task)
        except SystemExit as error:
            raise TaskRuntimeError(repr(error)) from error


class OwnExecute:
    """Derives from nothing, has every method itself, and takes the documented words alone.

    A second cancellation cuts its teardown short, and its host cannot tell it beforehand to stop.
    """

    cannot = IN_PROCESS

    def __init__(self, log_stdout="", log_stderr="", cache_dir="", time_limit=-1, retries=0):
        if isinstance(retries, bool) or not isinstance(retries, int):
            raise TypeError(f"retries is an int, not {retries!r}")
        if retries < 0:
            raise ValueError(f"retries is at least 0, not {retries!r}")
        self.log_stdout = log_stdout
        self.log_stderr = log_stderr
        self.cache_dir = cache_dir
        self.time_limit = time_limit
        self.retries = retries

    @property
    def time_limit(self):
        return -1

    @time_limit.setter
    def time_limit(self, value):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError(f"time_limit is a number of seconds, not {value!r}")
        if value != -1:
            raise ValueError(f"time_limit is -1, for none can be enforced here, not {value!r}")

    async def setup(self, task_metadata):
        pass

    async def run(self, function, args, kwargs, task_metadata):
        return await in_thread(_called, function, *copy.deepcopy((args, kwargs)))

    async def teardown(self, task_metadata):
        pass

    async def cancel(self, task_metadata, job_handle):
        return False

    async def write_streams_to_file(self, stream_strings, filepaths, dispatch_id, results_dir):
        await write_streams_to_file(stream_strings, filepaths, dispatch_id, results_dir)

    def get_dispatch_context(self, dispatch_info):
        return dispatch_context(dispatch_info)

    def short_name(self):
        return "own"

    def to_dict(self):
        return {
            "type": f"{type(self).__module__}:{type(self).__qualname__}",
            "short_name": self.short_name(),
            "attributes": dict(vars(self)),
        }

    def from_dict(self, object_dict):
        if not isinstance(object_dict, dict):
            raise TypeError(f"object_dict is a dict, not {object_dict!r}")
        if not object_dict:
            return self
        if object_dict.get("type", self.to_dict()["type"]) != self.to_dict()["type"]:
            raise ValueError(f"type is {object_dict['type']!r}, not this class")
        attributes = object_dict.get("attributes")
        if not isinstance(attributes, dict):
            raise TypeError(f"attributes is a dict, not {attributes!r}")
        for name in attributes:
            if name not in vars(self):
                raise ValueError(f"attributes has {name!r}, which is no attribute")
        vars(self).update(copy.deepcopy(attributes))
        return self

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        # More than the documented keys is fine.
        metadata = {
            "dispatch_id": dispatch_id,
            "node_id": node_id,
            "results_dir": results_dir,
            "attempted_by": "own execute",
        }
        try:
            with dispatch_context(DispatchInfo(dispatch_id)):
                result = await self._bracket(function, args, kwargs, metadata)
            outcome = TaskOutcome(result, "", "", "COMPLETED")
        except TaskRuntimeError as error:
            outcome = TaskOutcome(None, "", str(error), "FAILED")
        except TaskCancelledError:
            outcome = TaskOutcome(None, "", "", "CANCELLED")
        except Exception:
            await self._write("", "", dispatch_id, results_dir)
            raise
        torn = metadata.get("teardown error", "")
        if torn:
            outcome = outcome._replace(stderr=outcome.stderr + torn)
        await self._write(outcome.stdout, outcome.stderr, dispatch_id, results_dir)
        return outcome

    async def _bracket(self, function, args, kwargs, metadata):
        error = None
        try:
            await self.setup(dict(metadata))
            return await self._attempts(function, args, kwargs, metadata)
        except BaseException as raised:
            error = raised
            raise
        finally:
            try:
                await self.teardown(dict(metadata))
            except Exception as teardown_error:
                if error is not None:
                    error.add_note(f"teardown failed: {teardown_error!r}")
                metadata["teardown error"] = f"teardown failed: {teardown_error!r}\n"

    async def _attempts(self, function, args, kwargs, metadata):
        for left in reversed(range(self.retries + 1)):
            try:
                return await self.run(function, args, kwargs, dict(metadata))
            except TaskCancelledError:
                raise
            except Exception:
                if not left:
                    raise
        raise AssertionError("the last attempt returns or raises")

    async def _write(self, stdout, stderr, dispatch_id, results_dir):
        with contextlib.suppress(OSError, ValueError):
            await self.write_streams_to_file(
                (stdout, stderr), (self.log_stdout, self.log_stderr), dispatch_id, results_dir
            )


class PropertiesExecutor(ThreadExecutor):
    """Validates an attribute of its own wherever it is set."""

    def __init__(self, *args, pool="default", **kwargs):
        super().__init__(*args, **kwargs)
        self.pool = pool

    @property
    def pool(self):
        return self._pool

    @pool.setter
    def pool(self, value):
        if not isinstance(value, str):
            raise TypeError(f"pool is a str, not {value!r}")
        self._pool = value

    def to_dict(self):
        described = super().to_dict()
        described["attributes"]["pool"] = self.pool
        return described


#: The lock that a task holds, from its setup to its teardown.
_turn = contextvars.ContextVar("turn", default=None)


class QueueingExecutor(LocalExecutor):
    """Runs one task after the other, however many are handed to it; no limit counts the waiting."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._queues = {}

    def __getstate__(self):
        return {name: value for name, value in vars(self).items() if name != "_queues"}

    def __setstate__(self, state):
        vars(self).update(state, _queues={})

    async def setup(self, task_metadata):
        queue = self._queues.setdefault(asyncio.get_running_loop(), asyncio.Lock())
        await queue.acquire()
        _turn.set(queue)
        await super().setup(task_metadata)

    async def teardown(self, task_metadata):
        queue = _turn.get()
        _turn.set(None)
        try:
            await super().teardown(task_metadata)
        finally:
            if queue is not None:
                queue.release()


class SlotsExecutor(AsyncBaseExecutor):
    """Has slots for what it adds."""

    __slots__ = ("account", "tags")
    cannot = IN_PROCESS

    def __init__(self, account="", tags=(), **kwargs):
        super().__init__(**kwargs)
        self.account = account
        self.tags = list(tags)

    async def run(self, function, args, kwargs, task_metadata):
        return await in_thread(_called, function, args, kwargs)


class SlowSetup(ThreadExecutor):
    """Takes its time before and after, and talks about it."""

    async def setup(self, task_metadata):
        for _ in range(5):
            await asyncio.sleep(0.01)

    async def teardown(self, task_metadata):
        await asyncio.sleep(0.05)


class SynchronousExecutor(AsyncBaseExecutor):
    """Every method is a plain one: hosts call it on a thread."""

    cannot = IN_PROCESS

    def setup(self, task_metadata):
        pass

    def run(self, function, args, kwargs, task_metadata):
        return _called(function, args, kwargs)

    def teardown(self, task_metadata):
        pass

    def cancel(self, task_metadata, job_handle):
        return False

    def write_streams_to_file(self, stream_strings, filepaths, dispatch_id, results_dir):
        asyncio.run(write_streams_to_file(stream_strings, filepaths, dispatch_id, results_dir))

    def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        return asyncio.run(
            run_task(self, function, args, kwargs, dispatch_id, results_dir, node_id)
        )


class ClusterExecutor(LocalExecutor):
    """Cannot be built without knowing where to."""

    def __init__(self, address, user, *, options=None, **kwargs):
        super().__init__(**kwargs)
        if not address or not isinstance(address, str):
            raise ValueError(f"address is a host's name, not {address!r}")
        self.address = address
        self.user = user
        self.options = copy.deepcopy(options or {})


def make_cluster_executor():
    return ClusterExecutor("login.example", user="somebody", options={"nodes": [1, 2]})


class ProxyExecutor(AsyncBaseExecutor):
    """Passes every task on to another executor."""

    cannot = IN_PROCESS

    def __init__(self, name="proxy", **kwargs):
        super().__init__(**kwargs)
        self.name = name

    async def run(self, function, args, kwargs, task_metadata):
        outcome = await ThreadExecutor().execute(
            function, args, kwargs, task_metadata["dispatch_id"], task_metadata["results_dir"]
        )
        if outcome.status == TaskStatus.FAILED:
            raise TaskRuntimeError(outcome.stderr)
        if outcome.status == TaskStatus.CANCELLED:
            raise TaskCancelledError(outcome.stderr)
        return outcome.result


def make_proxy():
    return ProxyExecutor("made by a factory")
