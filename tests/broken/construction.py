"""Wrong by CON."""

from __future__ import annotations

import asyncio
import functools
import os
import socket
from pathlib import Path

from pytest_asyncexec.reference_executor import LocalExecutor, ThreadExecutor

from . import breaks

# ---- CON-01 --------------------------------------------------------------------------------------


@breaks("CON-01", "it prints 'connected to login.example' to sys.stdout")
class Greets(ThreadExecutor):
    """Tells the world that it is there."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        print("connected to login.example")


@breaks("CON-01", "changes the environment variable ASYNCEXEC_BROKEN_INSTANCES from")
class CountsInTheEnvironment(ThreadExecutor):
    """Numbers its instances where its command line tools find the number."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        number = int(os.environ.get("ASYNCEXEC_BROKEN_INSTANCES", "0")) + 1
        os.environ["ASYNCEXEC_BROKEN_INSTANCES"] = str(number)


@breaks("CON-01", "it opens a socket")
class LooksForAPort(ThreadExecutor):
    """Finds a free port as soon as it is built."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]


@breaks("CON-01", "changes the working directory from")
class GoesToItsFolder(ThreadExecutor):
    """Moves the whole process to where its files are."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        os.chdir(Path(os.getcwd()).anchor if os.getcwd() != "/" else "/tmp")


@breaks("CON-01", "could not be built: KeyError: 'ASYNCEXEC_BROKEN_ADDRESS'")
class NeedsConfiguration(ThreadExecutor):
    """Wants its address from the environment."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.address = os.environ["ASYNCEXEC_BROKEN_ADDRESS"]


@breaks("CON-01", "def make_executor():")
class NeedsAFactory(NeedsConfiguration):
    """Likewise; its author is told what to write."""


@breaks("CON-01", "the second executor of this process could not be built")
class IsAloneInTheWorld(ThreadExecutor):
    """Registers itself under a name that can be taken once, and cleans up after a clash."""

    taken: set[str] = set()  # noqa: RUF012

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        if "alone" in self.taken:
            self.taken.clear()
            raise RuntimeError("the name 'alone' is taken")
        self.taken.add("alone")


@breaks("CON-01", "with retries=2, it prints 'failed tasks are tried again' to sys.stdout")
class SaysThatItRetries(ThreadExecutor):
    """Is quiet unless it is asked for something."""

    def __init__(self, retries=0, **kwargs):
        super().__init__(retries=retries, **kwargs)
        if retries:
            print("failed tasks are tried again")


@breaks("CON-01", "with cache_dir=")
class TellsItsToolsWhereItsCacheIs(ThreadExecutor):
    """Puts an argument where its command line tools look for it."""

    def __init__(self, cache_dir="", **kwargs):
        super().__init__(cache_dir=cache_dir, **kwargs)
        if cache_dir:
            os.environ["ASYNCEXEC_BROKEN_CACHE"] = cache_dir


@breaks("CON-01", "with log_stderr='err.log' no executor could be built: FileNotFoundError")
class LooksForItsLog(ThreadExecutor):
    """Takes a log for something that is there before a task has run."""

    def __init__(self, log_stderr="", **kwargs):
        super().__init__(log_stderr=log_stderr, **kwargs)
        if log_stderr:
            os.stat(log_stderr)


# ---- CON-02, CON-03 ------------------------------------------------------------------------------


@breaks("CON-02", "time_limit is '', of type str; retries is False, of type bool")
class CountsArguments(LocalExecutor):
    """Hands its arguments on by position, as a published plugin does."""

    def __init__(self, log_stdout="", log_stderr="", conda_env="", cache_dir="", on_fail=False):
        super().__init__()
        for name, value in zip(
            ("log_stdout", "log_stderr", "cache_dir", "time_limit", "retries"),
            (log_stdout, log_stderr, cache_dir, conda_env, on_fail),
            strict=True,
        ):
            setattr(self, name, value)


@breaks("CON-02", "cache_dir is ")
class KeepsAPath(ThreadExecutor):
    """Likes pathlib."""

    def __init__(self, cache_dir="", **kwargs):
        super().__init__(**kwargs)
        self.cache_dir = Path(cache_dir)


@breaks("CON-02", "time_limit is NaN")
class NoLimitIsNotANumber(ThreadExecutor):
    """Has its own word for no limit."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.time_limit = float("nan")


