"""Keeps the host as it was: nothing that an executor does to it outlives the check of one rule."""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from types import ModuleType
from typing import Any, NoReturn

from .audit import line_outside_the_library
from .process_state import ProcessState

#: What every other part of a host relies on; of these names none may become another thing.
_MODULES: tuple[ModuleType, ...] = (
    asyncio,
    asyncio.base_events,
    asyncio.events,
    asyncio.futures,
    asyncio.locks,
    asyncio.tasks,
    builtins,
    os,
    sys,
    tempfile,
    threading,
    time,
)

_STREAMS = {"stdin", "stdout", "stderr"}

#: Names that the interpreter itself changes.
_FREE = {"_", "last_exc", "last_type", "last_value"}


#: The depth of calls that a run of pytest comes near to; no host works with a limit below it.
_DEEP = 500


class HostExit(BaseException):
    """Takes the place of the end of the process, where an executor asked for that."""


class Guard:
    """What the host was like before, and what was done to it since."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._exit = os._exit
        self._set_recursion_limit = sys.setrecursionlimit
        self._recursion_limit = sys.getrecursionlimit()
        self._names = {module: dict(vars(module)) for module in _MODULES}
        self._state = ProcessState()
        #: The calls that would have ended this process, as sentences.
        self.exits: list[str] = []
        #: What was changed in the modules of the standard library, and put right again.
        self.replaced: list[str] = []
        #: The calls that would have left no room for any other, as sentences.
        self.narrowed: list[str] = []

    @property
    def harm(self) -> str:
        """What was done to the process as a whole, in words; empty if nothing was."""
        done = [*self.exits, *self.narrowed]
        if self.replaced:
            done.append(f"{', '.join(self.replaced)} was replaced in the host (and is put back)")
        return "; ".join(done)

    def refuse_exit(self, status: int) -> NoReturn:
        """Stand in for `os._exit` in this process; in one forked from it that is as always."""
        if os.getpid() != self._pid or _is_a_plugin(sys._getframe(1).f_globals.get("__name__")):
            self._exit(status)
        self.exits.append(f"os._exit({status}) was called ({_caller()})")
        raise HostExit(f"os._exit({status}) was called in the host's process")

    def refuse_low_limit(self, limit: int) -> None:
        """Stand in for `sys.setrecursionlimit`, which is about all threads of a process."""
        if limit >= min(self._recursion_limit, _DEEP):
            self._set_recursion_limit(limit)
        else:
            call = f"sys.setrecursionlimit({limit})"
            self.narrowed.append(f"{call} was called ({_caller()})")

    def keep_environment(self) -> None:
        """Take the environment for right as it is now: whoever set it may set it so again."""
        self._state.environment = dict(os.environ)

    def restore(self) -> None:
        """Put everything right, and note what was not."""
        for module, before in self._names.items():
            for name, value in before.items():
                if vars(module).get(name, _MISSING) is value:
                    continue
                if module is sys and name in _STREAMS:
                    setattr(module, name, value)
                elif name not in _FREE and callable(value):
                    setattr(module, name, value)
                    self.replaced.append(f"{module.__name__}.{name}")
        self._state.restore("path", "random")


_MISSING: Any = object()


@contextlib.contextmanager
def guarded() -> Iterator[Guard]:
    """Within this block nobody ends the process; after it the host is what it was before.

    Its working directory, environment and standard streams are restored, and the names in the
    modules that all others rely on.
    """
    guard = Guard()
    os._exit = guard.refuse_exit
    sys.setrecursionlimit = guard.refuse_low_limit
    try:
        yield guard
    finally:
        os._exit = guard._exit
        sys.setrecursionlimit = guard._set_recursion_limit
        guard.restore()


def _is_a_plugin(module: object) -> bool:
    """Whether this is a plugin of pytest's, which was asked to end the run: a time limit on it."""
    top = str(module).partition(".")[0]
    return top.startswith("pytest_") and top != __name__.partition(".")[0]


def _caller() -> str:
    return line_outside_the_library(sys._getframe(2))
