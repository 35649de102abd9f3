"""The verdict in the terminal: a header before the checks and a section after them."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from ..contract.verdict import RuleOutcome, Verdict
from ..report.text import (
    candidate_lines,
    demand_line,
    open_reasons,
    rows,
    table,
    verdict_line,
    warning_title,
    what_next,
    wrapped,
)
from .facts import facts_of
from .fixtures import subject_of
from .recording import Recorder
from .selection import Plan, runs_nothing, what_selects_one

if TYPE_CHECKING:
    from .reporting import Reporting

_COLOURS = {"conformant": "green", "incomplete": "yellow", "nonconformant": "red"}


class TerminalReport:
    """Writes what is known of every target."""

    def __init__(
        self,
        config: pytest.Config,
        plan: Plan,
        recorder: Recorder,
        reporting: Reporting | None = None,
    ) -> None:
        self.config = config
        self.plan = plan
        self.recorder = recorder
        self.reporting = reporting

    def pytest_report_header(self) -> list[str]:
        """Say why the suite is absent, if it is, and else what is not as usual."""
        if self.plan.collected:
            return peculiarities(self.plan)
        names = ", ".join(target.name for target in self.plan.targets)
        return [f"asyncexec: only the paths given; add the argument asyncexec to judge {names}"]

    def pytest_report_collectionfinish(self, items: Sequence[pytest.Item]) -> list[str]:
        """Say what is going to be judged, and what the executors can do."""
        selected = {dict(item.user_properties).get("asyncexec_target") for item in items}
        quiet = self.config.get_verbosity() < 0 or runs_nothing(self.config)
        if quiet or selected <= {None}:
            return []
        contract = self.plan.contract
        lines = [f"executor contract {contract.version}: {len(contract.rules)} rules"]
        for target in self.plan.targets:
            if target.name in selected:
                with _undisturbed(self.config):
                    facts = facts_of(subject_of(self.config, target))
                self.recorder.facts[target.name] = facts
                lines += wrapped(f"{target.name}: {facts.summary}", self._width, "  ")
        return lines

    @property
    def _width(self) -> int:
        return self.config.get_terminal_writer().fullwidth

    @pytest.hookimpl(wrapper=True, specname="pytest_terminal_summary")
    def pytest_asyncexec_terminal_reports(
        self, terminalreporter: pytest.TerminalReporter
    ) -> Generator[None, object, object]:
        """Last of all, where the reports are, or why they are not."""
        result = yield
        if self.reporting is not None:
            if self.reporting.written:
                terminalreporter.write_line(f"  report: {self.reporting.folder / 'report.html'}")
            for problem in self.reporting.problems:
                for part in wrapped(problem, self._width):
                    terminalreporter.write_line(part, red=True)
        return result

    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter, exitstatus: int
    ) -> None:
        """The verdict on every target, and the rules that did not pass."""
        if exitstatus == pytest.ExitCode.USAGE_ERROR or runs_nothing(self.config):
            return
        heard = self.recorder.collected or self.recorder.died
        if not self.plan.collected or not heard:
            return
        terminal = terminalreporter
        if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
            for part in wrapped(what_selects_one(self.config), self._width):
                terminal.write_line(part, yellow=True)
        terminal.ensure_newline()
        narrowed = self.plan.narrowed(self.config)
        if self.config.get_verbosity() >= 0:
            self._warnings_in_full(terminal)
            terminal.section(f"executor contract {self.plan.contract.version}", bold=True)
        for number, target in enumerate(self.plan.targets):
            if number and self.config.get_verbosity() >= 0:
                terminal.write_line("")
            verdict = self.recorder.verdict(target.name)
            selected = {rule for name, rule in self.recorder.selected if name == target.name}
            line = verdict_line(target.name, verdict, narrowed=narrowed, profile=self.plan.profile)
            colour: dict[str, Any] = {_COLOURS[verdict.verdict]: True, "bold": True}
            for part in wrapped(line, self._width):
                terminal.write_line(part, **colour)
            for line in self._objections(target.name, verdict):
                for part in wrapped(line, self._width, "  "):
                    terminal.write_line(part, red=True)
            if self.config.get_verbosity() < 0:
                # What fails the run pytest names at the end.
                quiet = [
                    o for o in verdict.of("failed", "waived") if not self.recorder.fails_run(o)
                ]
                for part in [*rows(quiet, self._width), *open_reasons(verdict, self._width)]:
                    terminal.write_line(part)
                continue
            if target.name in self.recorder.facts:
                for part in wrapped(self.recorder.facts[target.name].summary, self._width, "  "):
                    terminal.write_line(part)
            for part in table(verdict, selected, self._width, narrowed=narrowed):
                terminal.write_line(part)
            for part in candidate_lines(self.recorder.candidates(target.name), self._width):
                terminal.write_line(part)
            option = "" if not self.config.getoption("asyncexec_plugin") else target.spec
            for part in what_next(verdict, selected, option, narrowed=narrowed):
                terminal.write_line(part)

    def _objections(self, target: str, verdict: Verdict) -> list[str]:
        """What fails the run besides the verdict, in sentences."""
        lines = [demand_line(verdict)] if verdict.below_demand else []
        return lines + self.recorder.objections(target)

    def _warnings_in_full(self, terminal: pytest.TerminalReporter) -> None:
        """What a broken rule has to say that does not fail the run; pytest shows the others."""
        if self.config.getoption("tbstyle") == "no":
            return
        sections: dict[str, list[tuple[str, RuleOutcome]]] = {}
        for target in self.plan.targets:
            for outcome in self.recorder.verdict(target.name).of("failed", "waived"):
                if not self.recorder.fails_run(outcome) and not outcome.told_by:
                    title = warning_title(outcome, self.plan.demanded)
                    sections.setdefault(title, []).append((target.name, outcome))
            for outcome in self.recorder.candidates(target.name):
                if outcome.outcome == "failed":
                    sections.setdefault("broken candidates", []).append((target.name, outcome))
        for title, broken in sections.items():
            terminal.section(title)
            for name, outcome in broken:
                terminal.section(f"{outcome.rule_id} {name}", sep="_", yellow=True)
                terminal.write_line(outcome.message)
                if outcome.waiver:
                    terminal.write_line(f"  waived: {outcome.waiver}")


@contextlib.contextmanager
def _undisturbed(config: pytest.Config) -> Iterator[None]:
    """What an executor prints or warns of here is no part of the report."""
    capture: Any = config.pluginmanager.get_plugin("capturemanager")
    repeated = config.pluginmanager.get_plugin("asyncexec-repeated-warnings")
    once = repeated.told_once() if repeated is not None else warnings.catch_warnings()
    with once:
        warnings.simplefilter("default")
        if capture is not None:
            capture.resume_global_capture()
        try:
            yield
        finally:
            if capture is not None:
                capture.suspend_global_capture(in_=True)
                capture.read_global_capture()


def peculiarities(plan: Plan) -> list[str]:
    """What a run judges otherwise than usual, one line or none."""
    parts = [] if plan.profile == "default" else [f"profile {plan.profile}"]
    if plan.demanded:
        parts.append(f"level {plan.demanded} demanded")
    waived = [w for w in plan.waivers.waivers if any(w.covers(t) for t in plan.targets)]
    others = [w.target for w in plan.waivers.waivers if w not in waived and w.target]
    if waived:
        parts.append(f"waived: {', '.join(dict.fromkeys(w.rule_id for w in waived))}")
    if others:
        parts.append(f"waivers for {', '.join(dict.fromkeys(others))}, not judged in this run")
    return [f"asyncexec: {'; '.join(parts)}"] if parts else []
