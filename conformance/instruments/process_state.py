"""What all parts of a process share, and how it was changed."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import re
import signal
import socket
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal

from ...contract.wording import short

#: So many words may have been drawn from the random generator: to draw from it is no harm, to set
#: it anew makes others draw the same numbers again.
_DRAWN: Final = 5_000


class ProcessState:
    """The state of this process at one moment."""

    def __init__(self) -> None:
        self.folder = _working_directory()
        self.environment = dict(os.environ)
        self.streams = {name: getattr(sys, name) for name in ("stdout", "stderr")}
        self.umask = _umask()
        self.signals = _signals()
        self.path = list(sys.path)
        self.random = random.getstate()
        self.filters = list(warnings.filters)
        root = logging.getLogger()
        self.handlers, self.level = list(root.handlers), root.level
        self.timeout = socket.getdefaulttimeout()

    def changes(self) -> list[str]:
        """How this process differs from what it was, in words."""
        now = ProcessState()
        found: list[str] = []

        def differs(what: str, before: Any, after: Any, show: Callable[[Any], str] = short) -> None:
            if before != after:
                found.append(f"{what} is {show(after)}, and was {show(before)}")

        differs("the working directory", self.folder, now.folder, str)
        for name in sorted(self.environment.keys() | now.environment.keys()):
            before, after = self.environment.get(name), now.environment.get(name)
            if before != after:
                # Values may be secrets of the user's, whom a report may have to leave.
                verb = "is new" if before is None else "is gone" if after is None else "is another"
                found.append(f"the environment variable {name} {verb}")
        for name, stream in self.streams.items():
            if now.streams[name] is not stream:
                found.append(f"sys.{name} is {short(now.streams[name])}, and was {short(stream)}")
        differs("the umask", self.umask, now.umask, "{:03o}".format)
        for number, handler in self.signals.items():
            name = signal.Signals(number).name if number in set(signal.Signals) else str(number)
            differs(f"the handler of {name}", handler, now.signals.get(number, handler))
        found += _in_list("the import path", self.path, now.path)
        if not _is_drawn(self.random, now.random):
            found.append("the random number generator is set anew")
        found += _in_list("the list of warning filters", self.filters, now.filters)
        found += _in_list("the list of the root logger's handlers", self.handlers, now.handlers)
        differs("the level of the root logger", self.level, now.level)
        differs("the time limit of new sockets", self.timeout, now.timeout)
        return found

    def restore(self, *but: Literal["path", "random"]) -> None:
        """Put everything right that can be.

        Args:
            but: the import path may be what modules need that are imported later; and to see how
                far the random generator was drawn from takes its time.
        """
        if _working_directory() != self.folder:
            with contextlib.suppress(OSError):
                os.chdir(self.folder)
        if dict(os.environ) != self.environment:
            os.environ.clear()
            os.environ.update(self.environment)
        for name, stream in self.streams.items():
            setattr(sys, name, stream)
        if _umask() != self.umask:
            os.umask(self.umask)
        for number, handler in self.signals.items():
            if signal.getsignal(number) != handler and handler is not None:
                # Not from another thread than the main one.
                with contextlib.suppress(ValueError, OSError):
                    signal.signal(number, handler)
        socket.setdefaulttimeout(self.timeout)
        if "path" not in but:
            sys.path[:] = self.path
        if "random" not in but and not _is_drawn(self.random, random.getstate()):
            random.setstate(self.random)
        if list(warnings.filters) != self.filters:
            # Told as catch_warnings does it, so that what was decided by the others is forgotten.
            with warnings.catch_warnings():
                pass
            warnings.filters[:] = self.filters  # type: ignore[index]
        root = logging.getLogger()
        root.handlers[:], root.level = self.handlers, self.level


def may_be_there_to_stay(change: str) -> bool:
    """Whether what comes with the first tasks alone need not be the work of a task.

    A module that is imported for the first time adds its filters, and a server of Dask's in this
    process its folder to the import path, as long as it lives.
    """
    return change.startswith(("the list of warning filters", "the import path"))


def _working_directory() -> str:
    try:
        return os.getcwd()
    except OSError:
        return "a folder that is gone"


def _umask() -> int:
    """The umask; asked for without changing it where that can be done."""
    with contextlib.suppress(OSError, ValueError):
        told = re.search(r"^Umask:\s*([0-7]+)$", Path("/proc/self/status").read_text(), re.M)
        if told:
            return int(told[1], 8)
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _signals() -> dict[int, Any]:
    found: dict[int, Any] = {}
    for number in signal.valid_signals():
        with contextlib.suppress(ValueError, OSError):
            found[number] = signal.getsignal(number)
    return found


def _in_list(what: str, before: list[Any], after: list[Any]) -> list[str]:
    if before == after:
        return []
    new = [each for each in after if not any(each is old or each == old for old in before)]
    gone = [each for each in before if not any(each is old or each == old for old in after)]
    if new:
        return [f"{what} has {short(new[0])} in it, which is new"]
    if gone:
        return [f"{what} lacks {short(gone[0])}"]
    return [f"{what} has {len(after)} entries, and had {len(before)}: {short(after[:2])} first"]


def _is_drawn(before: Any, after: Any) -> bool:
    """Whether the random generator comes from one state to the other by being drawn from."""
    if before[1] == after[1]:
        return True
    generator = random.Random()
    generator.setstate(before)
    for _ in range(_DRAWN):
        generator.getrandbits(32)
        # The position first: to compare all words each time takes long.
        state = generator.getstate()[1]
        if state[-1] == after[1][-1] and state == after[1]:
            return True
    return False
