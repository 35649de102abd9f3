"""Values that cannot be carried and exceptions that nobody expected, for tasks to meet.

Every function that is sent to a task stands alone, as in `probes`. The classes are made inside
functions: they travel by value, or not at all, whatever the executor carries tasks with.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn


@dataclass(frozen=True, slots=True)
class Uncarriable:
    """One task with something that cannot be serialised."""

    #: What it is and where it is, in words.
    what: str
    function: Callable[..., Any]
    args: tuple[Any, ...]
    #: The name of its type: what a task that completes all the same has to show.
    type_name: str
    #: The same in a script.
    script: str
    by_value: bool = True


#: Each by the name of its type: what it is, and how a script makes one.
_VALUES = {
    "lock": ("a lock", "threading.Lock()"),
    "generator": ("a generator", "(n for n in range(3))"),
    "Unsendable": ("an object whose __reduce__ raises", "Unsendable()"),
    "Unloadable": ("an object whose unpickling raises", "Unloadable()"),
}


def uncarriable() -> Iterator[Uncarriable]:
    """Tasks whose argument, function or result cannot be serialised, the plainest first."""
    for name, (what, script) in _VALUES.items():
        value = make_odd(name)
        yield Uncarriable(f"{what} for its argument", name_of, (value,), name, f"name_of, {script}")
    for name, (what, script) in _VALUES.items():
        if name == "lock":
            function, what = _closure_over(make_odd(name)), "a closure over a lock"
            script = "lambda lock=threading.Lock(): type(lock).__name__"
        elif name == "generator":
            continue
        else:
            function = make_odd(name)
        yield Uncarriable(f"{what} for its function", function, (), name, script, by_value=False)
    for name, (what, script) in _VALUES.items():
        yield Uncarriable(f"{what} for its result", make_odd, (name,), name, f"lambda: {script}")


def name_of(value: Any) -> str:
    return type(value).__name__


def make_odd(name: str) -> Any:
    """The value of the type with this name."""
    import threading

    class Unsendable:
        def __reduce__(self) -> Any:
            raise ValueError("the Unsendable value refuses to be pickled")

        def __call__(self) -> str:
            return type(self).__name__

    class Unloadable(Unsendable):
        def __reduce__(self) -> Any:
            # To load it is to call int() with these words.
            return int, ("the Unloadable value refuses to be loaded",)

    if name == "lock":
        return threading.Lock()
    if name == "generator":
        return (number for number in range(3))
    return Unsendable() if name == "Unsendable" else Unloadable()


def _closure_over(value: Any) -> Callable[[], str]:
    def closure() -> str:
        return type(value).__name__

    return closure


#: A script's definitions of the two classes above.
SCRIPT_CLASSES = """\
class Unsendable:
    def __reduce__(self):
        raise ValueError("the Unsendable value refuses to be pickled")
    def __call__(self):
        return type(self).__name__

class Unloadable(Unsendable):
    def __reduce__(self):
        return int, ("the Unloadable value refuses to be loaded",)
"""


@dataclass(frozen=True, slots=True)
class OddError:
    """One exception that a task raises."""

    #: What is odd about it, in words.
    what: str
    type_name: str
    #: Whether its message can be had at all.
    has_message: bool = True


#: The plainest first.
ODD_ERRORS = (
    OddError("made inside the task", "MadeInside"),
    OddError("that takes two arguments and passes on one, so that unpickling raises", "TakesTwo"),
    OddError("raised from another one", "Chained"),
    OddError("with notes", "Noted"),
    OddError("that is a group", "ExceptionGroup"),
    OddError("with a lock for an attribute", "HoldsALock"),
    OddError("of a module that only the worker has", "OfTheWorker"),
    OddError("that is unpickled as a string", "Disguised"),
    OddError("whose message cannot be shown", "Unspeakable", has_message=False),
    OddError("that is no Exception, but a BaseException", "Bottom"),
)

_MODULE = "asyncexec_module_of_the_worker_alone"


def raise_odd(kind: str, message: str) -> NoReturn:
    """Raise the odd exception whose type has this name."""
    import sys
    import threading
    import types

    class MadeInside(Exception):
        pass

    class TakesTwo(Exception):
        def __init__(self, message: str, code: int) -> None:
            super().__init__(message)
            self.code = code

    class Chained(Exception):
        pass

    class Noted(Exception):
        pass

    class HoldsALock(Exception):
        def __init__(self, message: str) -> None:
            super().__init__(message)
            self.lock = threading.Lock()

    class Disguised(Exception):
        def __reduce__(self) -> Any:
            return str, ("no exception at all",)

    class Unspeakable(Exception):
        def __str__(self) -> str:
            raise RuntimeError("its message is not to be had")

    class Bottom(BaseException):
        pass

    if kind == "TakesTwo":
        raise TakesTwo(message, 2)
    if kind == "Chained":
        raise Chained(message) from KeyError("the cause")
    if kind == "Noted":
        noted = Noted(message)
        noted.add_note("a note")
        raise noted
    if kind == "ExceptionGroup":
        raise ExceptionGroup(message, [ValueError("one"), KeyError("another")])
    if kind == "OfTheWorker":
        name = "asyncexec_module_of_the_worker_alone"
        module = sys.modules.setdefault(name, types.ModuleType(name))
        made = type(kind, (Exception,), {"__module__": name})
        setattr(module, kind, made)
        raise made(message)
    plain = {
        "MadeInside": MadeInside,
        "HoldsALock": HoldsALock,
        "Disguised": Disguised,
        "Unspeakable": Unspeakable,
        "Bottom": Bottom,
    }
    raise plain[kind](message)


def forget_module_of_the_worker() -> None:
    """Undo what `raise_odd` leaves behind where the task runs in this process."""
    sys.modules.pop(_MODULE, None)


def new_message() -> str:
    """Words that nobody has said before."""
    return f"reason {secrets.token_hex(4)}"


#: Exceptions by which plumbing says something; the last one is a task's own.
PLUMBING = (
    "CancelledError",
    "GeneratorExit",
    "StopIteration",
    "StopAsyncIteration",
    "KeyboardInterrupt",
    "LeavesEverything",
)

#: Those by which it says that the other end is gone.
BROKEN_WIRES = ("EOFError", "BrokenPipeError")


def raise_plumbing(name: str, message: str) -> NoReturn:
    """Raise the exception of this name, with this message."""
    import asyncio
    import builtins

    class LeavesEverything(BaseException):
        pass

    if name == "CancelledError":
        raise asyncio.CancelledError(message)
    if name == "LeavesEverything":
        raise LeavesEverything(message)
    raise getattr(builtins, name)(message)
