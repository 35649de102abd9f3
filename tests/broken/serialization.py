"""Wrong by SER."""

from __future__ import annotations

import asyncio
import copy
import os
import threading
import weakref
from datetime import timedelta
from pathlib import Path

from pytest_asyncexec.reference_executor import LocalExecutor, ThreadExecutor

from . import breaks


class Covalent(ThreadExecutor):
    """Writes itself down and comes back as executors of a well-known platform do."""

    def to_dict(self):
        return {
            "type": str(self.__class__),
            "short_name": self.short_name(),
            "attributes": self.__dict__.copy(),
        }

    def from_dict(self, object_dict):
        if object_dict:
            self.__dict__ = copy.deepcopy(object_dict["attributes"])
        return self


# ---- to_dict -------------------------------------------------------------------------------------


@breaks("SER-01", "to_dict()['attributes']['workdir'] is ")
class WritesAPath(Covalent):
    """Likes pathlib."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.workdir = Path("work")


@breaks("SER-01", "to_dict()['attributes']['ports'] has the key 22, which is no str")
class WritesNumbersAsKeys(Covalent):
    """Lets json turn its keys into something else."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.ports = {22: "ssh"}


@breaks("SER-01", "to_dict()['attributes']['shares'][1] is inf, which JSON does not have")
class WritesInfinity(Covalent):
    """Never asked json to be strict."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.shares = [1.0, float("inf")]


@breaks("SER-01", "to_dict() of a fresh executor raised RuntimeError: no running event loop")
class NeedsALoop(Covalent):
    """Can be written down in a coroutine only."""

    def to_dict(self):
        return {**super().to_dict(), "loop": str(asyncio.get_running_loop())}


@breaks("SER-02", "to_dict()['attributes']['_queue'] is <Queue")
class KeepsItsQueue(Covalent):
    """Makes a queue for every task, where the next to_dict finds it."""

    async def run(self, function, args, kwargs, task_metadata):
        self._queue = asyncio.Queue()
        return await super().run(function, args, kwargs, task_metadata)


@breaks("SER-02", "to_dict() is not what it was before: to_dict()['attributes']['failures'] is ")
class CountsFailures(ThreadExecutor):
    """Keeps a number for a report."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.failures = 0

    async def run(self, function, args, kwargs, task_metadata):
        try:
            return await super().run(function, args, kwargs, task_metadata)
        except ValueError:
            self.failures += 1
            raise


