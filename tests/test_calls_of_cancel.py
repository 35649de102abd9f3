"""Tasks that are cancelled for several rules, at once where there are places enough for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from unittest import mock

import pytest
from pytest_asyncexec.broken.cancellation import CancelsTheDispatch, EndsTheWorkerAlone
from pytest_asyncexec.broken.matrix import near_guards
from pytest_asyncexec.conformance.runner import judge_target
from pytest_asyncexec.conformance.scenarios import calls_of_cancel
from pytest_asyncexec.conformance.subject.subject import Subject
from pytest_asyncexec.reference_executor import LocalExecutor

from pytest_asyncexec.contract.verdict import RuleOutcome
from pytest_asyncexec.targets.target import Target

RULES = ("CAN-04", "CAN-08", "CAN-09")


@pytest.fixture(params=[1, 16], ids=["one place seen", "places seen"])
def places(request: pytest.FixtureRequest) -> Iterator[int]:
    """How many tasks have been seen at once."""
    with mock.patch.object(Subject, "most_at_once", request.param):
        yield request.param


def judged(executor: Callable[..., Any]) -> tuple[dict[str, RuleOutcome], int]:
    """What the rules say of it, and how often tasks of the one kind were cancelled alone."""
    target = Target(f"{__name__}:executor", "executor", executor, False)
    alone = mock.patch.object(calls_of_cancel, "told_alone", wraps=calls_of_cancel.told_alone)
    with near_guards(), alone as told_alone:
        return judge_target(target, RULES, "quick"), told_alone.call_count


def test_a_right_executor_is_right_either_way(places: int) -> None:
    found, alone = judged(partial(LocalExecutor, max_workers=16))

    assert {rule: each.outcome for rule, each in found.items()} == dict.fromkeys(RULES, "passed")
    assert alone == (1 if places == 1 else 0)


@pytest.mark.parametrize(
    ("executor", "rule", "words"),
    [
        (
            partial(CancelsTheDispatch, max_workers=16),
            "CAN-09",
            "was gone, too: execute returned status CANCELLED",
        ),
        (EndsTheWorkerAlone, "CAN-04", "returned True, and its child still runs"),
    ],
)
def test_a_wrong_one_is_told_of_by_the_rule_that_it_breaks(
    places: int, executor: Callable[..., Any], rule: str, words: str
) -> None:
    found, alone = judged(executor)

    assert found[rule].outcome == "failed"
    assert words in found[rule].message
    assert alone == 1
    if rule == "CAN-09":
        assert found["CAN-04"].outcome == found["CAN-08"].outcome == "passed"
