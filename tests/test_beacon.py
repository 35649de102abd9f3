"""Beacons of both kinds: attempts report, obey, and are seen to end."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from pytest_asyncexec.conformance.instruments.beacon import Attempt, Beacon, NetworkBeacon
from pytest_asyncexec.conformance.instruments.mailbox import Mailbox
from pytest_asyncexec.conformance.instruments.probes import grandchild, report_home

Build = Callable[..., Beacon]


@pytest.fixture(params=["network", "files"])
def beacon_of(request: pytest.FixtureRequest, tmp_path: Path) -> Build:
    if request.param == "network":
        return NetworkBeacon
    return lambda answer=None: Mailbox(tmp_path, answer)


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


def test_an_attempt_returns_what_it_is_told(beacon_of: Build) -> None:
    with beacon_of(lambda attempt, number: attempt.tell(do="return", value=number)) as beacon:
        assert report_home(beacon.address) == 1
        assert report_home(beacon.address) == 2

    assert [attempt.hello["label"] for attempt in beacon.attempts] == ["", ""]


def test_an_attempt_raises_what_it_is_told(beacon_of: Build) -> None:
    def answer(attempt: Attempt, number: int) -> None:
        attempt.tell(do="raise", type="KeyError", message="told so")

    with beacon_of(answer) as beacon, pytest.raises(KeyError, match="told so"):
        report_home(beacon.address)


async def test_an_attempt_is_held_until_it_is_told(beacon_of: Build) -> None:
    with beacon_of() as beacon:
        thread, ended = _in_thread(beacon.address, "held")
        await asyncio.wrap_future(beacon.arrival(1))
        assert ended == []

        beacon.attempts[0].tell(do="return", value="let go")
        await asyncio.wrap_future(beacon.attempts[0].gone)
    thread.join()

    assert ended == ["let go"]


async def test_it_is_known_how_many_were_there_at_the_same_time(beacon_of: Build) -> None:
    with beacon_of() as beacon:
        for number in (1, 2, 3):
            _in_thread(beacon.address, "held")
            await asyncio.wrap_future(beacon.arrival(number))
            # The third one comes when the first two are over.
            if number != 1:
                for attempt in beacon.attempts:
                    attempt.tell(do="return", value="let go")
                    await asyncio.wrap_future(attempt.gone)

        assert beacon.most_at_once == 2


async def test_waiting_for_an_attempt_ends_with_the_execution(beacon_of: Build) -> None:
    executing: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    executing.set_result(None)
    with beacon_of() as beacon:
        assert not await beacon.reported(1, executing)


def test_the_death_of_a_worker_is_seen(beacon_of: Build) -> None:
    with beacon_of(lambda attempt, number: attempt.tell(do="exit", code=3)) as beacon:
        code = (
            "from pytest_asyncexec.conformance.instruments.probes import report_home;"
            f"report_home({beacon.address!r})"
        )
        worker = subprocess.run([sys.executable, "-c", code], check=False)
        beacon.attempts[0].gone.result(timeout=60)

    assert worker.returncode == 3


def test_a_held_attempt_ends_with_the_beacon(beacon_of: Build) -> None:
    with beacon_of() as beacon:
        thread, ended = _in_thread(beacon.address)
        beacon.arrival(1).result(timeout=60)
    thread.join()

    assert isinstance(ended[0], ConnectionError)


def test_strangers_are_not_attempts() -> None:
    with NetworkBeacon(lambda attempt, number: attempt.tell(do="return", value=None)) as beacon:
        for hello in (b"GET / HTTP/1.1\r\n", b'{"token": "guessed"}\n', b"[]\n"):
            with socket.create_connection(beacon.address[:2]) as stranger:
                stranger.sendall(hello)
                stranger.shutdown(socket.SHUT_WR)
                assert stranger.recv(1) == b""
        report_home(beacon.address)

    assert len(beacon.attempts) == 1


def test_what_an_attempt_was_asked_is_acknowledged(beacon_of: Build) -> None:
    with beacon_of() as beacon:
        thread, ended = _in_thread(beacon.address)
        beacon.arrival(1).result(timeout=60)
        attempt = beacon.attempts[0]

        for command in ("answer", "spin", "answer"):
            assert attempt.ask(do=command).result(timeout=60) == {"did": command, "failed": ""}
        attempt.tell(do="return", value="asked enough")
        thread.join()

        assert attempt.ask(do="answer").result(timeout=60) is None
    assert ended == ["asked enough"]


def test_a_thread_cannot_ignore_signals(beacon_of: Build) -> None:
    with beacon_of() as beacon:
        thread, _ = _in_thread(beacon.address)
        beacon.arrival(1).result(timeout=60)

        answer = beacon.attempts[0].ask(do="ignore_sigterm").result(timeout=60)
    thread.join()

    assert answer is not None
    assert "main thread" in answer["failed"]


# The task is in this process, and nobody waits for the child that it leaves behind.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_child_of_a_task_reports_itself_and_outlives_it(beacon_of: Build) -> None:
    with beacon_of() as beacon:
        thread, _ = _in_thread(beacon.address)
        beacon.arrival(1).result(timeout=60)
        task = beacon.attempts[0]
        task.ask(**grandchild(beacon.address, "child")).result(timeout=60)
        beacon.arrival(2).result(timeout=60)
        child = beacon.attempts[1]
        task.tell(do="return", value=None)
        thread.join()

        assert child.hello["label"] == "child"
        assert child.hello["pid"] != task.hello["pid"]
        assert child.ask(do="ignore_sigterm").result(timeout=60) == {
            "did": "ignore_sigterm",
            "failed": "",
        }
        child.tell(do="exit", code=0)
        assert child.ask(do="answer").result(timeout=60) is None