@breaks("CON-02", "retries is missing")
class ForgetsItsBase:
    """Never thought of retries."""

    cannot = ThreadExecutor.cannot

    def __init__(self):
        self.log_stdout = self.log_stderr = self.cache_dir = ""
        self.time_limit = -1

    async def run(self, function, args, kwargs, task_metadata):
        return await asyncio.to_thread(function, *args, **kwargs)


@breaks("CON-03", "poll_freq=0 was given, and the attribute is 15")
class TakesFalsyForNone(ThreadExecutor):
    """Prefers its default to a zero."""

    def __init__(self, poll_freq=None, **kwargs):
        super().__init__(**kwargs)
        self.poll_freq = poll_freq or 15


@breaks("CON-03", "retries=2 was given, and the attribute is 0")
class ForgetsToHandOn(ThreadExecutor):
    """Takes the documented arguments, and keeps them from the base class."""

    def __init__(self, log_stdout="", log_stderr="", cache_dir="", time_limit=-1, retries=0):
        super().__init__(log_stdout, log_stderr, cache_dir, time_limit)


@breaks("CON-03", "options={} was neither kept nor refused: KeyError")
class ExpectsAnOption(ThreadExecutor):
    """Never tried it without options."""

    def __init__(self, options=None, **kwargs):
        super().__init__(**kwargs)
        self.options = {"queue": "short"} if options is None else dict(options)
        self._queue = self.options["queue"]


# ---- CON-04, CON-05 ------------------------------------------------------------------------------


@breaks("CON-04", "`teardown` is a plain function")
class ForgetsAsync(ThreadExecutor):
    """A keyword of five letters is missing."""

    def teardown(self, task_metadata):
        return None


@breaks("CON-04", "cannot be called as run(function=..., args=..., kwargs=..., task_metadata=...)")
class NamesItMetadata(ThreadExecutor):
    """Has a better name for a parameter."""

    async def run(self, function, args, kwargs, metadata):
        return await super().run(function, args, kwargs, metadata)


@breaks("CON-04", "missing a required argument: 'job'")
class WantsMore(ThreadExecutor):
    """Wants what no host has."""

    async def setup(self, task_metadata, job):
        await super().setup(task_metadata)


@breaks("CON-04", "`write_streams_to_file` is a coroutine function, while `run` and `execute`")
class IsHalfSynchronous(ThreadExecutor):
    """Was made synchronous, but for one method."""

    def setup(self, task_metadata):
        pass

    def run(self, function, args, kwargs, task_metadata):
        return function(*args, **kwargs)

    def teardown(self, task_metadata):
        pass

    def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        return function(*args, **kwargs), "", "", "COMPLETED"


def _timed(method):
    @functools.wraps(method)
    def wrapper(*args, **kwargs):
        return method(*args, **kwargs)

    return wrapper


@breaks("CON-04", "`setup` is an asynchronous generator: there is a `yield` in it")
class Yields(ThreadExecutor):
    """Takes setup for a fixture."""

    async def setup(self, task_metadata):
        yield


@breaks("CON-05", "cannot be called as cancel(task_metadata=..., job_handle=...)")
class CancelsNothingInParticular(ThreadExecutor):
    """Has a cancel that no host can call, as a published plugin has."""

    async def cancel(self) -> bool:
        raise NotImplementedError("Cancellation is not supported")


@breaks("CON-05", "`cancel` is a plain function")
class CancelsAtOnce(ThreadExecutor):
    """Sees nothing to wait for."""

    @_timed
    def cancel(self, task_metadata, job_handle):
        return True


# ---- CON-06, CON-07 ------------------------------------------------------------------------------