@breaks("SER-02", "that is cancelled by its host, to_dict() is not what it was before")
class RemembersACancellation(ThreadExecutor):
    """Sets a flag that nobody takes back."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.cancelled = False

    async def run(self, function, args, kwargs, task_metadata):
        try:
            return await super().run(function, args, kwargs, task_metadata)
        except asyncio.CancelledError:
            self.cancelled = True
            raise


@breaks("SER-03", "to_dict()['attributes']['options'] is executor.options itself")
class CopiesTheNamesOnly(Covalent):
    """Copies its dictionary, and shares what is in it."""

    def __init__(self, options=None, **kwargs):
        super().__init__(**kwargs)
        self.options = copy.deepcopy(options or {})


@breaks("SER-03", "to_dict()['attributes'] is executor.__dict__ itself")
class ShowsItself(Covalent):
    """Gives its own dictionary away."""

    def to_dict(self):
        return {**super().to_dict(), "attributes": self.__dict__}


@breaks("SER-03", "the next one differs")
class WritesOnce(ThreadExecutor):
    """Saves some work."""

    written = weakref.WeakKeyDictionary()  # noqa: RUF012

    def to_dict(self):
        return self.written.setdefault(self, super().to_dict())


@breaks("SER-03", "to_dict()['attributes']['asyncexec_newer'] is executor.asyncexec_newer itself")
class CopiesWhatItKnows(ThreadExecutor):
    """Copies its own attributes, and hands out what an older version of itself never had."""

    def to_dict(self):
        written = super().to_dict()
        mine = ("log_stdout", "log_stderr", "cache_dir", "time_limit", "retries")
        more = {name: value for name, value in vars(self).items() if name not in mine}
        own = {name: value for name, value in more.items() if not name.startswith("_")}
        return {**written, "attributes": {**written["attributes"], **own}}


@breaks("SER-03", "has changed with it: to_dict()['attributes']['log_stdout'] is")
class ShowsALiveView(ThreadExecutor):
    """Looks its attributes up when they are read."""

    def to_dict(self):
        return {**super().to_dict(), "attributes": _View(self)}


class _View(dict):
    def __init__(self, executor):
        super().__init__(vars(executor))
        self._executor = executor

    def __getitem__(self, name):
        return getattr(self._executor, name)

    def __deepcopy__(self, memo):
        return {name: self[name] for name in self}


# ---- from_dict -----------------------------------------------------------------------------------


@breaks("SER-04", "from_dict returned None")
class ReturnsNothing(ThreadExecutor):
    """Forgets what `rehydrate` in a chain needs."""

    def from_dict(self, object_dict):
        super().from_dict(object_dict)


@breaks("SER-04", "not the instance it was called on")
class ReturnsAnother(ThreadExecutor):
    """Takes from_dict for a constructor."""

    def from_dict(self, object_dict):
        return super().from_dict(object_dict) and copy.copy(self)


@breaks("SER-05", "after a round trip through JSON to_dict()['attributes']['poll'] is 30")
class TakesFalsyForNone(ThreadExecutor):
    """Prefers its default to what somebody wrote down."""

    def __init__(self, poll=30, **kwargs):
        super().__init__(**kwargs)
        self.poll = poll

    def from_dict(self, object_dict):
        super().from_dict(object_dict)
        self.poll = self.poll or 30
        return self


@breaks("SER-05", "cache_dir was set to")
class LeavesOutACache(ThreadExecutor):
    """Finds that a folder says nothing on another machine."""

    def to_dict(self):
        described = super().to_dict()
        del described["attributes"]["cache_dir"]
        return described


@breaks("SER-05", "is not JSON: to_dict()['attributes']['wait'] is datetime.timedelta(seconds=5)")
class WritesATimedelta(Covalent):
    """Has a nice type for a duration."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.wait = timedelta(seconds=5)


@breaks("SER-05", "from_dict raised KeyError")
class WritesOtherNames(ThreadExecutor):
    """Renamed an attribute, in one of two places."""

    def from_dict(self, object_dict):
        object_dict["attributes"]["log_out"]
        return super().from_dict(object_dict)


@breaks("SER-05", "after a round trip through JSON to_dict()['attributes']['log_stdout'] is '")
class Tidies(ThreadExecutor):
    """Removes the blanks that somebody must have typed by mistake."""

    def from_dict(self, object_dict):
        super().from_dict(object_dict)
        self.log_stdout = self.log_stdout.strip()
        return self


@breaks("SER-06", "from_dict changed its argument: the dictionary['type'] is missing")
class Pops(ThreadExecutor):
    """Takes out what it has seen."""

    def from_dict(self, object_dict):
        kept = {"type": object_dict.pop("type"), **object_dict} if object_dict else {}
        return super().from_dict(kept)


@breaks("SER-06", "was changed after from_dict had read it, and the executor with it")
class CopiesTheOutside(Covalent):
    """Copies one level of what it is given."""

    def to_dict(self):
        return copy.deepcopy(super().to_dict())

    def from_dict(self, object_dict):
        if object_dict:
            self.__dict__.update(object_dict["attributes"])
        return self


@breaks("SER-06", "without the attribute 'log_stdout', as an older plugin wrote it")
class FillsIn(ThreadExecutor):
    """Completes what it is given before it reads it."""

    def from_dict(self, object_dict):
        if isinstance(object_dict, dict) and "attributes" in object_dict:
            for name in ("log_stdout", "log_stderr", "cache_dir", "time_limit", "retries"):
                object_dict["attributes"].setdefault(name, getattr(self, name))
        return super().from_dict(object_dict)


@breaks("SER-06", "the dictionary['attributes']['hosts'][0] is 'added', it was 'asyncexec'")
class SortsItsHosts(ThreadExecutor):
    """Likes its lists in order, and sorts them where they are."""

    def __init__(self, hosts=(), **kwargs):
        super().__init__(**kwargs)
        self.hosts = list(hosts)

    def from_dict(self, object_dict):
        if isinstance(object_dict, dict) and "hosts" in object_dict.get("attributes", {}):
            object_dict["attributes"]["hosts"].sort()
        return super().from_dict(object_dict)


