"""From outcomes to a verdict and a level: every way a rule can end, and what it costs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_asyncexec.contract.catalogue import RULES
from pytest_asyncexec.contract.finding import Finding
from pytest_asyncexec.contract.rule import Level, Rule
from pytest_asyncexec.contract.verdict import Outcome, RuleOutcome, Verdict, judge, worst

CATALOGUE = {
    rule.id: rule
    for rule in (
        Rule("CON-01", "MUST", "core", ("static",), "builds"),
        Rule("CON-06", "SHOULD", "core", ("static",), "refuses"),
        Rule("TIM-02", "MUST", "resilient", ("run", "stop"), "stops"),
        Rule("SEC-01", "MUST", "hardened", ("static",), "imports nothing"),
    )
}


def verdict(demanded: Level | None = None, /, **outcomes: Outcome) -> Verdict:
    """The verdict when every rule passed but these."""
    every: dict[str, Outcome] = dict.fromkeys(CATALOGUE, "passed")
    every |= {name.replace("_", "-"): outcome for name, outcome in outcomes.items()}
    given = [RuleOutcome(*pair) for pair in every.items()]
    return judge(given, demanded=demanded, rules=CATALOGUE)


def test_all_passed_is_conformant_at_the_highest_level() -> None:
    said = verdict()

    assert (said.verdict, said.level) == ("conformant", "hardened")
    assert said.counts["passed"] == 4
    assert sum(said.counts.values()) == 4


@pytest.mark.parametrize(
    ("rule", "outcome", "expected", "level"),
    [
        ("CON_01", "failed", "nonconformant", None),
        ("CON_01", "not_applicable", "conformant", "hardened"),
        ("CON_01", "could_not_run", "incomplete", None),
        ("CON_01", "not_run", "incomplete", None),
        ("CON_06", "failed", "conformant", "hardened"),
        ("CON_06", "could_not_run", "incomplete", "hardened"),
        ("CON_06", "not_run", "incomplete", "hardened"),
        ("TIM_02", "failed", "nonconformant", "core"),
        ("TIM_02", "not_applicable", "conformant", "core"),
        ("SEC_01", "not_run", "incomplete", "resilient"),
        ("CON_01", "waived", "conformant", None),
        ("CON_06", "waived", "conformant", "hardened"),
        ("SEC_01", "waived", "conformant", "resilient"),
    ],
)
def test_one_rule_that_did_not_pass(
    rule: str, outcome: Outcome, expected: str, level: str | None
) -> None:
    said = verdict(**{rule: outcome})

    assert (said.verdict, said.level) == (expected, level)
    assert said.counts[outcome] == 1


@pytest.mark.parametrize(
    ("rule", "outcome", "demanded", "expected", "level", "missed"),
    [
        ("CON_06", "failed", "core", "conformant", "hardened", []),
        ("TIM_02", "failed", "core", "conformant", "core", []),
        ("TIM_02", "not_run", "core", "conformant", "core", []),
        ("SEC_01", "failed", "resilient", "conformant", "resilient", []),
        ("TIM_02", "failed", "resilient", "nonconformant", "core", ["TIM-02"]),
        ("TIM_02", "not_applicable", "resilient", "conformant", "core", ["TIM-02"]),
        ("TIM_02", "waived", "hardened", "conformant", "core", ["TIM-02"]),
        ("CON_01", "could_not_run", "core", "incomplete", None, ["CON-01"]),
        ("CON_06", "not_run", "core", "incomplete", "hardened", []),
    ],
)
def test_rules_above_a_demanded_level_decide_nothing(
    rule: str,
    outcome: Outcome,
    demanded: Level,
    expected: str,
    level: str | None,
    missed: list[str],
) -> None:
    said = verdict(demanded, **{rule: outcome})

    assert (said.verdict, said.level) == (expected, level)
    assert [row.rule_id for row in said.missed] == missed
    assert said.below_demand is bool(missed)


def test_a_failed_must_outweighs_what_was_not_run() -> None:
    assert verdict(CON_01="not_run", SEC_01="failed").verdict == "nonconformant"


def test_a_rule_that_nobody_reported_was_not_run() -> None:
    said = judge([RuleOutcome("CON-01", "passed")], rules=CATALOGUE)

    assert said.verdict == "incomplete"
    assert [row.rule_id for row in said.of("not_run")] == ["TIM-02", "SEC-01", "CON-06"]


def test_nothing_at_all_is_incomplete() -> None:
    said = judge([])

    assert (said.verdict, said.level) == ("incomplete", None)
    assert said.counts["not_run"] == len(RULES)


def test_outcomes_come_in_the_order_of_the_catalogue() -> None:
    given = [RuleOutcome(rule_id, "passed") for rule_id in reversed(CATALOGUE)]

    said = judge(given, rules=CATALOGUE)

    assert [row.rule_id for row in said.outcomes] == list(CATALOGUE)


@pytest.mark.parametrize("other", ["failed", "not_run", "could_not_run"])
def test_a_rule_that_passes_now_and_then_has_not_passed(other: Outcome) -> None:
    twice = [RuleOutcome("CON-01", other), RuleOutcome("CON-01", "passed")]

    assert worst(twice).outcome == other
    assert judge(twice, rules=CATALOGUE).counts["passed"] == 0


# ---- one cause, one finding ----------------------------------------------------------------------


def _failed(rule_id: str, seen: str = "", because: str = "") -> RuleOutcome:
    finding = Finding(seen or f"seen of {rule_id}", "required", because=because)
    return RuleOutcome(rule_id, "failed", f"{RULES[rule_id]}\n{finding}", finding=finding)


def _tellers(*outcomes: RuleOutcome) -> dict[str, str]:
    return {o.rule_id: o.told_by for o in judge(outcomes).of("failed", "waived")}


def test_what_presupposes_a_broken_rule_says_where_it_is_told() -> None:
    verdict = judge([_failed("RES-04"), _failed("RES-12")])
    told = {o.rule_id: o for o in verdict.of("failed")}

    assert verdict.counts["failed"] == 2
    assert told["RES-04"].told_by == ""
    assert told["RES-12"].told_by == "RES-04"
    assert told["RES-12"].message.splitlines()[1:] == ["  broken by RES-04, see there"]
    assert told["RES-12"].finding is None


def test_what_presupposes_a_kept_rule_speaks_for_itself() -> None:
    assert _tellers(RuleOutcome("RES-04", "passed"), _failed("RES-12")) == {"RES-12": ""}
    assert _tellers(_failed("RES-12")) == {"RES-12": ""}


def test_a_check_may_say_that_it_saw_no_more_than_another_rule() -> None:
    blocked = _failed("TIM-02", because="CNC-03")

    assert _tellers(blocked, _failed("CNC-03")) == {"TIM-02": "CNC-03", "CNC-03": ""}
    assert _tellers(blocked, RuleOutcome("CNC-03", "passed")) == {"TIM-02": ""}


def test_equal_findings_are_told_once_by_what_fails_the_run() -> None:
    same = "to_dict() raised TypeError"
    should, must, later = (_failed(i, same) for i in ("SER-08", "SER-01", "SER-03"))
    waived = replace(_failed("SER-02", same), outcome="waived", waiver="issue 1")

    assert _tellers(should, must, later, waived) == {
        "SER-01": "",
        "SER-02": "SER-01",
        "SER-03": "SER-01",
        "SER-08": "SER-01",
    }


def test_the_rule_that_tells_is_the_one_behind_all_others() -> None:
    first = _failed("RES-04")
    second = _failed("RES-12", "what RET-03 shows as well")
    third = _failed("RET-03", because="RES-12")

    assert _tellers(first, second, third) == {"RES-04": "", "RES-12": "RES-04", "RET-03": "RES-04"}

    circle = _tellers(_failed("RES-04", because="RES-06"), _failed("RES-06", because="RES-04"))
    assert circle == {"RES-04": "RES-06", "RES-06": ""}
