"""What an executor declares that it cannot, held against what was seen of it."""

from __future__ import annotations

import pytest
from pytest_asyncexec.broken.matrix import workers
from pytest_asyncexec.broken.retries import GivesTheTaskToAnotherWorker, TakesADeathForTheEnd
from pytest_asyncexec.conformance.runner import judge_target
from pytest_asyncexec.reference_executor import LocalExecutor

from pytest_asyncexec.contract.verdict import RuleOutcome
from pytest_asyncexec.targets.target import Target


class SaysNothingIsCaptured(LocalExecutor):
    """Captures whatever its tasks print."""

    cannot = frozenset({"streams"})


class SaysNothingIsShared(LocalExecutor):
    """Runs its tasks on this machine."""

    cannot = frozenset({"shared-files"})


class SaysNothingCanBeStopped(LocalExecutor):
    """Kills its workers where it is told to."""

    cannot = frozenset({"stop"})


class MayRunATaskTwice(GivesTheTaskToAnotherWorker):
    """Says what its backend does."""

    cannot = frozenset({"at-most-once"})


class MayRunATaskTwiceAndDoesNotTryAgain(TakesADeathForTheEnd):
    """Says what its backend might do, and makes no retries where a worker dies."""

    cannot = frozenset({"at-most-once"})


def _judged(executor: type, rule_id: str) -> RuleOutcome:
    target = Target(f"{__name__}:{executor.__name__}", executor.__name__, executor, is_class=True)
    with workers(warm=True):
        return judge_target(target, {rule_id}, "quick")[rule_id]


@pytest.mark.parametrize("rule_id", ["RES-06", "RES-13", "RET-07"])
def test_streams_that_are_captured_cannot_be_declared_absent(rule_id: str) -> None:
    found = _judged(SaysNothingIsCaptured, rule_id)

    assert found.outcome == "failed"
    assert "the executor declares that it cannot: streams; and yet" in found.message


def test_files_that_are_shared_cannot_be_declared_absent() -> None:
    found = _judged(SaysNothingIsShared, "TIM-03")

    assert found.outcome == "failed"
    assert "the executor declares that it cannot: shared-files; and yet" in found.message


def test_who_stops_a_task_cannot_declare_that_nobody_can() -> None:
    found = _judged(SaysNothingCanBeStopped, "CAN-04")

    assert found.outcome == "failed"
    assert "by that the task has ended; the executor declares that it cannot: stop" in found.message


def test_a_declared_second_run_of_a_lost_task_is_right() -> None:
    assert _judged(MayRunATaskTwice, "RET-10").outcome == "passed"


def test_a_declared_second_run_is_no_reason_for_fewer_attempts() -> None:
    found = _judged(MayRunATaskTwiceAndDoesNotTryAgain, "RET-10")

    assert found.outcome == "failed"
    assert "with retries=2: it was attempted 1 time" in found.message