@breaks("SER-06", "the dictionary['asyncexec_newer'] is missing")
class TakesOutWhatItDoesNotKnow(ThreadExecutor):
    """Removes what is of no use to it, and then finds something to refuse."""

    def from_dict(self, object_dict):
        if isinstance(object_dict, dict):
            for key in object_dict.keys() - {"type", "short_name", "attributes"}:
                object_dict.pop(key)
                raise ValueError(f"{key!r} is not known here")
        return super().from_dict(object_dict)


@breaks("SER-06", "and executor._origin is given itself")
class RemembersItsOrigin(ThreadExecutor):
    """Keeps what it came from, to tell whoever asks."""

    def from_dict(self, object_dict):
        super().from_dict(object_dict)
        self._origin = object_dict
        return self


@breaks("SER-07", "from_dict was given retries=1, and to_dict()['attributes']['retries'] is 0")
class ForgetsOne(ThreadExecutor):
    """Thinks of retries as something for the host."""

    def from_dict(self, object_dict):
        retries = self.retries
        super().from_dict(object_dict)
        self.retries = retries
        return self


@breaks("SER-07", "given log_stdout='', and to_dict()['attributes']['log_stdout'] is '")
class SkipsFalsyValues(Covalent):
    """Overwrites what has a value."""

    def __init__(self, queue="", **kwargs):
        super().__init__(**kwargs)
        self.queue = queue

    def from_dict(self, object_dict):
        for name, value in copy.deepcopy(object_dict).get("attributes", {}).items():
            if value:
                setattr(self, name, value)
        return self


@breaks("SER-08", "and the executor has no attribute 'queue' any more")
class ReplacesItself(Covalent):
    """Throws away what the dictionary does not name."""

    def __init__(self, queue="short", **kwargs):
        self.queue = queue
        super().__init__(**kwargs)


@breaks("SER-08", "and from_dict raised KeyError: 'retries'")
class WantsThemAll(ThreadExecutor):
    """Knows no older version of itself."""

    def from_dict(self, object_dict):
        if object_dict:
            object_dict["attributes"]["retries"]
        return super().from_dict(object_dict)


_registry: dict[str, ThreadExecutor] = {}


@breaks("SER-09", "in a fresh process, from_dict ended in KeyError")
class KnowsItsProcess(ThreadExecutor):
    """Finds its pool under the process that made it."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.pool = f"pool of {os.getpid()}"
        _registry[self.pool] = self

    def from_dict(self, object_dict):
        super().from_dict(object_dict)
        _registry[self.pool]
        return self


@breaks("SER-09", "in a fresh process to_dict()['attributes']['pid'] is ")
class WritesItsProcess(ThreadExecutor):
    """Writes down what is true in one process only."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.pid = os.getpid()

    def from_dict(self, object_dict):
        super().from_dict(object_dict)
        self.pid = os.getpid()
        return self


