"""Tasks that are held together, whatever the tasks of the plan have shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from pytest_asyncexec.broken.concurrency import DropsTheSign, NamesJobsByLettersAlone
from pytest_asyncexec.conformance.scenarios.mixing import mixed
from pytest_asyncexec.conformance.subject.subject import Subject
from pytest_asyncexec.reference_executor import ThreadExecutor

from pytest_asyncexec.targets.target import Target


class NamesThemForOneTurn(NamesJobsByLettersAlone):
    """Mixes up two tasks that meet in the same turn of the event loop."""

    _until_connected = 0.0


@pytest.fixture
def subject_of() -> Iterator[Callable[[type], Subject]]:
    subjects: list[Subject] = []

    def make(executor: type) -> Subject:
        subjects.append(Subject(Target("tests:executor", "executor", executor, is_class=True)))
        subjects[-1].preflight()
        return subjects[-1]

    yield make
    for subject in subjects:
        subject.close()


@pytest.mark.parametrize("executor", [NamesThemForOneTurn, DropsTheSign])
def test_ids_that_differ_in_a_sign_alone_are_held_together(subject_of, executor) -> None:
    found = mixed(subject_of(executor), "one instance")

    assert found is not None
    assert found.problem.startswith("it got what belongs to dispatch-")


@pytest.mark.parametrize("among", ["one instance", "several instances"])
def test_who_tells_them_apart_is_not_blamed(subject_of, among) -> None:
    assert mixed(subject_of(ThreadExecutor), among) is None
