"""A task's line home: every attempt connects, is told what to do, and its death is seen."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import json
import secrets
import socket
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

#: What a task needs to find its beacon: host, port, token.
Address = tuple[str, int, str]


class Attempt:
    """The suite's end of the line to one attempt of a task."""

    def __init__(self, connection: socket.socket, hello: dict[str, Any]) -> None:
        self._connection = connection
        #: What the attempt said of itself: `pid`, and `label` as the check gave it.
        self.hello = hello
        #: Done as soon as the attempt's end of the line is closed, by itself or by its death.
        self.gone: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._lock = threading.Lock()
        self._asked: deque[concurrent.futures.Future[dict[str, Any] | None]] = deque()

    def tell(self, **command: Any) -> None:
        """Send one command, see `probes.report_home`; an attempt that is gone hears nothing."""
        with contextlib.suppress(OSError):
            self._connection.sendall(json.dumps(command).encode() + b"\n")

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
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def _listen(self) -> None:
        with contextlib.suppress(OSError), self._connection.makefile("rb") as lines:
            for line in lines:
                # Of a line that was cut off by the attempt's death nothing is believed.
                if line.endswith(b"\n"):
                    with self._lock:
                        answer = self._asked.popleft() if self._asked else None
                    if answer is not None:
                        answer.set_result(json.loads(line))
        self._connection.close()
        with self._lock:
            self.gone.set_result(None)
            unanswered = list(self._asked)
            self._asked.clear()
        for answer in unanswered:
            answer.set_result(None)


class Beacon:
    """A server on the loopback interface that attempts of tasks report to.

    It runs on threads of its own, so that an executor that blocks the host's event loop is
    judged by the rule about blocking and by no other.

    Args:
        answer: called for every attempt that reports, as `answer(attempt, number)` with
            numbers from 1 in order of arrival, on a thread of the beacon's. Without it every
            attempt is held until somebody tells it what to do.
    """

    def __init__(self, answer: Callable[[Attempt, int], None] | None = None) -> None:
        self._answer = answer
        self._server = socket.create_server(("127.0.0.1", 0))
        self._token = secrets.token_hex(8)
        self._lock = threading.Lock()
        self._awaited: list[tuple[int, concurrent.futures.Future[None]]] = []
        self._closed = False
        self.attempts: list[Attempt] = []
        host, port = self._server.getsockname()[:2]
        self.address: Address = (host, port, self._token)

    def __enter__(self) -> Beacon:
        threading.Thread(target=self._serve, name="asyncexec-beacon", daemon=True).start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        with self._lock:
            self._closed = True
        # Closing a listening socket does not wake accept() everywhere; a connection does.
        with contextlib.suppress(OSError), socket.create_connection(self.address[:2], timeout=5):
            pass
        self._server.close()
        for attempt in self.attempts:
            attempt.close()

    def _serve(self) -> None:
        while not self._closed:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._greet, args=(connection,), daemon=True).start()

    def _greet(self, connection: socket.socket) -> None:
        try:
            hello = json.loads(_line(connection))
            if hello.pop("token") != self._token:
                raise ValueError("somebody else's task")
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            connection.close()
            return
        attempt = Attempt(connection, hello)
        with self._lock:
            self.attempts.append(attempt)
            number = len(self.attempts)
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


def _line(connection: socket.socket) -> bytes:
    received = b""
    while not received.endswith(b"\n"):
        piece = connection.recv(1)
        if not piece:
            raise ConnectionError("hung up before saying hello")
        received += piece
    return received
