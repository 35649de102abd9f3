"""From what the checks found to the outcomes of rules, through pytest's reports.

One pipe: a finding becomes properties of the check's report. Those travel from an xdist worker to
its controller and into JUnit's XML, and outcomes are made of nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable
from typing import Any

import pytest

from .collection import is_check, target_of
from .conformance.rules import RULES
from .conformance.wording import printable
from .selection import SUITE
from .verdict import OUTCOMES, Outcome, RuleOutcome, Verdict, judge, worst

_NAMES: dict[Outcome, tuple[str, str, str]] = {
    "not_applicable": ("not applicable", "-", "NOT APPLICABLE"),
    "could_not_run": ("could not run", "?", "COULD NOT RUN"),
}

_PHASES = ("setup", "call")


class Recorder:
    """Keeps what became of every rule, by target."""

    def __init__(self, targets: Iterable[str]) -> None:
        self.outcomes: dict[str, dict[str, RuleOutcome]] = {name: {} for name in targets}
        self.summaries: dict[str, str] = {}
        self.selected: set[tuple[str, str]] = set()
        self.collected = False

    def verdict(self, target: str) -> Verdict:
        """What may be said of a target after this run."""
        return judge(self.outcomes[target].values())

    def open_rules(self) -> list[tuple[str, str]]:
        """Rules that were selected and are not decided, with their targets."""
        decided = ("passed", "failed", "not_applicable", "waived")
        return [
            (target, rule)
            for target, rule in sorted(self.selected)
            if rule not in self.outcomes[target]
            or self.outcomes[target][rule].outcome not in decided
        ]

    # ---- where the checks run: from a finding to a report --------------------------------

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Name target and rule in every report of a check, whatever becomes of it."""
        if isinstance(item, pytest.Function) and is_check(item):
            target, marker = target_of(item), item.get_closest_marker("asyncexec")
            if target is not None and marker is not None:
                item.user_properties += [
                    ("asyncexec_target", target.name),
                    ("asyncexec_rule", marker.kwargs["rule"]),
                ]

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Remember which rules were selected."""
        self.collected = True
        for item in session.items:
            self._select(dict(item.user_properties))

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
        finding = getattr(subject, "findings", {}).get(rule_id)
        if call.when == "call" and finding is not None:
            item.user_properties += [
                ("asyncexec_outcome", finding.outcome),
                ("asyncexec_message", printable(finding.message)),
                ("asyncexec_inherited", finding.inherited),
                ("asyncexec_summary", subject.preflight().summary),
            ]
        report = yield
        if call.when == "call" and finding is not None:
            _colour(report, finding)
        return report

    # ---- where the run is summed up: from reports to outcomes ----------------------------

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep what a report says about a rule; of several the worst."""
        said = dict(report.user_properties)
        target, rule_id = said.get("asyncexec_target"), said.get("asyncexec_rule")
        if target is None and report.failed:
            target, rule_id = self._guess(report.nodeid)
        if target not in self.outcomes or rule_id not in RULES:
            return
        assert isinstance(target, str)
        assert isinstance(rule_id, str)
        self._select(said)
        outcome = _read(report, said, rule_id)
        if outcome is not None:
            known = self.outcomes[target].get(rule_id)
            self.outcomes[target][rule_id] = worst([outcome, known]) if known else outcome
        if "asyncexec_summary" in said:
            self.summaries[target] = str(said["asyncexec_summary"])

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: Iterable[str]) -> None:
        """Remember which rules a worker selected."""
        self.collected = True
        for nodeid in ids:
            target, rule_id = self._guess(nodeid)
            self._select({"asyncexec_target": target, "asyncexec_rule": rule_id})

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(
        self, report: pytest.CollectReport | pytest.TestReport
    ) -> tuple[str, str, Any] | None:
        """Show what pytest has no word for."""
        if not isinstance(report, pytest.TestReport) or report.when != "call":
            return None
        outcome = dict(report.user_properties).get("asyncexec_outcome")
        if outcome == "failed" and report.skipped:
            return "warned", "w", ("WARNED", {"yellow": True})
        if outcome in _NAMES and report.skipped:
            category, letter, word = _NAMES[outcome]
            return category, letter, (word, {"yellow": True})
        return None

    def _select(self, said: dict[str, Any]) -> None:
        target, rule_id = said.get("asyncexec_target"), said.get("asyncexec_rule")
        if target in self.outcomes and rule_id in RULES:
            self.selected.add((str(target), str(rule_id)))

    def _guess(self, nodeid: str) -> tuple[str | None, str | None]:
        """Target and rule by a check's id, for reports that were not made from the check."""
        match = re.match(rf"{SUITE}/\w+\.py::test_([A-Z]{{3}})_(\d\d)_\w*\[(.*)\]", nodeid)
        if match is None:
            return None, None
        names = {name.encode("unicode_escape").decode("ascii"): name for name in self.outcomes}
        return names.get(match[3], match[3]), f"{match[1]}-{match[2]}"


def _read(report: pytest.TestReport, said: dict[str, Any], rule_id: str) -> RuleOutcome | None:
    """What one report says about a rule, or None if it says nothing."""
    if report.when == "teardown":
        return None
    outcome = said.get("asyncexec_outcome")
    if outcome is None:
        if report.when == "setup" and report.passed:
            return None
        return RuleOutcome(rule_id, "not_run", _why_not(report))
    if outcome == "passed" and not report.passed:
        reason = f"the check passed, but the test was then reported as {report.outcome}"
        return RuleOutcome(rule_id, "not_run", reason, seconds=report.duration)
    if outcome not in OUTCOMES:
        return RuleOutcome(rule_id, "not_run", f"unknown outcome {outcome!r}")
    message = str(said.get("asyncexec_message", ""))
    inherited = said.get("asyncexec_inherited") is True
    return RuleOutcome(rule_id, outcome, message, inherited, report.duration)


def _why_not(report: pytest.TestReport) -> str:
    if report.passed:
        return "something else was run in the place of the check"
    crash = getattr(report.longrepr, "reprcrash", None)
    why = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
    first = (str(crash.message if crash else why or "").strip().splitlines() or ["no reason"])[0]
    return f"{report.outcome} in {report.when}: {first}" if report.when in _PHASES else first


def _colour(report: pytest.TestReport, finding: RuleOutcome) -> None:
    """Make pytest's report of a check say what was found."""
    if finding.outcome != "failed" and finding.outcome not in _NAMES:
        return
    if hasattr(report, "wasxfail"):
        del report.wasxfail
    message = printable(finding.message)
    report.longrepr = message
    report.outcome = "failed"
    if finding.outcome != "failed" or RULES[finding.rule_id].obligation == "SHOULD":
        # pytest's way to say that this is no failure of the run, and nothing to debug.
        report.outcome = "skipped"
        report.wasxfail = message