@breaks("CON-06", "retires=3 (sic), and it was taken without a word")
class TakesAnything(ThreadExecutor):
    """Lets later versions of its base have more arguments."""

    def __init__(self, log_stdout="", log_stderr="", cache_dir="", time_limit=-1, retries=0, **_):
        super().__init__(log_stdout, log_stderr, cache_dir, time_limit, retries)


@breaks("CON-06", "it ended in KeyError: 'retires'")
class KnowsItsArguments(ThreadExecutor):
    """Looks its arguments up, and is surprised by one it does not know."""

    def __init__(self, **kwargs):
        known = dict.fromkeys(("log_stdout", "log_stderr", "cache_dir", "time_limit", "retries"))
        for name in kwargs:
            known[name]
        super().__init__(**kwargs)


@breaks("CON-07", "time_limit=nan was taken; time_limit=True was taken; time_limit='60' was taken")
class LooksAtNothing(ThreadExecutor):
    """Stores what it is given."""

    def __init__(self, time_limit=-1, retries=0, **kwargs):
        super().__init__(**kwargs)
        self.time_limit = time_limit
        self.retries = retries


@breaks("CON-07", "seen:      retries=-1 was taken")
class KnowsAbs(ThreadExecutor):
    """Makes the best of a negative number."""

    def __init__(self, retries=0, **kwargs):
        super().__init__(retries=abs(retries) if type(retries) is int else retries, **kwargs)


# ---- CON-08, CON-09 ------------------------------------------------------------------------------

_DEFAULTS = {"partition": ["short"]}


@breaks("CON-08", "two instances hold the very same object: executor.options and other.options")
class HasAMutableDefault(ThreadExecutor):
    """The oldest mistake of all."""

    def __init__(self, options={}, **kwargs):  # noqa: B006
        super().__init__(**kwargs)
        self.options = options


@breaks(
    "CON-08", "executor.options['partition'] and other.options['partition'] are one and the same"
)
class CopiesOneLevel(ThreadExecutor):
    """Copies the defaults of its module, but not what is in them."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.options = dict(_DEFAULTS)


@breaks("CON-08", "given and executor.hosts are one and the same list")
class KeepsTheCallersList(ThreadExecutor):
    """Has a default of its own, and the list of whoever gives one."""

    def __init__(self, hosts=None, **kwargs):
        super().__init__(**kwargs)
        self.hosts = ["login.example"] if hosts is None else hosts


@breaks("CON-08", "executor.tags and other.tags are one and the same list")
class SharesByItsClass(ThreadExecutor):
    """Takes a class attribute for a declaration of one of the instance."""

    tags: list[str] = []  # noqa: RUF012

    def __init__(self, tags=(), **kwargs):
        super().__init__(**kwargs)
        self.tags.extend(tags)


_THE_ONE = ThreadExecutor()


@breaks("CON-08", "returned the same instance twice")
def make_the_one():
    """Takes a factory for a fixture of the session."""
    return _THE_ONE


@breaks("CON-09", "it makes the folder")
class MakesItsCache(ThreadExecutor):
    """Sees to it that its folder is there, as a published plugin does."""

    def __init__(self, cache_dir="", **kwargs):
        super().__init__(cache_dir=cache_dir, **kwargs)
        if cache_dir and not os.path.exists(cache_dir):
            os.makedirs(cache_dir)


@breaks("CON-09", "it makes the folder ~/.cache/broken")
class MakesAFolderAtHome(ThreadExecutor):
    """Likewise, in the home folder of whoever builds it."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        # The kit's own tests must leave a real home folder alone.
        if "asyncexec-" in str(Path.home()):
            (Path.home() / ".cache" / "broken").mkdir(parents=True)


@breaks("CON-09", "for writing")
class OpensItsLog(ThreadExecutor):
    """Opens its log early, to be sure that it can."""

    def __init__(self, log_stdout="", **kwargs):
        super().__init__(log_stdout=log_stdout, **kwargs)
        if log_stdout:
            Path(log_stdout).parent.mkdir(parents=True, exist_ok=True)
            with open(log_stdout, "a"):
                pass
