"""Tasks of every kind at once, and the ones that come next, as one scenario."""

from __future__ import annotations

import concurrent.futures
import dataclasses
from collections.abc import Callable, Iterator

import pytest
from pytest_asyncexec.broken.results import PoolOfProcesses
from pytest_asyncexec.conformance.runner import judge_target
from pytest_asyncexec.conformance.scenarios.leaving import CHILD, LOOKER, WRITER, Left
from pytest_asyncexec.conformance.scenarios.succession import succession_of
from pytest_asyncexec.conformance.subject.subject import Subject
from pytest_asyncexec.conformance.test_inside_tasks import (
    test_RES_16_must_not_wait_for_what_a_task_leaves as waiting_is_judged,
)
from pytest_asyncexec.reference_executor import LocalExecutor, ThreadExecutor

from pytest_asyncexec.targets.target import Target


def target(executor: type) -> Target:
    return Target("tests:executor", "executor", executor, is_class=True)


@pytest.fixture
def subject_of() -> Iterator[Callable[[type], Subject]]:
    subjects: list[Subject] = []

    def make(executor: type) -> Subject:
        subjects.append(Subject(target(executor), "quick"))
        subjects[-1].preflight()
        return subjects[-1]

    yield make
    for subject in subjects:
        subject.close()


def test_nothing_is_tried_on_the_process_of_the_suite_itself(
    subject_of: Callable[[type], Subject], capfd: pytest.CaptureFixture[str]
) -> None:
    found = succession_of(subject_of(ThreadExecutor))

    assert {ending.trial.rule_id for ending in found.first} == {"RES-14", "RES-15", "RES-16"}
    assert not [str(each.seen) for each in (*found.first, *found.second) if not each.seen.completed]
    # What is written below Python is heard by nobody.
    assert capfd.readouterr() == ("", "")


def test_tasks_that_cannot_be_talked_to_leave_nothing(
    subject_of: Callable[[type], Subject],
) -> None:
    subject = subject_of(LocalExecutor)
    facts = subject.preflight()
    subject._preflight = dataclasses.replace(facts, reaches_beacon=False, reaches_mailbox=False)

    with pytest.raises(BaseException, match="it cannot count or hold them"):
        waiting_is_judged(subject)
    found = succession_of(subject)

    assert not [ending for ending in found.first if ending.trial.leaves]
    assert found.of("RES-14")[0].returned["run"]
    assert subject.findings["RES-16"].outcome == "could_not_run"


class ThreeWorkers(PoolOfProcesses):
    """Takes turns with three, each of which is as the task before has left it."""

    pools = None
    turn = 0

    async def run(self, function, args, kwargs, task_metadata):
        cls = type(self)
        if cls.pools is None:
            import multiprocessing

            context = multiprocessing.get_context("spawn")
            make = concurrent.futures.ProcessPoolExecutor
            cls.pools = [make(1, mp_context=context) for _ in range(3)]
        cls.turn += 1
        cls.pool = cls.pools[cls.turn % 3]
        return await super().run(function, args, kwargs, task_metadata)


def test_what_one_of_several_workers_keeps_is_found() -> None:
    rules = {"ISO-01", "ISO-02", "ISO-04"}

    found = judge_target(target(ThreeWorkers), rules, "quick")

    assert {rule_id: found[rule_id].outcome for rule_id in rules} == dict.fromkeys(rules, "failed")
    for pool in ThreeWorkers.pools:
        pool.shutdown()


# ---- who is held, and who is let go ------------------------------------------------------------


class Line:
    """One attempt that reports, and what it is told."""

    def __init__(self, label: str) -> None:
        self.hello = {"label": label}
        self.gone: concurrent.futures.Future[None] = concurrent.futures.Future()
        self.told = 0

    def tell(self, **command: object) -> None:
        assert command == {"do": "return", "value": None}
        self.told += 1


def test_a_task_returns_when_what_it_leaves_is_there_and_not_before() -> None:
    left, task, other, child = Left(), Line("task 1"), Line("task 2"), Line("child 1")

    for number, line in enumerate((task, other), 1):
        left(line, number)
    assert (task.told, left.begun(1)) == (0, False)
    left(child, 3)

    assert (task.told, other.told, child.told) == (1, 0, 0)
    assert left.begun(1)
    assert not left.begun(2)


def test_a_task_that_reports_after_what_it_leaves_returns_at_once() -> None:
    left, task = Left(), Line("task 1")

    left(Line("thread 1"), 1)
    left(task, 2)

    assert task.told == 1


def test_only_who_is_named_is_let_go_now_and_later() -> None:
    left, child, writer, late = Left(), Line("child 1"), Line("writer 2"), Line("child 3")
    left(child, 1)
    left(writer, 2)

    left.let_go(CHILD, LOOKER)
    left(late, 3)

    assert (child.told, late.told, writer.told) == (1, 1, 0)
    assert left.holds(WRITER) == 1
    writer.gone.set_result(None)
    assert left.holds(WRITER) == 0


def test_who_has_written_is_counted_and_goes() -> None:
    left, wrote = Left(), Line("has written 2")

    left(Line("writer 2"), 1)
    left(wrote, 2)

    assert (left.written, wrote.told) == (1, 1)
