"""What a host says to one of its workers, and hears from it.

They talk by a socket. Where the system has sockets that keep messages apart (Linux), a warm worker
reads the beginnings of its tasks from a queue besides, of which the host keeps both ends: so it can
send tasks ahead of their time, and take those back that the worker has not begun. The kernel gives
each message to one of the two. A worker that has begun a task has sent the whole answer to the one
before.
"""

import asyncio
import contextlib
import pickle
import socket
import sys
import weakref
from collections.abc import Callable
from typing import NamedTuple, Protocol

from ..base.outcome import TaskRuntimeError
from . import _worker_messages as messages

__all__ = ["NOTHING", "Answer", "Channel", "Listener", "TooLong"]


class Answer(NamedTuple):
    """What a worker says after a task."""

    number: int
    """That of the task."""
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
    """Standard output and error, or None where the host has to read them from the files.

    Then a worker that goes on waits for the host to do so."""
    is_last: bool
    """Whether the worker ends after this."""
    result: bytes | memoryview


NOTHING = (b"", b"")

#: What an empty head stands for: a plain result, and nothing printed.
ORDINARY = ("returned", True, None, "", "", "", NOTHING, False)


class TooLong(Exception):
    """A task is too long to be sent ahead, or what has to be said with it."""


class Listener(Protocol):
    """Who is told, in the event loop that watches, what a worker says."""

    def answered(self, answers: list[Answer]) -> None:
        """Take the answers, in the order of the tasks."""

    def ended(self, error: Exception | None) -> None:
        """Learn that nothing more will be heard: the worker has ended, or `error` is in the way."""


class _Hearing:
    """What is being heard."""

    __slots__ = ("__weakref__", "begun", "count", "listener", "message")

    def __init__(self) -> None:
        self.listener: Listener | None = None
        self.begun = b""
        self.message: memoryview | None = None
        self.count = 0


