"""Fixtures of the suite: functions of a plugin module, so that a root conftest can replace them."""

from __future__ import annotations

import pytest

from ..conformance.subject.subject import Subject
from ..targets.target import Target
from .selection import PLAN

SUBJECTS = pytest.StashKey[dict[str, Subject]]()


def subject_of(config: pytest.Config, target: Target) -> Subject:
    """The one subject of this run for `target`, made when it is first asked for."""
    subjects = config.stash.setdefault(SUBJECTS, {})
    if target.name not in subjects:
        plan = config.stash[PLAN]
        subjects[target.name] = Subject(target, plan.profile, contract=plan.contract)
    return subjects[target.name]


def close_subjects(config: pytest.Config) -> None:
    """End what the subjects of this run still hold."""
    subjects = config.stash.get(SUBJECTS, {})
    while subjects:
        subjects.popitem()[1].close()


@pytest.fixture(scope="session")
def asyncexec_subject(request: pytest.FixtureRequest) -> Subject:
    """The executor under judgement; parametrised over the targets of the run."""
    return subject_of(request.config, request.param)
