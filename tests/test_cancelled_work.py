"""CAN-02 where tasks cannot connect to the suite: a shared file shows whether they go on."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from pytest_asyncexec.broken.cancellation import ForgetsTheWork
from pytest_asyncexec.conformance.subject.exceptions import RuleViolation
from pytest_asyncexec.conformance.subject.subject import Subject
from pytest_asyncexec.conformance.test_cancellation import (
    test_CAN_02_must_have_stopped_the_work_of_a_cancelled_task as judge_work,
)
from pytest_asyncexec.reference_executor import LocalExecutor

from pytest_asyncexec.targets.target import Target

judge_work.__test__ = False  # type: ignore[attr-defined]


def _deaf(executor: Any, monkeypatch: pytest.MonkeyPatch) -> Subject:
    subject = Subject(Target(executor.__name__, executor.__name__, executor, is_class=True))
    seen = dataclasses.replace(subject.preflight(), reaches_beacon=False)
    monkeypatch.setattr(subject, "preflight", lambda: seen)
    return subject


def test_work_that_writes_on_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = _deaf(ForgetsTheWork, monkeypatch)
    with pytest.raises(RuleViolation, match="its file grew to"):
        judge_work(subject)
    subject.close()


def test_work_that_has_stopped_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = _deaf(LocalExecutor, monkeypatch)
    judge_work(subject)
    subject.close()