@breaks("SER-09", "a trivial task came to nothing")
class LosesItsLock(Covalent):
    """Needs what its constructor made, and from_dict threw away."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self._lock = threading.Lock()

    def to_dict(self):
        described = super().to_dict()
        described["attributes"].pop("_lock", None)
        return described

    async def run(self, function, args, kwargs, task_metadata):
        with self._lock:
            return await super().run(function, args, kwargs, task_metadata)


# ---- what is no dictionary of this executor ------------------------------------------------------


@breaks("SER-10", "from_dict took a dictionary with the attribute name")
class TakesAnyName(Covalent):
    """Puts whatever there is into its __dict__."""


@breaks("SER-10", "from_dict took a dictionary without 'attributes' without a word")
class AsksNicely(ThreadExecutor):
    """Takes a missing key for an empty one."""

    def from_dict(self, object_dict):
        if not isinstance(object_dict, dict):
            raise TypeError(f"not a dict but {object_dict!r}")
        return super().from_dict({**object_dict, "attributes": object_dict.get("attributes") or {}})


@breaks("SER-10", "does not say what is wrong with it")
class Asserts(ThreadExecutor):
    """Knows what is right, and keeps it to itself."""

    def from_dict(self, object_dict):
        # As `assert isinstance(object_dict, dict)`, to which pytest would add words of its own.
        if not isinstance(object_dict, dict):
            raise AssertionError
        return super().from_dict(object_dict)


@breaks("SER-10", "and the executor is not what it was: ")
class SetsOneByOne(ThreadExecutor):
    """Sets what is right, until something is wrong."""

    def from_dict(self, object_dict):
        if not isinstance(object_dict, dict):
            raise TypeError(f"not a dict but {object_dict!r}")
        if not object_dict:
            return self
        if not isinstance(object_dict["attributes"], dict):
            raise TypeError(f"attributes is not a dict but {object_dict['attributes']!r}")
        for name, value in copy.deepcopy(object_dict["attributes"]).items():
            setattr(self, name, value)
        return self


class HasOptions(ThreadExecutor):
    """Is right: it completes options that lack a key, and refuses those that it does not know."""

    defaults = {"queue": "short", "nodes": 1}  # noqa: RUF012

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.options = dict(self.defaults)

    def from_dict(self, object_dict):
        attributes = object_dict.get("attributes") if isinstance(object_dict, dict) else None
        if not isinstance(attributes, dict) or "options" not in attributes:
            return super().from_dict(object_dict)
        options = self.read(attributes["options"])
        return super().from_dict({**object_dict, "attributes": {**attributes, "options": options}})

    def read(self, options):
        if not isinstance(options, dict) or options.keys() - self.defaults.keys():
            raise ValueError(f"options has names that nobody knows: {options!r}")
        return {**self.defaults, **options}


@breaks("SER-07", "and to_dict()['attributes']['options'] is {'queue': 'short', 'nodes': 1}")
class KeepsItsQueueName(HasOptions):
    """Takes the number of its nodes from what was written down, and its queue from itself."""

    def read(self, options):
        return {**super().read(options), "queue": "short"}


@breaks("SER-11", "took a dictionary whose type is")
class TrustsStrangers(ThreadExecutor):
    """Never looks at the type."""

    def from_dict(self, object_dict):
        return super().from_dict({k: v for k, v in object_dict.items() if k != "type"})


@breaks("SER-12", "it holds the path of a file")
class NamesItsFile(ThreadExecutor):
    """Says where it was loaded from."""

    def to_dict(self):
        return {**super().to_dict(), "type": f"{os.path.abspath(__file__)}:NamesItsFile"}

    def from_dict(self, object_dict):
        return super().from_dict({k: v for k, v in object_dict.items() if k != "type"})


@breaks("SER-12", "nothing can be imported by that name")
class NamesItsProduct(ThreadExecutor):
    """Takes the type for a title."""

    def to_dict(self):
        return {**super().to_dict(), "type": "thread"}


@breaks("SER-12", "the class is defined inside a function, where no import reaches it")
def make_local_class():
    """Defines its class where it makes the instance."""

    class Local(ThreadExecutor):
        """Is made anew in every call."""

    return Local()


@breaks("SER-13", "of a fresh executor, copy.deepcopy(executor) raised TypeError: cannot pickle")
class HoldsALock(ThreadExecutor):
    """Makes its lock early."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self._lock = threading.Lock()


@breaks("SER-13", "that has run an ordinary task, copy.deepcopy(executor) raised TypeError")
class HoldsALockLater(LocalExecutor):
    """Makes its lock when it is needed, and keeps it."""

    async def run(self, function, args, kwargs, task_metadata):
        self._lock = threading.Lock()
        return await super().run(function, args, kwargs, task_metadata)


@breaks("SER-13", "cloudpickle.loads(cloudpickle.dumps(executor)) is not equal to its original")
class ReducesToItsClass(ThreadExecutor):
    """Pickles its class, and forgets what it was set to."""

    def __init__(self, tags=(), **kwargs):
        super().__init__(**kwargs)
        self.tags = list(tags)

    def __deepcopy__(self, memo):
        return type(self)(tags=self.tags)

    def __reduce__(self):
        return type(self), ()
