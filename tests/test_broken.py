"""Each rule can fail: a wrong executor per rule, judged by that rule's check."""

from __future__ import annotations

import pytest
from pytest_asyncexec.broken import Wrong, all_wrong
from pytest_asyncexec.conformance.rules import RULES, UNCHECKED
from pytest_asyncexec.conformance.runner import judge_target

from pytest_asyncexec.targets import Target
from pytest_asyncexec.verdict import judge

WRONG = all_wrong()


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: f"{wrong.rule}-{wrong.spec}")
def test_a_wrong_executor_fails_its_rule_with_its_message(wrong: Wrong) -> None:
    target = Target(
        spec=wrong.spec,
        name=wrong.executor.__name__,
        build=wrong.executor,
        is_class=isinstance(wrong.executor, type),
    )

    finding = judge_target(target, only={wrong.rule})[wrong.rule]

    assert finding.outcome == "failed", finding.message
    assert finding.message.startswith(str(RULES[wrong.rule]))
    assert wrong.says in finding.message
    # A broken SHOULD is told, and condemns nobody.
    must = RULES[wrong.rule].obligation == "MUST"
    assert (judge([finding]).verdict == "nonconformant") is must
    # What a reader needs who has no debugger.
    parts = ["  seen: ", "  required: ", "  likely cause: ", "  to see it without pytest:"]
    # Where the loop was blocked before anything could be recorded, the line is the evidence.
    blocked = "the event loop is blocked at" in finding.message
    if wrong.rule[:3] in {"LIF", "TIM", "RET", "CAN", "CNC"} and not blocked:
        parts.append("  history:")
    assert not [part for part in parts if part not in finding.message], finding.message


def test_every_rule_with_a_check_has_a_wrong_executor() -> None:
    assert {wrong.rule for wrong in WRONG} == RULES.keys() - UNCHECKED
