"""The watch over a check's call: its errors come back, and what never ends is given up."""

from __future__ import annotations

import threading
import time

import pytest
from pytest_asyncexec.conformance.instruments.loop import Hang
from pytest_asyncexec.conformance.instruments.watch import Abandoned, Watch


def test_a_call_that_returns_ends_in_no_error() -> None:
    assert Watch().call(lambda: None, patience=60) is None


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_the_error_of_a_call_is_returned(kind: type[BaseException]) -> None:
    def call() -> None:
        raise kind("of the call")

    error = Watch().call(call, patience=60)

    assert type(error) is kind


def test_a_call_that_waits_for_ever_is_a_hang_that_names_the_line() -> None:
    released = threading.Event()

    with pytest.raises(Hang, match=r"released\.wait"):
        Watch().call(lambda: released.wait() and None, patience=1)
    released.set()


def test_a_call_that_spins_is_ended() -> None:
    threads = []

    def spin() -> None:
        threads.append(threading.current_thread())
        while True:
            pass

    with pytest.raises(Hang, match="in spin"):
        Watch().call(spin, patience=1)
    threads[0].join(timeout=60)
    assert not threads[0].is_alive()


def test_signs_of_life_are_waited_for() -> None:
    watch = Watch()

    def slow() -> None:
        # Three times as long as anybody is waited for without a sign.
        for _ in range(30):
            time.sleep(0.1)
            watch.sign()

    assert watch.call(slow, patience=1) is None


def test_what_another_watchdog_guards_is_waited_for() -> None:
    watch = Watch()

    def slow() -> None:
        with watch.elsewhere():
            time.sleep(2)

    assert watch.call(slow, patience=0.5) is None


def test_a_call_that_was_given_up_can_do_no_more() -> None:
    watch = Watch()
    released, done = threading.Event(), threading.Event()
    ended_in: list[BaseException] = []

    def late() -> None:
        try:
            released.wait()
            watch.sign()
        except BaseException as error:
            ended_in.append(error)
        done.set()

    with pytest.raises(Hang):
        watch.call(late, patience=1)
    released.set()
    assert done.wait(60)
    # Either the end that it was sent, or the refusal of whatever it asks for next.
    assert isinstance(ended_in[0], SystemExit | Abandoned)
