"""The line home of tasks that cannot connect to the suite, but share its files.

It is the same conversation as with a beacon, over files in a folder. An attempt makes one of its
own, `NAME.said`, holds an exclusive lock on it, and appends what it says. What it is told comes in
letters: `NAME.0`, `NAME.1`, ..., each of them locked by the suite until it is written. So an
attempt waits in a blocking C call, for the lock of its next letter, and its death is seen as a lock
that is free: the kernel takes it from whoever dies. An empty letter means that the suite has hung
up, or died; before the first letter is there, the suite's lock of the file `open` tells.

Locks are flock's: they belong to an open file, so that tasks in this process are seen to end, too.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from .beacon import Attempt, Beacon

try:
    import fcntl
except ImportError:  # not on this system
    fcntl = None  # type: ignore[assignment]

#: Seconds between two looks at what attempts have said, and whether they are alive.
_LOOK = 0.002


class Mailbox(Beacon):
    """A folder that attempts of tasks report to.

    Args:
        folder: an empty folder, under a name that tasks know it by, too.
        answer: as for every `Beacon`.

    Raises:
        OSError: files in it cannot be locked, or none on this system.
    """

    def __init__(self, folder: Path, answer: Callable[[Attempt, int], None] | None = None) -> None:
        super().__init__(answer)
        if fcntl is None:
            raise OSError("this system has no flock")
        self.address: str = str(folder)
        self._open = _locked(folder / "open")

    def _stop_serving(self) -> None:
        _release(self._open)

    def _serve(self) -> None:
        known: set[str] = set()
        while not self._closed:
            try:
                names = {name for name in os.listdir(self.address) if name.endswith(".said")}
            except FileNotFoundError:
                return
            for name in sorted(names - known):
                threading.Thread(
                    target=self._receive,
                    name="asyncexec-hello",
                    args=(os.path.join(self.address, name.removesuffix(".said")),),
                    daemon=True,
                ).start()
            known |= names
            time.sleep(_LOOK)

    def _receive(self, path: str) -> None:
        with contextlib.ExitStack() as stack:
            try:
                said = stack.enter_context(open(f"{path}.said", "rb", buffering=0))
                hello = json.loads(said.readline())
                wire = _Letters(path, said)
            except (OSError, ValueError):
                return
            stack.pop_all()
        self._greet(wire, hello)


class _Letters:
    """A wire made of files."""

    def __init__(self, path: str, said: BinaryIO) -> None:
        self._path = path
        self._said = said
        self._lock = threading.Lock()
        self._number = 0
        self._next: BinaryIO | None = self._blank()

    def send(self, line: bytes) -> None:
        with self._lock:
            if self._next is None:
                return
            written, self._number = self._next, self._number + 1
            # There before it is waited for.
            self._next = self._blank()
            written.write(line)
            _release(written)

    def lines(self) -> Iterator[bytes]:
        rest = b""
        try:
            while True:
                # Seen before its last words are read, for there are none after it.
                over = self._next is None or _is_free(self._said)
                *lines, rest = (rest + self._said.read()).split(b"\n")
                for line in lines:
                    yield line + b"\n"
                if over:
                    return
                time.sleep(_LOOK)
        finally:
            self._said.close()
            self.hang_up()

    def hang_up(self) -> None:
        with self._lock:
            if self._next is not None:
                _release(self._next)
                self._next = None

    def _blank(self) -> BinaryIO:
        return _locked(Path(f"{self._path}.{self._number}"))


def _locked(path: Path) -> BinaryIO:
    """A new file that was locked before anybody could open it."""
    new = path.with_name(f"{path.name}.new")
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(open(new, "xb", buffering=0))
        fcntl.flock(file, fcntl.LOCK_EX)
        new.rename(path)
        stack.pop_all()
    return file


def _release(file: BinaryIO) -> None:
    # Not by closing it alone: a worker that was forked from this process has it open, too.
    fcntl.flock(file, fcntl.LOCK_UN)
    file.close()


def _is_free(file: BinaryIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
