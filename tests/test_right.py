"""No false alarms: right executors of very different make pass."""

from __future__ import annotations

import pytest
from right import SPECS

from pytest_asyncexec.conformance.rules import RULES, UNCHECKED
from pytest_asyncexec.conformance.runner import judge_target
from pytest_asyncexec.targets import load_target

#: What these executors honestly cannot do, by rule.
NOT_APPLICABLE = {"TIM-02", "TIM-04", "RES-06", "CAN-01", "STR-09", "STR-10"}


@pytest.mark.parametrize("spec", SPECS)
def test_a_right_executor_fails_nothing(spec: str) -> None:
    findings = judge_target(load_target(spec))

    assert findings.keys() == RULES.keys() - UNCHECKED
    wrong = {
        finding.rule_id: f"{finding.outcome}: {finding.message}"
        for finding in findings.values()
        if finding.outcome != "passed"
        and not (finding.outcome == "not_applicable" and finding.rule_id in NOT_APPLICABLE)
    }
    assert not wrong, "\n\n".join(wrong.values())
