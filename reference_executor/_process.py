"""One worker process, seen from its host: its start, what is said to it, its death.

A worker has a session and a process group of its own, and three ties to its host: a socket that
they talk by, a pipe of which the host keeps one end for as long as it lives (the lifeline), and
two files without a name that take what tasks print. On Windows the socket is handed down by
standard input, which is then the lifeline.
"""

import asyncio
import contextlib
import os
import pickle
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from ..base.streams import expand_home
from ..base.waiting import in_thread
from ._channel import Answer, Channel
from ._lives import born, gone

__all__ = ["Worker", "decoded"]

WORKER = str(Path(__file__).with_name("_worker.py"))
TAIL = 2000


class _Alone:
    """Who waits for the one answer of a worker that has one task."""

    def __init__(self) -> None:
        self.told: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()

    def answered(self, answers: list[Answer]) -> None:
        if not self.told.done():
            self.told.set_result(answers[0])

    def ended(self, error: Exception | None) -> None:
        if self.told.done():
            return
        if error is None:
            self.told.set_result(None)
        else:
            self.told.set_exception(error)


class Worker:
    """An interpreter for tasks, one after the other; `once`: for a single one.

    The methods that are no coroutine functions may block: call them in a thread.
    """

    def __init__(
        self,
        cache_dir: str,
        environment: dict[str, str],
        once: bool,
        keep: "Callable[[Worker], None]",
    ) -> None:
        self.cache_dir = cache_dir
        self.environment = environment
        self.once = once
        self.process: subprocess.Popen[bytes] | None = None
        self.channel = Channel()
        #: Whether nobody wants it any more.
        self.is_condemned = False
        self._ties = contextlib.ExitStack()
        self._files: list[BinaryIO] = []
        self._sys_path: list[str] | None = None
        self._directory = ""
        self._keep = keep

    def start(self) -> None:
        """Start the interpreter. Raises OSError where that cannot be done."""
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        born(self)

    def _start(self) -> None:
        above = os.path.abspath(expand_home(self.cache_dir)) if self.cache_dir else None
        if above is not None:
            os.makedirs(above, exist_ok=True)
        self._files = [self._ties.enter_context(_output_file(above)) for _ in range(2)]
        its_ends = self.channel.open(self._ties, has_queue=not self.once)
        try:
            self._directory = os.getcwd()
        except FileNotFoundError:
            self._directory = os.sep
        mode = "once" if self.once else "warm"
        if os.name == "posix":
            its_end, lifeline = os.pipe()
            self._ties.callback(os.close, lifeline)
            descriptors = [its_end, *(end.fileno() for end in its_ends)]
            try:
                self.process = self._interpreter(
                    [mode, *map(str, descriptors)],
                    stdin=subprocess.DEVNULL,
                    pass_fds=descriptors,
                    start_new_session=True,
                )
            finally:
                os.close(its_end)
        else:
            self.process = self._interpreter(
                [mode],
                stdin=subprocess.PIPE,
                creationflags=subprocess.CREATE_NEW_PROCESS_GROUP,  # type: ignore[attr-defined,unused-ignore]
            )
            assert self.process.stdin is not None
            self._ties.enter_context(self.process.stdin)
            share = its_ends[0].share(self.process.pid)  # type: ignore[attr-defined,unused-ignore]
            self.process.stdin.write(len(share).to_bytes(8, "little") + share)
            self.process.stdin.flush()
        its_ends[0].close()

    def _interpreter(self, arguments: list[str], **options: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-P", "-u", WORKER, *arguments],
            stdout=self._files[0],
            stderr=self._files[1],
            cwd=self._directory,
            env={**os.environ, **self.environment} if self.environment else None,
            **options,
        )

    @property
    def is_alive(self) -> bool:
        """Whether the interpreter has been started and has not ended."""
        return self.process is not None and (self.channel.is_watched or self.channel.is_open())

    async def do(self, task: bytes, directory: str) -> Answer | None:
        """Have the worker run a task in `directory`, and return what it says, or None if it died.

        Afterwards the event loop goes on to watch a warm worker, until it is put away. Cancelled,
        this leaves the worker in the middle of its task: it can only be killed.
        """
        if os.name == "nt":  # where event loops do not watch sockets
            return await in_thread(self.do_blocking, task, directory)
        alone = _Alone()
        self.channel.watch(alone)
        answer = None
        try:
            await self.channel.send(0, self._head(directory), task)
            answer = await alone.told
        except ConnectionError:
            pass
        finally:
            if answer is None or answer.is_last:
                self.channel.unwatch()
        return answer

    def do_blocking(self, task: bytes, directory: str) -> Answer | None:
        """Do the same in the calling thread."""
        return self.channel.ask_blocking(0, self._head(directory), task)

    def take(self, number: int, task: bytes, directory: str) -> bool:
        """Send the worker a short task, also ahead of its time; False if there is no room."""
        return self.channel.send_ahead(number, self._head(directory), task)

    def take_back(self) -> list[int]:
        """Take back all tasks that the worker has not begun, and return their numbers."""
        return self.channel.take_back()

    @property
    def knows_import_path(self) -> bool:
        """Whether the worker need not be told of the import path with its next task."""
        return self._sys_path == sys.path

    def forget_import_path(self) -> None:
        """Tell the worker again: what had told it has been taken back."""
        self._sys_path = None

    def put_away(self) -> None:
        """Have no event loop watch this warm worker any more, and keep it for the next task."""
        loop = self.channel.watched_by()
        if loop is not None and loop is not asyncio._get_running_loop():
            with contextlib.suppress(RuntimeError):  # it is closed, and watches nothing
                loop.call_soon_threadsafe(self.put_away)
                return
        self.channel.unwatch()
        self._keep(self)

    def _head(self, directory: str) -> bytes:
        sys_path = None if self.knows_import_path else list(sys.path)
        if sys_path is None and directory == self._directory:
            return b""
        self._sys_path = sys_path or self._sys_path
        return pickle.dumps((sys_path, None if directory == self._directory else directory))

    async def ended(self) -> None:
        """Wait until a worker that has given its last answer has ended by itself."""
        if os.name == "nt" and self.process is not None:
            await in_thread(self.process.wait)
        else:
            await self.channel.ended()

    def ended_blocking(self) -> None:
        """Do the same in the calling thread, after `do_blocking`."""
        if os.name == "nt" and self.process is not None:
            self.process.wait()
        else:
            self.channel.ended_blocking()

    def kill(self) -> None:
        """Kill the worker and all processes of its group, without asking them."""
        # Until it has been waited for, no other process can be given its number.
        if self.process is None or self.process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.name == "posix":
                os.killpg(self.process.pid, signal.SIGKILL)
            else:
                self.process.kill()

    def end(self) -> tuple[str, str]:
        """Kill what is left of the worker, and return what it printed once it is gone."""
        self.kill()
        try:
            if self.process is not None:
                self.process.wait()
            return self.take_printed()
        finally:
            self.close()

    def catch_up(self) -> tuple[str, str]:
        """Take what the last task has printed, which is much, and let the worker go on."""
        printed = self.take_printed()
        self.channel.go_on()
        return printed

    def take_printed(self) -> tuple[str, str]:
        """Take out of the files what was printed since the last time."""
        if not self._files:
            return "", ""
        stdout, stderr = map(_taken, self._files)
        return stdout, stderr

    def close(self) -> None:
        """Let go of the ties to a worker that has ended, or has never begun."""
        gone(self)
        self._files = []
        self._ties.close()

    def forget(self) -> None:
        """Leave the worker to the process that this one was forked from."""
        if self.process is not None:
            self.process.returncode = 0  # or its end would be waited for here
        self.close()

    def last_words(self, stderr: str) -> str:
        """Say how the worker died, as far as that can be seen from outside."""
        code = self.process.returncode if self.process is not None else None
        how = f"exit code {code}"
        if code is not None and code < 0:
            with contextlib.suppress(ValueError):
                how = f"signal {signal.Signals(-code).name}"
        hint = ". Did the system run out of memory?" if how == "signal SIGKILL" else ""
        tail = stderr[-TAIL:].strip()
        wrote = f"\nIts standard error ends with:\n{tail}" if tail else ""
        return f"The worker process died without a result ({how}){hint}{wrote}"


def decoded(printed: bytes) -> str:
    """Return as text what was printed, whatever it was."""
    return printed.decode("utf-8", errors="backslashreplace")


def _output_file(folder: str | None) -> BinaryIO:
    # Without a name nobody else can open it, and nothing is left whoever is killed.
    file: Any = tempfile.TemporaryFile("w+b", buffering=0, dir=folder)  # noqa: SIM115
    if os.name == "posix":
        import fcntl

        flags = fcntl.fcntl(file, fcntl.F_GETFL)
        fcntl.fcntl(file, fcntl.F_SETFL, flags | os.O_APPEND)
    return file  # type: ignore[no-any-return]


def _taken(file: BinaryIO) -> str:
    file.seek(0)
    text = decoded(file.read())
    file.truncate(0)
    file.seek(0)
    return text
