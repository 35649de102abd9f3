"""From what the checks found to the outcomes of rules, through pytest's reports.

One pipe: a finding becomes properties of the check's report. Those travel from an xdist worker to
its controller and into JUnit's XML, and outcomes are made of nothing else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ..contract.finding import Finding
from ..contract.verdict import OUTCOMES, Outcome, RuleOutcome, Verdict, is_required, judge, worst
from ..contract.wording import printable
from ..evidence.record import Facts
from ..targets.target import Target
from .absence import Absence
from .collection import is_check, judged_by, target_of
from .facts import facts_of
from .selection import SUITE, Plan

_NAMES: dict[Outcome, tuple[str, str, str]] = {
    "waived": ("waived", "x", "WAIVED"),
    "not_applicable": ("not applicable", "-", "NOT APPLICABLE"),
    "could_not_run": ("could not run", "?", "COULD NOT RUN"),
}

_PHASES = ("setup", "call")

#: The exceptions by which pytest itself skips.
_OF_PYTEST = re.compile(r"^(_pytest\.outcomes\.)?(Skipped|XFailed): ")


class Recorder:
    """Keeps what became of every rule, by target."""

    def __init__(self, plan: Plan, absence: Absence) -> None:
        self.plan = plan
        self.rules = plan.contract.rules
        self._judged = plan.contract.judged
        self.absence = absence
        self.outcomes: dict[str, dict[str, RuleOutcome]] = {t.name: {} for t in plan.targets}
        self.facts: dict[str, Facts] = {}
        self.collected = False
        self._selected: set[tuple[str, str]] = set()
        self._cut_short = ""
        self._ended_by = ""
        #: The reports of broken rules, of which some are told by others in the end.
        self._reports: list[tuple[str, str, pytest.TestReport]] = []
        #: How a worker of xdist's ended that was not to end.
        self.died = ""

    @property
    def selected(self) -> set[tuple[str, str]]:
        """Target and rule of all that was asked for, whether or not somebody took it away."""
        return self._selected | self.absence.reasons.keys()

    def verdict(self, target: str) -> Verdict:
        """What may be said of a target after this run."""
        known = self.outcomes[target]
        unheard = {rule for name, rule in self.selected if name == target} - known.keys()
        why = self._cut_short or self.absence.unreported()
        silent = [
            RuleOutcome(rule, "not_run", self.absence.reasons.get((target, rule), why))
            for rule in unheard
        ]
        if self.absence.narrowed:
            asked = known.keys() | unheard
            silent += [
                RuleOutcome(i, "not_run", "it was not selected") for i in self.rules.keys() - asked
            ]
        outcomes = [*known.values(), *silent]
        return judge(outcomes, demanded=self.plan.demanded, rules=self.rules)

    def open_rules(self) -> list[tuple[str, str]]:
        """Rules that were selected and are not decided, with their targets."""
        decided = ("passed", "failed", "not_applicable", "waived")
        return [
            (target, rule)
            for target, rule in sorted(self.selected)
            if rule in self.rules
            and is_required(self.rules[rule], self.plan.demanded)
            and (
                rule not in self.outcomes[target]
                or self.outcomes[target][rule].outcome not in decided
            )
        ]

    def candidates(self, target: str) -> tuple[RuleOutcome, ...]:
        """What was found of rules that are of no contract yet."""
        found = self.outcomes[target]
        return tuple(found[i] for i in self.plan.contract.candidates if i in found)

    def needless_waivers(self) -> list[tuple[str, str]]:
        """Rules that are waived and passed all the same, with their targets."""
        return [
            (target.name, rule)
            for target in self.plan.targets
            for rule, outcome in self.outcomes[target.name].items()
            if outcome.outcome == "passed" and self.plan.waivers.of(target, rule)
        ]

    def objections(self, target: str) -> list[str]:
        """What fails the run besides the verdict on a target, in sentences."""
        return [
            f"{rule_id} is waived and passes: remove its waiver from asyncexec_waivers."
            for name, rule_id in self.needless_waivers()
            if name == target
        ]

    # ---- where the checks run: from a finding to a report --------------------------------

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Name target and rule in every report of a check, whatever becomes of it."""
        judged = judged_by(item)
        if judged is not None:
            names = ("asyncexec_target", "asyncexec_rule")
            item.user_properties += zip(names, judged, strict=True)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Remember which rules were selected."""
        self.collected = True
        for item in session.items:
            self._was_selected(dict(item.user_properties))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        if not isinstance(item, pytest.Function) or not is_check(item):
            return (yield)
        rule_id = str(dict(item.user_properties).get("asyncexec_rule"))
        subject: Any = item.funcargs.get("asyncexec_subject")
        if call.when == "setup":
            # What an earlier attempt of the same check found says nothing about this one.
            del item.user_properties[2:]
            getattr(subject, "findings", {}).pop(rule_id, None)
        ended = getattr(subject, "findings", {}).get(rule_id)
        if call.when == "call" and ended is not None:
            ended = self._waived(ended, target_of(item))
            item.user_properties += [
                ("asyncexec_outcome", ended.outcome),
                ("asyncexec_message", printable(ended.message)),
                ("asyncexec_inherited", ended.inherited),
                ("asyncexec_facts", json.dumps(facts_of(subject).to_json())),
            ]
            if ended.finding is not None:
                parts = json.dumps(ended.finding.to_json())
                item.user_properties.append(("asyncexec_finding", parts))
            if ended.lacking:
                item.user_properties.append(("asyncexec_lacking", " ".join(ended.lacking)))
            if ended.waiver:
                item.user_properties.append(("asyncexec_waiver", printable(ended.waiver)))
        report = yield
        if call.when == "call" and ended is not None:
            self._colour(report, ended)
        return report

    def _waived(self, ended: RuleOutcome, target: Target | None) -> RuleOutcome:
        waiver = target and self.plan.waivers.of(target, ended.rule_id)
        if waiver is None or ended.outcome != "failed":
            return ended
        return replace(ended, outcome="waived", waiver=str(waiver))

    def _colour(self, report: pytest.TestReport, ended: RuleOutcome) -> None:
        """Make pytest's report of a check say what was found."""
        if ended.outcome != "failed" and ended.outcome not in _NAMES:
            return
        if hasattr(report, "wasxfail"):
            del report.wasxfail
        message = printable(ended.message)
        report.longrepr = message
        report.outcome = "failed"
        if ended.outcome != "failed" or not self.fails_run(ended):
            # pytest's way to say that this is no failure of the run, and nothing to debug.
            report.outcome = "skipped"
            report.wasxfail = message

    def fails_run(self, outcome: RuleOutcome) -> bool:
        """Whether this is the failure of a rule that the run was asked to insist on."""
        rule = outcome.rule
        if outcome.rule_id not in self.rules:
            return False
        demanded = rule.obligation == "MUST" and is_required(rule, self.plan.demanded)
        return demanded and outcome.outcome == "failed"

    # ---- where the run is summed up: from reports to outcomes ----------------------------

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep what a report says about a rule; of several the worst."""
        said = dict(report.user_properties)
        target, rule_id = said.get("asyncexec_target"), said.get("asyncexec_rule")
        if target is None and report.failed:
            target, rule_id = self.guess(report.nodeid)
        if target not in self.outcomes or rule_id not in self._judged:
            return
        assert isinstance(target, str)
        assert isinstance(rule_id, str)
        self._was_selected(said)
        outcome = _read(report, said, rule_id)
        if outcome is not None and outcome.outcome in ("failed", "waived"):
            # What its probes print and log is the suite's own affair.
            report.sections = []
            self._reports.append((target, rule_id, report))
        if outcome is not None:
            known = self.outcomes[target].get(rule_id)
            self.outcomes[target][rule_id] = worst([outcome, known]) if known else outcome
        if "asyncexec_facts" in said:
            self.facts[target] = Facts.from_json(json.loads(str(said["asyncexec_facts"])))

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Remember what ended the run before its end."""
        reason = self._ended_by or session.shouldfail or session.shouldstop
        if not reason and exitstatus == pytest.ExitCode.INTERRUPTED:
            reason = "it was interrupted"
        if reason:
            self._cut_short = f"the run ended before its check: {reason}"
        self._tell_once()

    def _tell_once(self) -> None:
        """Let the reports of rules whose finding another rule tells say no more than that."""
        verdicts = {target: self.verdict(target) for target, _, _ in self._reports}
        told = {
            (target, outcome.rule_id): outcome
            for target, verdict in verdicts.items()
            for outcome in verdict.outcomes
            if outcome.told_by
        }
        for target, rule_id, report in self._reports:
            if (target, rule_id) in told:
                report.longrepr = f"broken by {told[target, rule_id].told_by}, see there"

    def pytest_internalerror(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Remember what went wrong outside of all tests."""
        self._ended_by = f"internal error, {excinfo.exconly(tryshort=True)}"

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Remember who wanted the run to end."""
        self._ended_by = str(excinfo.value) or "it was interrupted"

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """Remember a worker that died, perhaps before it could say what it has selected."""
        if error:
            self.died = f"a worker died: {error}"
            self._cut_short = self._cut_short or self.died

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: Iterable[str]) -> None:
        """Remember which rules a worker selected."""
        self.collected = True
        for nodeid in ids:
            target, rule_id = self.guess(nodeid)
            self._was_selected({"asyncexec_target": target, "asyncexec_rule": rule_id})

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(
        self, report: pytest.CollectReport | pytest.TestReport
    ) -> tuple[str, str, Any] | None:
        """Show what pytest has no word for."""
        if not isinstance(report, pytest.TestReport) or report.when != "call":
            return None
        outcome: Any = dict(report.user_properties).get("asyncexec_outcome")
        if outcome == "failed" and report.skipped:
            return "warned", "w", ("WARNED", {"yellow": True})
        if outcome in _NAMES and report.skipped:
            category, letter, word = _NAMES[outcome]
            return category, letter, (word, {"yellow": True})
        return None

    def _was_selected(self, said: dict[str, Any]) -> None:
        target, rule_id = said.get("asyncexec_target"), said.get("asyncexec_rule")
        if target in self.outcomes and rule_id in self._judged:
            self._selected.add((str(target), str(rule_id)))

    def guess(self, nodeid: str) -> tuple[str | None, str | None]:
        """Target and rule by a check's id, for reports that were not made from the check."""
        match = re.match(rf"{SUITE}/\w+\.py::test_([A-Z]{{3}})_(\d\d)_\w*\[(.*)\]", nodeid)
        if match is None:
            return None, None
        names = {name.encode("unicode_escape").decode("ascii"): name for name in self.outcomes}
        return names.get(match[3], match[3]), f"{match[1]}-{match[2]}"


