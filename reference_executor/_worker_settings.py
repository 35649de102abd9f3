"""What a task can change in its interpreter without leaving anything, and what puts it back.

Beside `_worker.py`, and like it without imports of its own package. A module that is not loaded
cannot have been changed, and is not loaded for this.
"""

import _locale
import gc
import os
import sys
import time
import warnings
from typing import Any

#: Of the root logger, as it is where `logging` has just been loaded.
WARNING = 30

#: `decimal.DefaultContext`, likewise.
DECIMAL = (
    "Context(prec=28, rounding=ROUND_HALF_EVEN, Emin=-999999, Emax=999999, capitals=1, clamp=0, "
    "flags=[], traps=[InvalidOperation, DivisionByZero, Overflow])"
)


class Settings:
    """The settings of an interpreter, as they were when this was made."""

    def __init__(self) -> None:
        self.environment = Environment()
        self.directory = os.getcwd()
        self.umask = os.umask(0o077)
        os.umask(self.umask)
        self.locale = _locale.setlocale(_locale.LC_ALL)
        self.zone = zone()
        self.argv = list(sys.argv)
        self.finders = list(sys.meta_path), list(sys.path_hooks)
        self.filters = list(warnings.filters)
        self.warner = warnings.showwarning
        self.hooks = hooks()
        self.handlers: list[Any] = []
        self.kept = Kept()

    def put_back(self) -> bool:
        """Put back what can be put back, and return whether that was all there was."""
        os.umask(self.umask)
        is_whole = self.environment.put_back()
        if os.getcwd() != self.directory:
            os.chdir(self.directory)
        if _locale.setlocale(_locale.LC_ALL) != self.locale:
            _locale.setlocale(_locale.LC_ALL, self.locale)
        if zone() != self.zone:
            time.tzset()  # of the environment, which is as it was
        sys.argv[:] = self.argv
        self.put_back_warnings()
        if "logging" in sys.modules:
            is_whole = self.put_back_logging(sys.modules["logging"]) and is_whole
        put_back_finders(sys.meta_path, self.finders[0])
        put_back_finders(sys.path_hooks, self.finders[1])
        if hooks() != self.hooks:
            self.put_back_hooks()
        put_back_modules()
        draw_anew()
        return (
            is_whole
            and zone() == self.zone
            and ("decimal" not in sys.modules or is_usual(sys.modules["decimal"]))
        )

    def put_back_warnings(self) -> None:
        if warnings.showwarning is not self.warner:
            if "logging" in sys.modules:
                sys.modules["logging"].captureWarnings(False)
            warnings.showwarning = self.warner
        if warnings.filters != self.filters:
            warnings.resetwarnings()  # which also says that they have changed
            warnings.filters[:] = self.filters  # type: ignore[index]

    def put_back_hooks(self) -> None:
        sys.excepthook, sys.unraisablehook, sys.displayhook = self.hooks[:3]
        trace, profile, recursion_limit, is_collecting = self.hooks[3:]
        sys.settrace(trace)
        sys.setprofile(profile)
        sys.setrecursionlimit(recursion_limit)
        (gc.enable if is_collecting else gc.disable)()

    def put_back_logging(self, logging: Any) -> bool:
        """Put back the root logger; return False for handlers of others, maybe of a library."""
        root = logging.root
        if root.handlers or root.filters or root.level != WARNING or root.disabled:
            root.handlers[:], root.filters[:], root.disabled = [], [], False
            root.setLevel(WARNING)
        if root.manager.disable:
            logging.disable(logging.NOTSET)
        handlers = list(getattr(logging, "_handlerList", ()))
        if handlers and handlers == self.handlers:
            return True
        self.handlers = handlers
        loggers = list(root.manager.loggerDict.values())
        return not any(
            type(handler) is not logging.NullHandler
            for logger in loggers
            for handler in getattr(logger, "handlers", ())
        )


class Environment:
    """The environment variables: those of `os.environ`, and those that C code and children see."""

    def __init__(self) -> None:
        self.mapping = os.environ
        self.variables = dict(variables())
        self.entries = entries(len(self.variables))

    def put_back(self) -> bool:
        """Put them back, and return whether none is left that was not there."""
        os.environ = self.mapping  # noqa: B003  # the mapping that there was
        number = len(self.variables)
        if variables() == self.variables and entries(number) == self.entries:
            return True
        os.environ.clear()
        for name, value in self.variables.items():
            os.environ[os.fsdecode(name)] = os.fsdecode(value)
        self.entries = entries(number)
        # What was set behind the back of os.environ is still there, and comes last.
        return not any(self.entries[number * POINTER :])


def variables() -> dict[Any, Any]:
    # The mapping behind os.environ, since asking os.environ itself decodes each value anew.
    mapping: Any = os.environ
    return getattr(mapping, "_data", mapping)  # type: ignore[no-any-return]


POINTER = 8


def entries(number: int) -> bytes:
    """Return where the variables are in memory, with the end: setting one changes that."""
    if sys.platform != "linux":
        return bytes([1]) * number * POINTER
    if _environ.value is None:
        return b""
    return ctypes.string_at(_environ.value, (number + 1) * POINTER)


if sys.platform == "linux":
    import ctypes

    POINTER = ctypes.sizeof(ctypes.c_void_p)
    _environ = ctypes.c_void_p.in_dll(ctypes.CDLL(None), "environ")


def zone() -> tuple[Any, ...]:
    return time.tzname, time.timezone, time.altzone, time.daylight


def hooks() -> tuple[Any, ...]:
    return (
        sys.excepthook,
        sys.unraisablehook,
        sys.displayhook,
        sys.gettrace(),
        sys.getprofile(),
        sys.getrecursionlimit(),
        gc.isenabled(),
    )


def put_back_finders(finders: list[Any], known: list[Any]) -> None:
    """Leave only those that there were, and those of modules, which stay loaded too."""
    if finders != known:
        more = [finder for finder in finders if finder not in known]
        finders[:] = known
        finders += [finder for finder in more if getattr(finder, "__module__", "") in sys.modules]


def put_back_modules() -> None:
    """Put back what some modules have one of in a process, and some of their users set."""
    if (socket := sys.modules.get("_socket")) is not None:
        socket.setdefaulttimeout(None)
    if (events := sys.modules.get("asyncio.events")) is not None:
        # And with it the event loop that was the current one. Python 3.14 warns of the other name.
        set_policy = getattr(events, "_set_event_loop_policy", None)
        (set_policy or events.set_event_loop_policy)(None)
    if (multiprocessing := sys.modules.get("multiprocessing")) is not None:
        multiprocessing.set_start_method(None, force=True)


def is_usual(decimal: Any) -> bool:
    return repr(getattr(decimal, "DefaultContext", None)) == DECIMAL


def draw_anew() -> None:
    """Let the next task draw random numbers of its own, whatever seed this one has chosen."""
    if (random := sys.modules.get("random")) is not None:
        random.seed(os.urandom(16))
    if (numpy := sys.modules.get("numpy.random")) is not None:
        numpy.seed(int.from_bytes(os.urandom(4), "little"))


class Kept:
    """The objects that tasks leave behind, of which those that nobody can reach are collected."""

    def __init__(self) -> None:
        gc.collect()
        self._freeze()

    def collect(self) -> None:
        """Let finalizers speak now, and not in the middle of the next task."""
        gc.collect()
        if len(sys.modules) != self.modules:
            self._freeze()

    def _freeze(self) -> None:
        # What a module holds is there to stay, and takes long to be looked through after each task.
        gc.freeze()
        self.modules = len(sys.modules)
