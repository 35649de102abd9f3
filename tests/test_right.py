"""No false alarms: right executors of very different make pass."""

from __future__ import annotations

import pytest
from pytest_asyncexec.conformance.rules import RULES
from pytest_asyncexec.conformance.runner import judge_target

from pytest_asyncexec.targets import load_target
from right import SPECS

_IN_PROCESS = {"TIM-02", "TIM-04", "RES-06"}
_PLAIN_METHODS = {"CAN-01", "STR-09", "STR-10"}

#: The rules that speak of what an executor honestly cannot do; none for those not listed.
NOT_APPLICABLE = {
    "right.makes:BracketPerAttempt": _IN_PROCESS,
    "right.makes:DataclassExecutor": _IN_PROCESS,
    "right.makes:EnumeratedStatus": _IN_PROCESS,
    "right.makes:GroupedExecutor": _IN_PROCESS,
    "right.makes:OwnExecute": _IN_PROCESS | {"STR-11"},
    "right.makes:PartialRun": _IN_PROCESS,
    "right.makes:PropertiesExecutor": _IN_PROCESS,
    "right.makes:Registered": _IN_PROCESS,
    "right.makes:SlotsExecutor": _IN_PROCESS,
    "right.makes:SlowSetup": _IN_PROCESS,
    "right.makes:SynchronousExecutor": _IN_PROCESS | _PLAIN_METHODS,
    "right.makes:Temperamental": _IN_PROCESS,
    "right.makes:Validating": _IN_PROCESS,
    "right.makes:make_proxy": _IN_PROCESS,
    "pytest_asyncexec.reference_executor:ThreadExecutor": _IN_PROCESS,
}


@pytest.mark.parametrize("spec", SPECS)
def test_a_right_executor_fails_nothing(spec: str) -> None:
    findings = judge_target(load_target(spec))

    assert findings.keys() == RULES.keys()
    by_outcome: dict[str, set[str]] = {}
    for finding in findings.values():
        by_outcome.setdefault(finding.outcome, set()).add(finding.rule_id)
    honest = by_outcome.pop("not_applicable", set())
    passed = by_outcome.pop("passed")
    assert not by_outcome, "\n\n".join(
        findings[rule_id].message for rule_ids in by_outcome.values() for rule_id in rule_ids
    )
    assert honest == NOT_APPLICABLE.get(spec, set())
    assert passed == findings.keys() - honest
