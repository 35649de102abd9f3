"""Runs made by hand, for the tests of what is told of them."""

from __future__ import annotations

from pytest_asyncexec.contract.catalogue import CONTRACT_VERSION, RULES, contract_of
from pytest_asyncexec.contract.finding import Finding, Moment
from pytest_asyncexec.contract.rule import DECLARABLE, NEEDS, Level, Profile
from pytest_asyncexec.contract.verdict import Outcome, RuleOutcome, judge
from pytest_asyncexec.evidence.environment import Environment
from pytest_asyncexec.evidence.record import Facts, RunRecord, TargetRecord

HERE = Environment(
    kit="0.1.0",
    kit_digest="e" * 64,
    python="3.11.7",
    platform="Linux 6.1 x86_64",
    hypothesis="6.170.0",
    finished="2026-11-22T20:00:00Z",
    url="https://ci.example/runs/7",
)

#: What a hostile executor may say.
EVIL = (
    "<script>alert('x')</script> </title> & \"q\" | `tick` ``` @everyone \0\x1b[31m\udc80\u202e\nx"
)

_STEPS = {"b": "begins", "r": "returns", "x": "raises", "c": "is cancelled"}


def moments(text: str, task: str = "dispatch-1, node 0") -> tuple[Moment, ...]:
    """A history in short: `"1 setup b, 1 setup r, 2 run x ValueError: no"`."""
    found = []
    for event in text.split(", "):
        call, method, step, *error = event.split(" ", 3)
        found.append(Moment(int(call), method, _STEPS[step], task, "".join(error)))
    return tuple(found)


def broken(
    rule_id: str,
    history: tuple[Moment, ...] | None = None,
    *,
    seen: str = "",
    required: str = "what is right",
    cause: str = "",
    reproduction: str = "",
) -> RuleOutcome:
    """A rule that a check found broken."""
    seen = seen or f"what was seen of {rule_id}"
    finding = Finding(seen, required, cause, history, reproduction)
    return RuleOutcome(rule_id, "failed", f"{RULES[rule_id]}\n{finding}", finding=finding)


def outcome(rule_id: str, how: Outcome) -> RuleOutcome:
    """A rule that ended so, with what belongs to that."""
    if how == "passed":
        return RuleOutcome(rule_id, how, seconds=0.01)
    if how in ("failed", "waived"):
        found = broken(rule_id, moments("1 setup b, 1 setup r, 2 run b, 2 run x ValueError: no"))
        waiver = "issue 17, mended in 2.0" if how == "waived" else ""
        return RuleOutcome(rule_id, how, found.message, waiver=waiver, finding=found.finding)
    lacking = RULES[rule_id].excuses[:1] if how == "not_applicable" else ()
    return RuleOutcome(rule_id, how, f"the reason of {rule_id}", lacking=lacking)


def target(name: str = "MyExecutor", demanded: Level | None = None, **odd: Outcome) -> TargetRecord:
    """A target all of whose rules passed but these: `target(RET_02="failed")`."""
    ends = [outcome(rule.replace("_", "-"), how) for rule, how in odd.items()]
    return target_of(*ends, name=name, demanded=demanded)


def target_of(
    *ends: RuleOutcome,
    name: str = "MyExecutor",
    demanded: Level | None = None,
    contract: str = CONTRACT_VERSION,
) -> TargetRecord:
    """A target all of whose rules passed but these."""
    rules = contract_of(contract).rules
    every = {rule_id: outcome(rule_id, "passed") for rule_id in rules}
    every |= {end.rule_id: end for end in ends}
    lacking = {need for end in every.values() for need in end.lacking}
    needs = tuple(need for need in NEEDS if need not in lacking)
    declared = tuple(sorted(lacking & DECLARABLE))
    facts = Facts(f"what {name} can do", needs, f"mypkg:{name}", declared)
    return TargetRecord(
        name, f"mypkg:{name}", judge(every.values(), demanded=demanded, rules=rules), facts
    )


def run(
    *targets: TargetRecord,
    profile: Profile = "default",
    selection: bool = False,
    contract: str = CONTRACT_VERSION,
) -> RunRecord:
    """A run that judged these targets, or one of whom all rules passed."""
    targets = targets or (target_of(contract=contract),)
    return RunRecord(targets, HERE, profile, targets[0].verdict.demanded, selection, contract)
