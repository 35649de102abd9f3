"""One text appended to one file: through aiofiles, in a thread that does nothing else."""

import asyncio
import io
import os
import os.path as ospath
import stat
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar, cast

from .places import Place, Places
from .threads import OneThread

if TYPE_CHECKING:
    from aiofiles.threadpool.text import AsyncTextIOWrapper

__all__ = ["append"]

T = TypeVar("T")

#: So many characters at a time, since nobody else can run while a text is encoded. A shorter text
#: is one write, which the system keeps whole among writers who know of no lock.
_PIECE = 1 << 18


#: Who writes at the same time, since more threads are in each other's way.
_turns = Places(8)


def _forget_turns() -> None:
    """Let writers in where the process this one was forked from had let in others."""
    global _turns
    _turns = Places(8)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_turns)


async def append(text: str, target: str, place: Place) -> None:
    """Append `text` to the file `target`, and leave `place` once it is closed.

    Missing folders are made. When this is cancelled, or thrown away with its event loop, the thread
    goes on to the end of the text, and closes the file: what is under way there is never met by
    another write or by the closing.
    """
    try:
        turn = await _turns.take()
    except BaseException:
        place.leave()
        raise
    thread = _Writer(turn)
    # Cut as they are needed: to copy all of a long text would take the loop's time, too.
    pieces = (text[start : start + _PIECE] for start in range(0, len(text), _PIECE))
    try:
        thread.is_last = not text
        file = await _opened(target, thread)
        for number, piece in enumerate(pieces, start=1):
            thread.is_last = number * _PIECE >= len(text)
            await file.write(piece)
    except BaseException as error:
        failed = isinstance(error, Exception)
        thread.then(partial(thread.finish, () if failed else pieces, place))
        thread.leave_later()
        raise
    else:
        place.leave()
        turn.leave()
        thread.leave()


async def _opened(target: str, thread: "_Writer") -> "AsyncTextIOWrapper":
    if "aiofiles" not in sys.modules:
        # In the thread, since it takes longer than all the rest.
        await thread.run_in_executor(None, partial(import_module, "aiofiles"))
    import aiofiles

    return await aiofiles.open(
        target,
        "a",
        encoding="utf-8",
        errors="backslashreplace",
        newline="",
        opener=thread.open,
        loop=cast(Any, thread),
    )


class _Writer(OneThread):
    """The thread of one writer. It knows the file, also if nobody waits for it to be opened."""

    def __init__(self, turn: Place) -> None:
        super().__init__()
        self._turn = turn
        self._file: io.TextIOWrapper | None = None
        #: Whether the next call is the last one with the file, which is closed with it: another
        #: turn of the loop and of the thread would cost as much again.
        self.is_last = False

    def run_in_executor(self, executor: Any, call: Callable[[], T]) -> asyncio.Future[T]:
        """Have a call made that opens the file or writes to it."""
        return super().run_in_executor(executor, partial(self._made, call, self.is_last))

    def _made(self, call: Callable[[], T], is_last: bool) -> T:
        returned = call()
        if isinstance(returned, io.TextIOWrapper):
            self._file = returned
        if is_last and self._file is not None:
            self._file.close()
        return returned

    def finish(self, pieces: Iterable[str], place: Place) -> None:
        """Write what is left where the writer was cut short, and let the next one in."""
        try:
            if self._file is not None and not self._file.closed:
                with suppress(Exception), self._file:
                    self._file.writelines(pieces)
        finally:
            place.leave()
            self._turn.leave()

    def open(self, path: str, flags: int) -> int:
        """Open a file in its folder, and lock it, however long that takes."""
        if not _is_quick(path):
            self._turn.leave()
        try:
            return _locked(path, flags)
        except FileNotFoundError:
            os.makedirs(ospath.dirname(path), exist_ok=True)
            return _locked(path, flags)


def _is_quick(path: str) -> bool:
    """Whether writing waits for nobody, as it does for the reader of a pipe."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return True  # there is none yet


def _locked(path: str, flags: int) -> int:
    """Open a file, and lock it among the processes that do so, until it is closed."""
    fd = os.open(path, flags, 0o666)
    try:
        import fcntl
    except ImportError:  # on Windows
        return fd
    with suppress(OSError):  # not all file systems know of locks
        fcntl.flock(fd, fcntl.LOCK_EX)
    return fd