def _read(report: pytest.TestReport, said: dict[str, Any], rule_id: str) -> RuleOutcome | None:
    """What one report says about a rule, or None if it says nothing."""
    if report.when == "teardown":
        if not report.failed:
            return None
        return RuleOutcome(
            rule_id, "not_run", f"its check was not left in order: {_why_not(report)}"
        )
    outcome = said.get("asyncexec_outcome")
    if outcome is None:
        if report.when == "setup" and report.passed:
            return None
        return RuleOutcome(rule_id, "not_run", _why_not(report))
    if outcome == "passed" and not report.passed:
        reason = f"the check passed, but the test was then {_why_not(report)}"
        return RuleOutcome(rule_id, "not_run", reason, seconds=report.duration)
    if outcome not in OUTCOMES:
        return RuleOutcome(rule_id, "not_run", f"unknown outcome {outcome!r}")
    message, waiver = (str(said.get(f"asyncexec_{name}", "")) for name in ("message", "waiver"))
    inherited = said.get("asyncexec_inherited") is True
    parts = said.get("asyncexec_finding")
    finding = None if parts is None else Finding.from_json(json.loads(parts))
    lacking = tuple(str(said.get("asyncexec_lacking", "")).split())
    return RuleOutcome(
        rule_id,
        outcome,
        message,
        inherited,
        report.duration,
        waiver,
        finding,
        lacking=lacking,
    )


def _why_not(report: pytest.TestReport) -> str:
    if report.passed:
        return "something else was run in the place of the check"
    crash = getattr(report.longrepr, "reprcrash", None)
    why, where = report.longrepr, ""
    if isinstance(why, tuple):
        file, line, why = why
        # A mark is reported in the place of the check; everything else where it was raised.
        if Path(file).name != Path(report.location[0]).name:
            where = f" ({Path(file).name}:{line})"
    first = (str(crash.message if crash else why or "").strip().splitlines() or ["no reason"])[0]
    if report.when not in _PHASES:
        return first
    first = _OF_PYTEST.sub("", first)
    return f"{report.outcome} in {report.when}: {first}{where}"
