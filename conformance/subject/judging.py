"""Judges a subject by one rule: runs its check and keeps what it found."""

from __future__ import annotations

from collections.abc import Callable

from ...contract.finding import Finding
from ...contract.rule import Rule
from ...contract.verdict import Outcome, RuleOutcome
from .blame import explain
from .exceptions import CouldNotRun, NotApplicable, RuleViolation
from .inheritance import second_look
from .needs import absent, believe, require
from .subject import Subject
from .supervising import supervise

#: Rules and chapters whose checks cut tasks short, by which even one that is passed may break a
#: backend.
_INTERRUPTING = ("CAN", "CNC-03", "CNC-05", "CNC-07", "CNC-08")


def judge(
    subject: Subject, rule: Rule, function: Callable[[Subject], None], *, working: bool = True
) -> None:
    """Run the check `function` of `rule` and keep what it found in the subject's `findings`.

    Args:
        subject: who is judged.
        rule: by which.
        function: decides it.
        working: run it only while ordinary tasks work; else it sees to that itself.

    Raises:
        RuleViolation, NotApplicable, CouldNotRun: as the check ended; any other error is
            the check's own crash, and the rule counts as not run.
    """
    __tracebackhide__ = True
    outcome: Outcome = "not_run"
    message, inherited = "", False
    lacking: tuple[str, ...] = ()
    finding: Finding | None = None
    subject.rule = rule
    try:
        subject.preflight()
        require(subject, rule, working=working)
        _decide(subject, function, in_doubt=working and "run" in rule.needs)
        outcome = "passed"
    except RuleViolation as violation:
        finding = violation.finding
        outcome, message = "failed", str(violation)
        again = second_look(subject, rule, function)
        if again is not None and again.own is None:
            inherited = True
            message = f"{violation}\n\n  inherited: {again}"
            violation.args = (message,)
        elif again is not None and again.own is not None:
            finding, message = again.own.finding, str(again.own)
            raise again.own from None
        raise
    except NotApplicable as reason:
        lacking = reason.lacking or tuple(absent(subject.preflight(), rule.excuses))
        if not lacking:
            message = f"the check itself is wrong: {reason}, and that is no need of {rule.id}"
            raise RuntimeError(message) from None
        outcome, message = "not_applicable", str(reason)
        raise
    except CouldNotRun as reason:
        outcome, message = "could_not_run", str(reason)
        raise
    except BaseException as crash:
        message = f"the check itself crashed: {explain(crash)}"
        raise
    finally:
        subject.rule = None
        subject.findings[rule.id] = RuleOutcome(
            rule.id, outcome, message, inherited, finding=finding, lacking=lacking
        )
        if "run" in rule.needs and outcome not in ("passed", "not_applicable"):
            subject.doubts = subject.doubts or rule.id
        elif outcome == "passed" and rule.id.startswith(_INTERRUPTING):
            subject.interrupted = subject.interrupted or rule.id


def _decide(subject: Subject, function: Callable[[Subject], None], *, in_doubt: bool) -> None:
    try:
        supervise(subject, function)
    except RuleViolation:
        if in_doubt:
            believe(subject)
        raise
