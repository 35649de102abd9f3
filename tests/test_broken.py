"""Each rule can fail: a wrong executor per rule, judged by that rule's check."""

from __future__ import annotations

import pytest
from pytest_asyncexec.conformance.rules import RULES, UNCHECKED
from pytest_asyncexec.conformance.runner import judge_target

from broken import Wrong, all_wrong
from pytest_asyncexec.targets import Target

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
    assert "required:" in finding.message


def test_every_rule_with_a_check_has_a_wrong_executor() -> None:
    assert {wrong.rule for wrong in WRONG} == RULES.keys() - UNCHECKED
