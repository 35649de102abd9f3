"""Brackets: which histories match `(setup run+ teardown)+`, and what is said of the others."""

from __future__ import annotations

import pytest
from pytest_asyncexec.conformance.instruments.brackets import (
    brackets,
    cut_short,
    left_out,
    misplaced_attempt,
    not_torn_down,
    repeated,
)
from pytest_asyncexec.conformance.instruments.history import METHODS, Event, History

ALL = (repeated, misplaced_attempt, not_torn_down, cut_short, left_out)

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
    assert [judged(history(steps), has) for judged in ALL] == [None] * len(ALL)


@pytest.mark.parametrize(
    ("steps", "says"),
    [
        ("rt", "run began before setup had returned"),
        ("Sr.t", "run began before setup had returned"),
        ("srtrt", "run began after teardown, without a setup of its own"),
        ("sRt.", "teardown began while run was still going on"),
    ],
)
def test_an_attempt_out_of_place(steps: str, says: str) -> None:
    assert misplaced_attempt(history(steps), METHODS) == says


@pytest.mark.parametrize("steps", ["sr", "srtsr", "srrtsrr"])
def test_an_attempt_without_teardown(steps: str) -> None:
    assert not_torn_down(history(steps), METHODS) == "no teardown came after the last run"


@pytest.mark.parametrize(
    ("steps", "says"),
    [
        ("ssrt", "in the bracket, setup was called 2 times"),
        ("srtt", "in the bracket, teardown was called 2 times"),
    ],
)
def test_a_bracket_with_too_many(steps: str, says: str) -> None:
    assert repeated(history(steps), METHODS) == says


@pytest.mark.parametrize(
    ("steps", "says"),
    [
        ("sr", "in the bracket, teardown was called 0 times"),
        ("rt", "in the bracket, setup was called 0 times"),
        ("srsrt", "in bracket 1 of 2, teardown was called 0 times"),
        ("Srt", "setup was begun and not awaited: it was still going on when execute ended"),
    ],
)
def test_a_bracket_with_too_few(steps: str, says: str) -> None:
    assert left_out(history(steps), METHODS) == says


def test_a_teardown_that_did_not_come_to_its_end() -> None:
    begun = history("srT")
    cancelled = History([*begun.events, Event(2, "teardown", "is cancelled", {})])

    assert cut_short(begun, METHODS) == (
        "teardown was begun and not awaited: it was still going on when execute ended"
    )
    assert cut_short(cancelled, METHODS) == "teardown was cancelled before its end"


def test_nothing_has_no_brackets() -> None:
    assert brackets(History()) == []
