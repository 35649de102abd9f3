"""No false alarms: right executors of very different make pass."""

from __future__ import annotations

import pytest
from pytest_asyncexec.broken.matrix import workers
from pytest_asyncexec.conformance.runner import judge_target

from pytest_asyncexec.contract.catalogue import RULES
from pytest_asyncexec.contract.verdict import judge
from pytest_asyncexec.targets.loading import load_target
from right import SPECS

_NOBODY_STOPS_IT = {
    *("TIM-02", "TIM-03", "TIM-04", "TIM-05", "TIM-06", "TIM-07", "TIM-09"),
    *("TIM-10", "RET-06", "CAN-02", "CAN-08", "CAN-09"),
}
_NOTHING_IS_CAPTURED = {"RES-06", "RES-13", "RET-07", "ISO-03"}
_NO_CANCEL = {"CAN-04", "CAN-08", "CAN-09"}
_PLAIN_WRITER = {"STR-09", "STR-10"}
_PLAIN_METHODS = {"CAN-01", "CAN-05", "CAN-06", "CAN-07", "CAN-11"} | _PLAIN_WRITER
_NO_WORKER = {
    *("RES-09", "RES-17", "RES-18", "RET-10", "HYG-05"),
    *("ISO-01", "ISO-02", "ISO-03", "ISO-04", "ISO-05"),
}
_IN_PROCESS = _NOBODY_STOPS_IT | _NOTHING_IS_CAPTURED | _NO_WORKER

#: The rules that speak of what an executor honestly cannot do; none for those not listed.
NOT_APPLICABLE = {
    "right.makes:BracketPerAttempt": _IN_PROCESS | _NO_CANCEL,
    "right.makes:DataclassExecutor": _IN_PROCESS | _NO_CANCEL,
    "right.makes:EnumeratedStatus": _IN_PROCESS | _NO_CANCEL,
    "right.makes:GroupedExecutor": _IN_PROCESS | _NO_CANCEL,
    "right.makes:OwnExecute": _IN_PROCESS | {"STR-11"},
    "right.makes:PartialRun": _IN_PROCESS | _NO_CANCEL,
    "right.makes:PropertiesExecutor": _IN_PROCESS | _NO_CANCEL,
    "right.makes:Registered": _IN_PROCESS | _NO_CANCEL,
    "right.makes:SlotsExecutor": _IN_PROCESS | _NO_CANCEL,
    "right.makes:SlowSetup": _IN_PROCESS | _NO_CANCEL,
    "right.makes:SynchronousExecutor": _IN_PROCESS | _PLAIN_METHODS,
    "right.makes:Temperamental": _IN_PROCESS | _NO_CANCEL,
    "right.makes:Validating": _IN_PROCESS | _NO_CANCEL,
    "right.makes:make_proxy": _IN_PROCESS | _NO_CANCEL,
    "right.synchronous:BlockingJobs": _PLAIN_WRITER,
    "right.synchronous:CallsItHere": _IN_PROCESS | _NO_CANCEL | _PLAIN_WRITER,
    "right.workers:ChattyExecutor": _IN_PROCESS | _NO_CANCEL,
    "right.workers:KeywordsEverywhere": _IN_PROCESS,
    "right.workers:PersistentWorker": _NOTHING_IS_CAPTURED | _NO_CANCEL,
    "right.workers:PollingExecutor": _NO_CANCEL,
    "pytest_asyncexec.reference_executor:ThreadExecutor": _IN_PROCESS | _NO_CANCEL,
}

#: What is no MUST, and is told.
BROKEN_SHOULD = {"right.makes:OwnExecute": {"CAN-06", "CAN-10"}}


#: Those that are not about how a worker is started, which costs ten times what a warm one does.
WARM = {
    "right.makes:FilesExecutor",
    "right.makes:QueueingExecutor",
    "right.makes:make_cluster_executor",
    "right.workers:NoNetwork",
    "right.workers:TriesAgainWhenAWorkerDies",
}


@pytest.mark.parametrize("spec", SPECS)
def test_a_right_executor_fails_nothing(spec: str) -> None:
    with workers(warm=spec in WARM):
        findings = judge_target(load_target(spec))

    assert findings.keys() == RULES.keys()
    by_outcome: dict[str, set[str]] = {}
    for finding in findings.values():
        by_outcome.setdefault(finding.outcome, set()).add(finding.rule_id)
    honest = by_outcome.pop("not_applicable", set())
    passed = by_outcome.pop("passed")
    told = by_outcome.get("failed", set())
    if told == BROKEN_SHOULD.get(spec, set()):
        by_outcome.pop("failed", None)
    assert not by_outcome, "\n\n".join(
        findings[rule_id].message for rule_ids in by_outcome.values() for rule_id in rule_ids
    )
    assert honest == NOT_APPLICABLE.get(spec, set())
    assert passed == findings.keys() - honest - told
    assert not [rule_id for rule_id in told if RULES[rule_id].obligation == "MUST"]
    assert judge(findings.values()).verdict == "conformant"
