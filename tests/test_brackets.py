"""Brackets: which histories match `(setup run+ teardown)+`, and what is said of the others."""

from __future__ import annotations

import pytest
from pytest_asyncexec.conformance.instruments.brackets import (
    brackets,
    miscounted,
    misplaced_attempt,
)
from pytest_asyncexec.conformance.instruments.history import METHODS, Event, History

NAMES = {"s": "setup", "r": "run", "t": "teardown"}


def history(steps: str) -> History:
    """A call per letter; in capitals it begins only, and a `.` ends the one that did so last."""
    events, begun = [], []
    for number, letter in enumerate(steps):
        if letter == ".":
            call, method = begun.pop()
            events.append(Event(call, method, "returns", {}))
            continue
        method = NAMES[letter.lower()]
        events.append(Event(number, method, "begins", {}))
        if letter.isupper():
            begun.append((number, method))
        else:
            events.append(Event(number, method, "returns", {}))
    return History(events)


@pytest.mark.parametrize(
    ("steps", "has"),
    [
        ("srt", METHODS),
        ("srrrt", METHODS),
        ("srtsrt", METHODS),
        ("sRr.t", METHODS),
        ("rt", ("run", "teardown")),
        ("rtrt", ("run", "teardown")),
        ("rrt", ("run", "teardown")),
        ("srr", ("setup", "run")),
        ("srsr", ("setup", "run")),
        ("r", ("run",)),
        ("rr", ("run",)),
    ],
)
def test_a_right_history(steps: str, has: tuple[str, ...]) -> None:
    assert misplaced_attempt(history(steps), has) is None
    assert miscounted(history(steps), has) is None


@pytest.mark.parametrize(
    ("steps", "says"),
    [
        ("rt", "run began before setup had returned"),
        ("Sr.t", "run began before setup had returned"),
        ("srtrt", "run began after teardown, without a setup of its own"),
        ("sRt.", "teardown began while run was still going on"),
        ("sr", "no teardown came after the last run"),
        ("srtsr", "no teardown came after the last run"),
    ],
)
def test_an_attempt_out_of_place(steps: str, says: str) -> None:
    assert misplaced_attempt(history(steps), METHODS) == says


@pytest.mark.parametrize(
    ("steps", "says"),
    [
        ("ssrt", "in the bracket, setup was called 2 times"),
        ("srtt", "in the bracket, teardown was called 2 times"),
        ("sr", "in the bracket, teardown was called 0 times"),
        ("rt", "in the bracket, setup was called 0 times"),
        ("srsrt", "in bracket 1 of 2, teardown was called 0 times"),
        ("srT", "in the bracket, teardown was begun and not awaited"),
    ],
)
def test_a_bracket_with_too_many_or_too_few(steps: str, says: str) -> None:
    found = miscounted(history(steps), METHODS)

    assert found is not None
    assert found.startswith(says)


def test_nothing_has_no_brackets() -> None:
    assert brackets(History()) == []
