"""What breaks a backend for good is judged apart: each rule by its own merits."""

from __future__ import annotations

import asyncio
import functools
import os
from pathlib import Path

import pytest
from pytest_asyncexec.broken.results import NeverReplacesItsPool
from pytest_asyncexec.conformance.runner import judge_target
from pytest_asyncexec.conformance.scenarios.unbroken import settle
from pytest_asyncexec.conformance.subject.exceptions import CouldNotRun, RuleViolation
from pytest_asyncexec.conformance.subject.subject import Subject
from pytest_asyncexec.reference_executor import LocalExecutor, ThreadExecutor

from pytest_asyncexec import TaskRuntimeError
from pytest_asyncexec.contract.catalogue import RULES
from pytest_asyncexec.targets.loading import load_target
from pytest_asyncexec.targets.target import Target

BREAKING = {"CAN-05", "RES-08", "RES-09", "RES-10", "RES-12"}


class Pooled(NeverReplacesItsPool):
    """Has a pool of its own, for what breaks here stays broken in this process."""


def test_a_pool_that_breaks_for_good_is_no_fault_of_the_other_rules(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[1])  # for the fresh process
    target = load_target(f"{__name__}:Pooled")

    left_behind = ("HYG-01", "HYG-02", "HYG-03", "HYG-04")
    asked = {*BREAKING, *left_behind, "RES-01"}
    found = judge_target(target, only=asked, profile="quick", strength=1)

    # Tasks that end their worker are among those that are looked at for what they leave.
    for rule in ("RES-01", *left_behind, "CAN-05", "RES-08"):
        assert found[rule].outcome == "passed", found[rule].message
    assert found["RES-09"].outcome == "failed"
    # What cannot be loaded takes a worker of this pool along, which no other rule is to tell.
    assert "the Unloadable" not in found["RES-09"].message
    assert "unpickling raises for its argument" in found["RES-10"].message


class Broken(ThreadExecutor):
    """Works once."""

    tasks = 0

    async def run(self, function, args, kwargs, task_metadata):
        type(self).tasks += 1
        if self.tasks > 1:
            raise TaskRuntimeError("the pool is broken")
        return await super().run(function, args, kwargs, task_metadata)


def _decide(subject: Subject) -> None:
    subject.fail(seen=f"apart: {subject.apart}", required="nothing")


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[1])  # for the fresh process
    Broken.tasks = 0
    subject = Subject(load_target(f"{__name__}:Broken"))
    subject.rule = RULES["RES-12"]
    subject.preflight()
    yield subject
    subject.close()


def test_where_ordinary_tasks_fail_a_fresh_process_judges(broken: Subject) -> None:
    with pytest.raises(RuleViolation, match="apart: True"):
        settle(broken, _decide)


def test_what_was_found_before_is_told_where_they_work() -> None:
    subject = Subject(Target("nowhere:Thread", "Thread", ThreadExecutor, True))
    subject.rule = RULES["RES-12"]

    with pytest.raises(CouldNotRun, match="as it was"):
        settle(subject, _decide, CouldNotRun("as it was"))
    with pytest.raises(RuleViolation, match="apart: False"):
        settle(subject, _decide)
    subject.close()


def test_a_target_that_no_fresh_process_finds_could_not_be_judged() -> None:
    Broken.tasks = 0
    subject = Subject(Target("nowhere:Broken", "Broken", Broken, True))
    subject.rule = RULES["RES-12"]
    subject.preflight()

    with pytest.raises(
        CouldNotRun, match=r"the pool is broken.*; in a process of its own .*'nowhere"
    ):
        settle(subject, _decide)
    subject.close()


class HelpsItself(LocalExecutor):
    """Runs a task in the host where its worker died."""

    async def run(self, function, args, kwargs, task_metadata):
        try:
            return await super().run(function, args, kwargs, task_metadata)
        except TaskRuntimeError as error:
            if "without a result" not in str(error):
                raise
            return await asyncio.to_thread(function, *args, **kwargs)


def test_a_task_that_ends_the_very_process_of_the_suite_does_not() -> None:
    target = load_target(f"{__name__}:HelpsItself")

    found = judge_target(target, only={"RES-08", "RES-09"}, strength=1)

    assert found["RES-09"].outcome == "failed"
    assert "os._exit(" in found["RES-09"].message
    assert found["RES-08"].outcome == "passed"


class OnACluster(LocalExecutor):
    """Runs on what its factory has started, and what a new worker needs is set before each task."""

    async def run(self, function, args, kwargs, task_metadata):
        os.environ["CLUSTER_OF_A_TEST"] = "its address"
        return await super().run(function, args, kwargs, task_metadata)


@functools.cache
def _start_cluster() -> None:
    os.environ["CLUSTER_OF_A_TEST"] = "its address"


def on_a_cluster() -> OnACluster:
    """As users write it."""
    _start_cluster()
    return OnACluster()


def test_what_a_factory_sets_for_its_backend_is_no_change_by_a_task(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[1])  # for the fresh process
    outcomes = {}
    for name in ("on_a_cluster", "OnACluster"):
        monkeypatch.delenv("CLUSTER_OF_A_TEST", raising=False)
        target = load_target(f"{__name__}:{name}")
        outcomes[name] = judge_target(target, only={"HYG-03"}, strength=1)["HYG-03"].outcome

    assert outcomes == {"on_a_cluster": "passed", "OnACluster": "failed"}
    monkeypatch.delenv("CLUSTER_OF_A_TEST", raising=False)