class Channel:
    """The host's ends of what it and one worker talk by."""

    def __init__(self) -> None:
        self._control: socket.socket
        #: What tasks are sent by, or at least their beginnings.
        self._queue: socket.socket
        #: The worker's end of that, unless it is the same as of the other socket.
        self._unread: socket.socket | None = None
        #: The event loop that watches.
        self._loop: asyncio.AbstractEventLoop | None = None
        # Held by the event loop that watches, and by nobody else: who waits for it is to go when
        # the event loop goes, and the worker is still there to be ended.
        self._hearing: Callable[[], _Hearing | None] = lambda: None

    def open(self, ties: contextlib.ExitStack, has_queue: bool) -> list[socket.socket]:
        """Make all ends, to be closed with `ties`, and return the worker's.

        The first of those must be closed here once the worker has it: that it is closed there too
        is how the end of the worker is noticed.
        """
        self._control, its_control = map(ties.enter_context, socket.socketpair())
        # Its file is what counts there, and must not have the host's default for time-outs.
        its_control.setblocking(True)
        self._queue = self._control
        if not has_queue or sys.platform != "linux":
            return [its_control]
        pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._queue, self._unread = map(ties.enter_context, pair)
        self._unread.setblocking(True)
        return [its_control, self._unread]

    @property
    def takes_ahead(self) -> bool:
        """Whether tasks can be sent while the worker has another one."""
        return self._unread is not None

    @property
    def is_watched(self) -> bool:
        """Whether an event loop would have noticed the end of the worker."""
        return self._loop is not None

    def is_open(self) -> bool:
        """Whether the worker has not ended; not to be called while an event loop watches."""
        self._control.setblocking(False)
        try:
            return self._control.recv(1, socket.MSG_PEEK) != b""
        except BlockingIOError:
            return True
        except ConnectionError:
            return False

    def watch(self, listener: Listener | None) -> None:
        """Have the running event loop watch from here on, and tell `listener`."""
        loop = asyncio.get_running_loop()
        hearing = self._hearing()
        if hearing is None or self._loop is not loop:
            hearing = _Hearing()
            self._hearing = weakref.ref(hearing)
            self._control.setblocking(False)
            self._queue.setblocking(False)
            loop.add_reader(self._control, self._read, hearing)
            self._loop = loop
        hearing.listener = listener

    def unwatch(self) -> None:
        """Have no event loop watch any more; to be called in the one that does."""
        loop, self._loop = self._loop, None
        if loop is not None and not loop.is_closed():
            loop.remove_reader(self._control)

    def watched_by(self) -> asyncio.AbstractEventLoop | None:
        """Return the event loop that watches, if one does."""
        return self._loop

    def read(self) -> None:
        """Read what has come, without waiting for more."""
        hearing = self._hearing()
        if hearing is not None:
            self._read(hearing)

    def _read(self, hearing: _Hearing) -> None:
        answers: list[Answer] = []
        error: Exception | None = None
        try:
            if hearing.message is None:
                data = self._control.recv(messages.SHORT)
                is_end = not data
                self._understand(hearing, hearing.begun + data, answers)
            else:
                count = self._control.recv_into(hearing.message[hearing.count :])
                is_end = not count
                self._continue(hearing, count, answers)
        except BlockingIOError:
            return
        except ConnectionError:
            is_end = True
        except MemoryError as problem:
            is_end, error = True, _too_large(problem)
        except Exception as problem:
            is_end, error = True, problem
        listener = hearing.listener
        if answers and listener is not None:
            listener.answered(answers)
        if is_end:
            self.unwatch()
            if listener is not None:
                listener.ended(error)

    def _understand(self, hearing: _Hearing, data: bytes, answers: list[Answer]) -> None:
        """Add the answers that are complete, and keep the beginning of the next one."""
        start = 0
        while len(data) - start >= messages.PREFIX.size:
            number, head, body = messages.PREFIX.unpack_from(data, start)
            first = start + messages.PREFIX.size
            end = first + head + body
            if end > len(data):
                rest = data[start:]
                hearing.message, hearing.count = messages.room(end - start, rest), len(rest)
                start = len(data)
                break
            answers.append(_answer(number, data[first : first + head], data[first + head : end]))
            start = end
        hearing.begun = data[start:]

    def _continue(self, hearing: _Hearing, count: int, answers: list[Answer]) -> None:
        hearing.count += count
        if hearing.message is not None and hearing.count == len(hearing.message):
            message, hearing.message = hearing.message, None
            answers.append(_answer(*messages.parts(message)))

    async def send(self, number: int, head: bytes, body: bytes) -> None:
        """Send a task, however long it is."""
        loop = asyncio.get_running_loop()
        end = self._queue
        for piece in messages.pieces(number, head, body):
            try:
                sent = end.send(piece)
            except BlockingIOError:
                sent = 0
            if sent != len(piece):
                await loop.sock_sendall(end, memoryview(piece)[sent:])
            end = self._control

    def send_ahead(self, number: int, head: bytes, body: bytes) -> bool:
        """Send a short task at once; return whether there was room for it.

        Raises TooLong for one that `send` has to send.
        """
        if not messages.is_short(head, body):
            raise TooLong
        try:
            self._queue.send(messages.packed(number, head, body))
        except BlockingIOError:
            return False
        return True

    def take_back(self) -> list[int]:
        """Take back all tasks that were sent and are not begun; return their numbers.

        Not always the latest ones: the worker may begin another one in the meantime.
        """
        numbers: list[int] = []
        if self._unread is not None:
            with contextlib.suppress(BlockingIOError):
                # The rest of each message is dropped.
                while prefix := self._unread.recv(messages.PREFIX.size, socket.MSG_DONTWAIT):
                    numbers.append(messages.PREFIX.unpack(prefix)[0])
        return numbers

    def go_on(self) -> None:
        """Let a worker go on that waits until its files have been read."""
        with contextlib.suppress(ConnectionError):
            self._control.send(b"+")

    def ask_blocking(self, number: int, head: bytes, body: bytes) -> Answer | None:
        """Send a task and wait for the answer, or for the end of the worker, which is None."""
        self._control.setblocking(True)
        self._queue.setblocking(True)
        with self._control.makefile("rwb", buffering=0) as control:
            try:
                end = self._queue
                for piece in messages.pieces(number, head, body):
                    end.sendall(piece)
                    end = self._control
                message = messages.receive(control, control)
            except ConnectionError:
                message = None
        return None if message is None else _answer(*message)

    async def ended(self) -> None:
        """Wait until a worker that has given its last answer has ended by itself."""
        with contextlib.suppress(ConnectionError):
            # It says nothing more: what comes is the end of the socket.
            await asyncio.get_running_loop().sock_recv(self._control, 1)

    def ended_blocking(self) -> None:
        """Do the same in the calling thread, after `ask_blocking`."""
        with contextlib.suppress(ConnectionError):
            self._control.recv(1)


def _answer(number: int, head: bytes | memoryview, body: bytes | memoryview) -> Answer:
    return Answer._make((number, *(pickle.loads(head) if head else ORDINARY), body))


def _too_large(problem: MemoryError) -> TaskRuntimeError:
    error = TaskRuntimeError("The answer of the worker is too large for the memory of this process")
    error.__cause__ = problem
    return error
