"""The beacon: attempts report, obey, and are seen to end."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading

import pytest
from pytest_asyncexec.conformance.beacon import Attempt, Beacon
from pytest_asyncexec.conformance.probes import report_home


def _in_thread(*args: object) -> tuple[threading.Thread, list[object]]:
    ended: list[object] = []

    def target() -> None:
        try:
            ended.append(report_home(*args))  # type: ignore[arg-type]
        except Exception as error:
            ended.append(error)

    thread = threading.Thread(target=target)
    thread.start()
    return thread, ended


def test_an_attempt_returns_what_it_is_told() -> None:
    with Beacon(lambda attempt, number: attempt.tell(do="return", value=number)) as beacon:
        assert report_home(beacon.address) == 1
        assert report_home(beacon.address) == 2

    assert [attempt.hello["label"] for attempt in beacon.attempts] == ["", ""]


def test_an_attempt_raises_what_it_is_told() -> None:
    def answer(attempt: Attempt, number: int) -> None:
        attempt.tell(do="raise", type="KeyError", message="told so")

    with Beacon(answer) as beacon, pytest.raises(KeyError, match="told so"):
        report_home(beacon.address)


async def test_an_attempt_is_held_until_it_is_told() -> None:
    with Beacon() as beacon:
        thread, ended = _in_thread(beacon.address, "held")
        await asyncio.wrap_future(beacon.arrival(1))
        assert ended == []

        beacon.attempts[0].tell(do="return", value="let go")
        await asyncio.wrap_future(beacon.attempts[0].gone)
    thread.join()

    assert ended == ["let go"]


async def test_waiting_for_an_attempt_ends_with_the_execution() -> None:
    executing: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    executing.set_result(None)
    with Beacon() as beacon:
        assert not await beacon.reported(1, executing)


def test_the_death_of_a_worker_is_seen() -> None:
    with Beacon(lambda attempt, number: attempt.tell(do="exit", code=3)) as beacon:
        code = (
            "from pytest_asyncexec.conformance.probes import report_home;"
            f"report_home({beacon.address!r})"
        )
        worker = subprocess.run([sys.executable, "-c", code], check=False)
        beacon.attempts[0].gone.result(timeout=60)

    assert worker.returncode == 3


def test_a_held_attempt_ends_with_the_beacon() -> None:
    with Beacon() as beacon:
        thread, ended = _in_thread(beacon.address)
        beacon.arrival(1).result(timeout=60)
    thread.join()

    assert isinstance(ended[0], ConnectionError)


def test_strangers_are_not_attempts() -> None:
    with Beacon(lambda attempt, number: attempt.tell(do="return", value=None)) as beacon:
        for hello in (b"GET / HTTP/1.1\r\n", b'{"token": "guessed"}\n', b"[]\n"):
            with socket.create_connection(beacon.address[:2]) as stranger:
                stranger.sendall(hello)
                stranger.shutdown(socket.SHUT_WR)
                assert stranger.recv(1) == b""
        report_home(beacon.address)

    assert len(beacon.attempts) == 1
