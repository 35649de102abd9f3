"""The mailbox: what a beacon does over the network, by files and their locks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from pytest_asyncexec.conformance.instruments import mailbox, patience
from pytest_asyncexec.conformance.instruments.beacon import Attempt, NetworkBeacon
from pytest_asyncexec.conformance.instruments.mailbox import Mailbox
from pytest_asyncexec.conformance.instruments.probes import report_home
from pytest_asyncexec.conformance.subject.exceptions import CouldNotRun
from pytest_asyncexec.conformance.subject.subject import Subject
from pytest_asyncexec.reference_executor import LocalExecutor

from pytest_asyncexec import AsyncBaseExecutor
from pytest_asyncexec.targets.target import Target
from right.workers import NoNetwork

WORKER = (
    "from pytest_asyncexec.conformance.instruments.probes import report_home; report_home({!r})"
)


@pytest.fixture
def subject_of() -> Iterator[object]:
    subjects: list[Subject] = []

    def make(executor: type) -> Subject:
        spec = f"{executor.__module__}:{executor.__qualname__}"
        subjects.append(Subject(Target(spec, executor.__name__, executor, is_class=True)))
        return subjects[-1]

    yield make
    for subject in subjects:
        subject.close()


# ---- attempts ----------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["answer", "spin"])
def test_a_killed_attempt_is_gone_whatever_it_was_at(tmp_path: Path, command: str) -> None:
    with Mailbox(tmp_path) as box:
        worker = subprocess.Popen([sys.executable, "-c", WORKER.format(box.address)])
        box.arrival(1).result(timeout=60)
        attempt = box.attempts[0]
        assert attempt.ask(do=command).result(timeout=60) == {"did": command, "failed": ""}
        assert not attempt.gone.done()

        worker.kill()
        attempt.gone.result(timeout=60)

        assert attempt.ask(do="answer").result(timeout=60) is None
    assert worker.wait() == -signal.SIGKILL


def test_a_stopped_attempt_is_not_taken_for_a_dead_one(tmp_path: Path) -> None:
    with Mailbox(tmp_path) as box:
        worker = subprocess.Popen([sys.executable, "-c", WORKER.format(box.address)])
        box.arrival(1).result(timeout=60)
        attempt = box.attempts[0]
        os.kill(worker.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, worker.pid, os.WSTOPPED)
        asked = attempt.ask(do="answer")
        with pytest.raises(TimeoutError):
            attempt.gone.result(timeout=0.05)

        os.kill(worker.pid, signal.SIGCONT)

        assert asked.result(timeout=60) == {"did": "answer", "failed": ""}
        attempt.tell(do="return", value=None)
        worker.wait()


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_an_attempt_that_a_forked_process_outlives_is_gone(tmp_path: Path) -> None:
    with Mailbox(tmp_path) as box:
        thread = threading.Thread(target=report_home, args=(box.address,))
        thread.start()
        box.arrival(1).result(timeout=60)
        # It has every open file of this process, as the workers of a forking backend have.
        child = os.fork()
        if not child:
            signal.pause()
        try:
            box.attempts[0].tell(do="return", value=None)
            box.attempts[0].gone.result(timeout=60)
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        thread.join()


def test_a_held_attempt_ends_when_the_suite_dies(tmp_path: Path) -> None:
    suite = (
        "from pathlib import Path\n"
        "from pytest_asyncexec.conformance.instruments.mailbox import Mailbox\n"
        f"with Mailbox(Path({str(tmp_path)!r})) as box:\n"
        "    print(flush=True)\n"
        "    box.arrival(1).result()\n"
        "    import os; os._exit(3)\n"
    )
    dying = subprocess.Popen([sys.executable, "-c", suite], stdout=subprocess.PIPE)
    assert dying.stdout is not None
    with dying.stdout as ready:
        ready.readline()

        with pytest.raises(ConnectionError):
            report_home(str(tmp_path))
    assert dying.wait() == 3


def test_who_comes_too_late_is_turned_away(tmp_path: Path) -> None:
    with Mailbox(tmp_path) as box:
        pass

    with pytest.raises(ConnectionRefusedError):
        report_home(box.address)
    assert not box.attempts


def test_what_else_is_in_the_folder_is_no_attempt(tmp_path: Path) -> None:
    def answer(attempt: Attempt, number: int) -> None:
        attempt.tell(do="return", value=number)

    (tmp_path / "stranger.said").write_bytes(b"hello\n")
    (tmp_path / "folder.said").mkdir()
    (tmp_path / "notes").write_text("nothing")
    with Mailbox(tmp_path, answer) as box:
        assert report_home(box.address) == 1


def test_no_file_is_left_open(tmp_path: Path) -> None:
    with Mailbox(tmp_path, lambda attempt, number: attempt.tell(do="return", value=1)) as box:
        for _ in range(3):
            report_home(box.address)
        for attempt in box.attempts:
            attempt.gone.result(timeout=60)

    held = [os.path.realpath(f"/dev/fd/{number}") for number in range(256)]
    assert not [path for path in held if path.startswith(str(tmp_path))]


def test_a_system_without_such_locks_is_told_from_others(tmp_path: Path) -> None:
    with mock.patch.object(mailbox, "fcntl", None), pytest.raises(OSError, match="no flock"):
        Mailbox(tmp_path)


# ---- subjects ----------------------------------------------------------------------------------


def test_who_can_connect_is_not_written_to(subject_of) -> None:
    subject = subject_of(LocalExecutor)

    assert subject.preflight().reaches_beacon
    assert not subject.preflight().reaches_mailbox
    with subject.beacon() as beacon:
        assert isinstance(beacon, NetworkBeacon)


def test_who_cannot_connect_is_written_to(subject_of) -> None:
    subject = subject_of(NoNetwork)

    assert not subject.preflight().reaches_beacon
    assert subject.preflight().reaches_mailbox
    assert "no connection to the suite" in subject.preflight().summary
    subject.need_beacon()
    with subject.beacon(lambda attempt, number: attempt.tell(do="return", value="told")) as box:
        assert isinstance(box, Mailbox)
        assert subject.run(subject.build(), report_home, box.address).result == "told"


def test_where_neither_is_possible_checks_end(subject_of, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox, "fcntl", None)
    subject = subject_of(NoNetwork)

    assert not subject.preflight().run_error
    with pytest.raises(CouldNotRun, match="cannot connect to the suite, and cannot lock its files"):
        subject.need_beacon()


class _CallsItOffline(AsyncBaseExecutor):
    cannot = frozenset({"streams"})

    async def run(self, function, args, kwargs, task_metadata):
        with mock.patch("socket.create_connection", side_effect=OSError("unreachable")):
            return function(*args, **kwargs)


def test_who_blocks_the_event_loop_is_found_without_a_connection(
    subject_of, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "RESCUE", 0.3)

    facts = subject_of(_CallsItOffline).preflight()

    assert facts.reaches_mailbox
    assert "the event loop is blocked at" in facts.blocks_loop_at
