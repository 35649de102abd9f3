"""A task's line home: every attempt connects, is told what to do, and its death is seen."""

from __future__ import annotations

import abc
import asyncio
import concurrent.futures
import contextlib
import json
import secrets
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Protocol, Self

#: What a task needs to find its beacon: host, port and token, or the path of a shared folder.
Address = tuple[str, int, str] | str


class Wire(Protocol):
    """What carries lines between the suite and one attempt."""

    def send(self, line: bytes) -> None:
        """Send a line, from any thread.

        Raises:
            OSError: nobody can receive it any more.
        """

    def lines(self) -> Iterator[bytes]:
        """What the attempt sends, until its end of the wire is closed, or this one is.

        Nothing of the wire is left open then.

        Raises:
            OSError: the wire has broken, which is an end like any other.
        """

    def hang_up(self) -> None:
        """Close this end."""


class Attempt:
    """The suite's end of the line to one attempt of a task."""

    def __init__(self, wire: Wire, hello: dict[str, Any]) -> None:
        self._wire = wire
        #: What the attempt said of itself: `pid`, and `label` as the check gave it.
        self.hello = hello
        #: Done as soon as the attempt's end of the line is closed, by itself or by its death.
        self.gone: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._lock = threading.Lock()
        self._asked: deque[concurrent.futures.Future[dict[str, Any] | None]] = deque()

    def tell(self, **command: Any) -> None:
        """Send one command, see `probes.report_home`; an attempt that is gone hears nothing."""
        with contextlib.suppress(OSError):
            self._wire.send(ascii(command).encode() + b"\n")

    def ask(self, **command: Any) -> concurrent.futures.Future[dict[str, Any] | None]:
        """Send one command and have it acknowledged: a future of the attempt's answer.

        The answer is None where the attempt was gone before it could give one. An answer is
        proof of life: whoever is dead, or doomed by a signal already, gives none any more.
        """
        answer: concurrent.futures.Future[dict[str, Any] | None] = concurrent.futures.Future()
        # Whoever stops waiting for it must not be able to cancel it under the listening thread.
        answer.set_running_or_notify_cancel()
        with self._lock:
            if self.gone.done():
                answer.set_result(None)
                return answer
            self._asked.append(answer)
        self.tell(**command, ack=True)
        return answer

    def close(self) -> None:
        """Hang up: an attempt that still listens ends in a ConnectionError."""
        self._wire.hang_up()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            for line in self._wire.lines():
                # Of a line that was cut off by the attempt's death nothing is believed.
                if line.endswith(b"\n"):
                    with self._lock:
                        answer = self._asked.popleft() if self._asked else None
                    if answer is not None:
                        answer.set_result(json.loads(line))
        with self._lock:
            self.gone.set_result(None)
            unanswered = list(self._asked)
            self._asked.clear()
        for answer in unanswered:
            answer.set_result(None)


class Beacon(abc.ABC):
    """What attempts of tasks report to: `NetworkBeacon`, or a `Mailbox` where none can connect.

    It runs on threads of its own, so that an executor that blocks the host's event loop is
    judged by the rule about blocking and by no other.

    Args:
        answer: called for every attempt that reports, as `answer(attempt, number)` with
            numbers from 1 in order of arrival, on a thread of the beacon's. Without it every
            attempt is held until somebody tells it what to do.
    """

    address: Address

    def __init__(self, answer: Callable[[Attempt, int], None] | None = None) -> None:
        self._answer = answer
        self._lock = threading.Lock()
        self._awaited: list[tuple[int, concurrent.futures.Future[None]]] = []
        self._closed = False
        self.attempts: list[Attempt] = []
        #: How many of them were there at the same time.
        self.most_at_once = 0

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, name="asyncexec-beacon", daemon=True).start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        with self._lock:
            self._closed = True
        self._stop_serving()
        for attempt in self.attempts:
            attempt.close()

    @abc.abstractmethod
    def _serve(self) -> None:
        """Have every attempt that comes greeted on a thread of its own, until closed."""

    @abc.abstractmethod
    def _stop_serving(self) -> None:
        """Turn away whoever comes from now on."""

    def _greet(self, wire: Wire, hello: dict[str, Any]) -> None:
        attempt = Attempt(wire, hello)
        with self._lock:
            self.attempts.append(attempt)
            number = len(self.attempts)
            at_once = sum(not each.gone.done() for each in self.attempts)
            self.most_at_once = max(self.most_at_once, at_once)
            closed, answer = self._closed, self._answer
            self._announce()
        # Heard while it is being answered, too: whoever answers may wait for its words or its end.
        threading.Thread(target=attempt._listen, name="asyncexec-attempt", daemon=True).start()
        if closed:
            attempt.close()
        elif answer is not None:
            answer(attempt, number)

    def answer_with(self, answer: Callable[[Attempt, int], None]) -> list[Attempt]:
        """Answer the attempts that report from now on; return those that did before."""
        with self._lock:
            self._answer = answer
            return list(self.attempts)

    def arrival(self, number: int) -> concurrent.futures.Future[None]:
        """A future that is done when `number` attempts have reported."""
        arrival: concurrent.futures.Future[None] = concurrent.futures.Future()
        with self._lock:
            self._awaited.append((number, arrival))
            self._announce()
        return arrival

    async def reported(self, number: int, executing: asyncio.Future[Any]) -> bool:
        """Wait until `number` attempts have reported; False if `executing` was over before."""
        arrival = self.arrival(number)
        await asyncio.wait(
            {asyncio.wrap_future(arrival), executing}, return_when=asyncio.FIRST_COMPLETED
        )
        return arrival.done()

    def _announce(self) -> None:
        for number, arrival in self._awaited:
            if len(self.attempts) >= number and not arrival.done():
                arrival.set_result(None)


class NetworkBeacon(Beacon):
    """A server on the loopback interface that attempts of tasks connect to."""

    def __init__(self, answer: Callable[[Attempt, int], None] | None = None) -> None:
        super().__init__(answer)
        self._server = socket.create_server(("127.0.0.1", 0))
        self._token = secrets.token_hex(8)
        self._host, self._port = self._server.getsockname()[:2]
        self.address: tuple[str, int, str] = (self._host, self._port, self._token)

    def _stop_serving(self) -> None:
        # Closing a listening socket does not wake accept() everywhere; a connection does.
        with (
            contextlib.suppress(OSError),
            socket.create_connection((self._host, self._port), timeout=5),
        ):
            pass
        self._server.close()

    def _serve(self) -> None:
        while not self._closed:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(
                target=self._receive, name="asyncexec-hello", args=(connection,), daemon=True
            ).start()

    def _receive(self, connection: socket.socket) -> None:
        try:
            hello = json.loads(_line(connection))
            if hello.pop("token") != self._token:
                raise ValueError("somebody else's task")
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            connection.close()
            return
        self._greet(_Connection(connection), hello)


class _Connection:
    """A wire made of a socket."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def send(self, line: bytes) -> None:
        self._connection.sendall(line)

    def lines(self) -> Iterator[bytes]:
        with self._connection, self._connection.makefile("rb") as lines:
            yield from lines

    def hang_up(self) -> None:
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)


def _line(connection: socket.socket) -> bytes:
    received = b""
    while not received.endswith(b"\n"):
        piece = connection.recv(1)
        if not piece:
            raise ConnectionError("hung up before saying hello")
        received += piece
    return received
