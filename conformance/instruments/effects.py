"""What building an executor does to the world around it: prints, sockets, environment, files."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import socket
import sys
import sysconfig
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, Literal

from .audit import audited

Kind = Literal["print", "socket", "environment", "working directory", "file"]

_SOCKETS = {
    "socket.__new__": "opens a socket",
    "socket.connect": "connects a socket",
    "socket.bind": "binds a socket",
    "socket.getaddrinfo": "looks up the address of a host",
    "socket.gethostbyname": "looks up the address of a host",
}
_FILES = {
    "os.mkdir": "makes the folder",
    "os.rename": "renames",
    "os.remove": "removes",
    "os.rmdir": "removes the folder",
    "os.link": "links",
    "os.symlink": "links",
    "os.truncate": "truncates",
    "os.chmod": "changes the mode of",
    "os.chown": "changes the owner of",
    "os.utime": "touches",
    "sqlite3.connect": "opens the database",
}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
#: How the names of the suite's own files begin, wherever it is installed.
SUITE = os.path.join(os.path.dirname(os.path.dirname(__file__)), "")
_LIBRARY = tuple({sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")})
#: Where a line that is logged or a warning may go is decided by the host, not by the executor.
_REPORTING = (logging.__file__, warnings.__file__)


@dataclass(frozen=True, slots=True)
class Effect:
    """One thing that was done, and the line that did it."""

    kind: Kind
    what: str
    where: str

    def __str__(self) -> str:
        return f"it {self.what} ({self.where})" if self.where else f"it {self.what}"


@dataclass(slots=True)
class Effects:
    """What was done within one block, without what imports did: that is not building."""

    found: list[Effect] = field(default_factory=list)

    def of(self, *kinds: Kind) -> list[Effect]:
        """The effects of these kinds, each thing once."""
        first = {(e.kind, e.what): e for e in reversed(self.found) if e.kind in kinds}
        return list(reversed(first.values()))


@contextlib.contextmanager
def effects() -> Iterator[Effects]:
    """Collect what the block does, on this thread and on threads that it starts."""
    seen = Effects()
    watch = _Watch(seen, sys._getframe(2), {thread.ident for thread in threading.enumerate()})
    environment, folder = dict(os.environ), _working_directory()
    with (
        audited(watch.hear),
        contextlib.redirect_stdout(_Printed(watch, "stdout")),
        contextlib.redirect_stderr(_Printed(watch, "stderr")),
    ):
        try:
            yield seen
        finally:
            watch.over = True
    for name, where in watch.variables.items():
        before, after = environment.get(name), os.environ.get(name)
        if before != after:
            what = f"changes the environment variable {name} from {before!r} to {after!r}"
            seen.found.append(Effect("environment", what, where))
    if _working_directory() != folder:
        what = f"changes the working directory from {folder} to {_working_directory()}"
        seen.found.append(Effect("working directory", what, watch.moved))
        # The reports of this run go to where its user is.
        with contextlib.suppress(OSError):
            os.chdir(folder)


class _Watch:
    def __init__(self, seen: Effects, base: FrameType, threads: set[int | None]) -> None:
        self._seen = seen
        self._base = base
        self._others = threads - {threading.get_ident()}
        self.variables: dict[str, str] = {}
        self.moved = ""
        self.over = False

    def hear(self, event: str, args: tuple[Any, ...]) -> None:
        if event in ("os.putenv", "os.unsetenv"):
            if (where := self._line()) is not None:
                self.variables[os.fsdecode(args[0])] = where
        elif event == "os.chdir":
            self.moved = self._line() or self.moved
        elif event in _SOCKETS:
            self.see("socket", f"{_SOCKETS[event]}{_address(event, args)}")
        elif event == "open":
            path, _, flags = args
            if isinstance(flags, int) and flags & _WRITES and _is_file(path):
                self.see("file", f"opens {_absolute(path)} for writing")
        elif event in _FILES and args and _is_file(args[0]):
            self.see("file", f"{_FILES[event]} {_absolute(args[0])}")

    def see(self, kind: Kind, what: str) -> None:
        where = self._line()
        if where is not None:
            self._seen.found.append(Effect(kind, what, where))

    def _line(self) -> str | None:
        """The innermost line that is nobody's library; None if the event does not count."""
        if threading.get_ident() in self._others:
            return None
        where = ""
        frame: FrameType | None = sys._getframe(2)
        while frame is not None and frame is not self._base:
            code = frame.f_code
            name = code.co_filename
            if name == "<frozen importlib._bootstrap>":
                return None
            # The two ends of a pipe within this process are no sockets that anybody meant.
            if code.co_name == "socketpair" and name == socket.__file__:
                return None
            if not where and not of_library(name):
                where = f"{name}:{frame.f_lineno}, in {code.co_name}"
            frame = frame.f_back
        return where


class _Printed(io.TextIOWrapper):
    """Stands in for a standard stream, with the `buffer` that some writers look for."""

    def __init__(self, watch: _Watch, name: str) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8", errors="backslashreplace")
        self._watch = watch
        self._stream = name

    def write(self, text: str, /) -> int:
        if self._watch.over:
            # A handler of somebody's log kept this stream, and must not speak into the void.
            return int(getattr(sys, self._stream).write(text))
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and frame.f_code.co_filename not in _REPORTING:
            frame = frame.f_back
        if frame is None and text.strip():
            self._watch.see("print", f"prints {text[:200]!r} to sys.{self._stream}")
        return len(text)


def of_library(name: str) -> bool:
    """Whether a file is one of the standard library's, of the interpreter or of this suite."""
    if name.startswith(("<", SUITE)):
        return True
    return name.startswith(_LIBRARY) and "site-packages" not in name


def _address(event: str, args: tuple[Any, ...]) -> str:
    if event == "socket.__new__":
        return ""
    target = args[1] if event in ("socket.connect", "socket.bind") else args[0]
    return f": {target!r}"


def _is_file(path: Any) -> bool:
    if not isinstance(path, str | bytes | os.PathLike):
        return False
    name = os.fsdecode(path)
    return name not in (os.devnull, ":memory:") and not name.startswith(("/dev/", "/proc/"))


def _absolute(path: Any) -> str:
    try:
        return os.path.abspath(os.fsdecode(path))
    except (OSError, ValueError):
        return repr(path)


def _working_directory() -> str:
    try:
        return os.getcwd()
    except OSError:
        return "a folder that is gone"
