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
import socket
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from ..outcome import TaskRuntimeError
from ..streams import expand_home
from ..waiting import in_thread
from . import _worker_messages as messages
from ._lives import born, gone

__all__ = ["Answer", "Worker", "decoded"]

WORKER = str(Path(__file__).with_name("_worker.py"))
TAIL = 2000


class Answer(NamedTuple):
    """What a worker says after a task."""

    kind: str
    """`returned` or `raised`."""
    is_plain: bool
    """Whether it is a short result, and nobody's code takes part in loading it."""
    portable: bytes | None
    """An error that can be raised in the host, pickled."""
    description: str
    traceback: str
    problem: str
    """What went wrong with the output, or "" for nothing."""
    printed: tuple[bytes, bytes] | None
    """Standard output and error, or None where the host has to read them from the files."""
    is_last: bool
    """Whether the worker ends after this."""
    result: memoryview


class _Expected:
    """A message that is still to come, or the end, which is None."""

    whole: asyncio.Future[memoryview | None]
    message: memoryview | None
    count: int


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
        #: Whether nobody wants it any more.
        self.is_condemned = False
        self._ties = contextlib.ExitStack()
        self._files: list[BinaryIO] = []
        self._sys_path: list[str] | None = None
        self._directory = ""
        self._keep = keep
        #: The event loop that watches the socket.
        self._loop: asyncio.AbstractEventLoop | None = None
        # Held by the event loop that watches, and by nobody else: who waits for it is to go when
        # the event loop goes, and the worker is still there to be ended.
        self._expected: Callable[[], _Expected | None] = lambda: None

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
        mine, its = socket.socketpair()
        self._socket = self._ties.enter_context(mine)
        try:
            self._directory = os.getcwd()
        except FileNotFoundError:
            self._directory = os.sep
        mode = "once" if self.once else "warm"
        with its:
            if os.name == "posix":
                its_end, lifeline = os.pipe()
                self._ties.callback(os.close, lifeline)
                try:
                    self.process = self._interpreter(
                        [mode, str(its.fileno()), str(its_end)],
                        stdin=subprocess.DEVNULL,
                        pass_fds=(its.fileno(), its_end),
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
                share = its.share(self.process.pid)  # type: ignore[attr-defined,unused-ignore]
                self.process.stdin.write(len(share).to_bytes(8, "little") + share)
                self.process.stdin.flush()

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
        if self.process is None:
            return False
        if self._loop is not None:
            return True  # or the event loop that watches would have noticed
        self._socket.setblocking(False)
        try:
            return self._socket.recv(1, socket.MSG_PEEK) != b""
        except BlockingIOError:
            return True
        except ConnectionError:
            return False

    async def do(self, task: bytes, directory: str) -> Answer | None:
        """Have the worker run a task in `directory`, and return what it says, or None if it died.

        Afterwards the event loop goes on to watch a warm worker, until it is put away. Cancelled,
        this leaves the worker in the middle of its task: it can only be killed.
        """
        if os.name == "nt":  # where event loops do not watch sockets
            return await in_thread(self.do_blocking, task, directory)
        expected = self._watch(asyncio.get_running_loop())
        answer = None
        try:
            for piece in messages.pieces(self._head(directory), task):
                if (rest := self._send(piece)) is not None:
                    await asyncio.get_running_loop().sock_sendall(self._socket, rest)
            message = await expected.whole
            if message is not None:
                answer = self._answer(messages.parts(message))
        except ConnectionError:
            pass
        except MemoryError as error:
            raise TaskRuntimeError(
                "The answer of the worker is too large for the memory of this process"
            ) from error
        finally:
            if answer is None or answer.is_last:
                self.unwatch()
        return answer

    def _watch(self, loop: asyncio.AbstractEventLoop) -> "_Expected":
        expected = self._expected()
        if expected is None or self._loop is not loop:
            expected = _Expected()
            self._expected = weakref.ref(expected)
            self._socket.setblocking(False)
            loop.add_reader(self._socket, self._read, expected)
            self._loop = loop
        expected.message = None
        expected.whole = loop.create_future()
        return expected

    def _send(self, piece: bytes) -> memoryview | None:
        """Send what can be sent at once, and return the rest."""
        try:
            sent = self._socket.send(piece)
        except BlockingIOError:
            sent = 0
        return None if sent == len(piece) else memoryview(piece)[sent:]

    def _read(self, expected: "_Expected") -> None:
        """Read what has come, and say so once it is a message, or the end."""
        try:
            if expected.message is None:
                first = self._socket.recv(messages.SHORT)
                count = expected.count = len(first)
                expected.message = messages.whole_message(first) if first else None
            else:
                count = self._socket.recv_into(expected.message[expected.count :])
                expected.count += count
        except BlockingIOError:
            return
        except ConnectionError:
            count = 0
        except Exception as error:  # out of memory, for one
            self.unwatch()
            if not expected.whole.done():
                expected.whole.set_exception(error)
            return
        if not count:
            self.unwatch()
            expected.message = None
        elif expected.message is None or expected.count < len(expected.message):
            return
        message, expected.message = expected.message, None
        if not expected.whole.done():
            expected.whole.set_result(message)

    def unwatch(self) -> None:
        """Have no event loop watch this worker any more; to be called in the one that does."""
        loop, self._loop = self._loop, None
        if loop is not None and not loop.is_closed():
            loop.remove_reader(self._socket)

    def put_away(self) -> None:
        """Have no event loop watch this warm worker any more, and keep it for the next task."""
        loop = self._loop
        if loop is not None and loop is not asyncio._get_running_loop():
            try:
                loop.call_soon_threadsafe(self.put_away)
            except RuntimeError:
                self._loop = None  # it is closed, and watches nothing
            else:
                return
        self.unwatch()
        self._keep(self)

    def do_blocking(self, task: bytes, directory: str) -> Answer | None:
        """Do the same in the calling thread."""
        self._socket.setblocking(True)
        with self._socket.makefile("rwb", buffering=0) as control:
            try:
                messages.send(control, self._head(directory), task)
                message = messages.receive(control)
            except ConnectionError:
                message = None
        return None if message is None else self._answer(message)

    def _head(self, directory: str) -> bytes:
        sys_path = None if self._sys_path == sys.path else list(sys.path)
        if sys_path is None and directory == self._directory:
            return b""
        self._sys_path = sys_path or self._sys_path
        return pickle.dumps((sys_path, None if directory == self._directory else directory))

    def _answer(self, message: messages.Message) -> Answer:
        head, body = message
        return Answer._make((*pickle.loads(head), body))

    async def ended(self) -> None:
        """Wait until a worker that has given its last answer has ended by itself."""
        if os.name == "nt" and self.process is not None:
            await in_thread(self.process.wait)
            return
        with contextlib.suppress(ConnectionError):
            # It says nothing more: what comes is the end of the socket.
            await asyncio.get_running_loop().sock_recv(self._socket, 1)

    def ended_blocking(self) -> None:
        """Do the same in the calling thread, after `do_blocking`."""
        if os.name == "nt" and self.process is not None:
            self.process.wait()
            return
        with contextlib.suppress(ConnectionError):
            self._socket.recv(1)

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
