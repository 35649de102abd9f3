"""One run of the suite: what is asked for, what is registered for it, and how it exits."""

from __future__ import annotations

import re
import sys
from collections.abc import Generator, Sequence
from datetime import date
from typing import TYPE_CHECKING, TypeVar, get_args

import pytest

from ..contract.catalogue import Contract
from ..contract.spelling import near
from ..contract.waivers import WaiverError, parse_waivers
from ..targets.loading import load_targets
from ..targets.target import Target, TargetError
from .contract_asked import contract_asked
from .registration import register
from .selection import (
    JUDGE_BY_ANOTHER,
    PLAN,
    Plan,
    Selection,
    SelectionError,
    parse_selection,
    runs_nothing,
    split_arguments,
)

if TYPE_CHECKING:
    from .recording import Recorder
    from .reporting import Reporting

T = TypeVar("T", bound=str)

_SUITE = f"{__name__.partition('.')[0]}.conformance"


def prepare(config: pytest.Config, specs: Sequence[str], options: Sequence[str]) -> None:
    """Load the targets and put the suite, as far as it was asked for, into the session.

    Args:
        config: pytest's.
        specs: the executors to judge, as they were named.
        options: those on the command line that ask something of the suite.

    Raises:
        pytest.UsageError: something that was asked for cannot be had.
    """
    invocation_dir = config.invocation_params.dir
    paths, arguments = split_arguments(config.args, invocation_dir, config.rootpath)
    if not specs:
        if arguments or options:
            raise pytest.UsageError(
                f"{[*arguments, *options][0]} asks something of the executor conformance suite, "
                "and no executor is named.\n  Add --asyncexec-plugin=pkg.mod:Class."
            )
        return
    try:
        targets = load_targets(specs, [invocation_dir, config.rootpath])
    except TargetError as error:
        where = "--asyncexec-plugin"
        if not config.getoption("asyncexec_plugin"):
            where = f"asyncexec_plugins in {config.inipath or 'the configuration'}"
        raise pytest.UsageError(f"{where}: {error}") from None

    # Of what is imported already pytest would warn that it comes too late.
    if _SUITE not in sys.modules:
        pytest.register_assert_rewrite(_SUITE)
    from . import fixtures
    from .absence import Absence
    from .collection import SuiteCollection
    from .plain_reports import PlainReports
    from .progress import Progress
    from .recording import Recorder
    from .repeated_warnings import RepeatedWarnings
    from .terminal import TerminalReport

    contract = contract_asked(config)
    _refuse_unknown_rules(config.getoption("markexpr"), contract)
    _refuse_names_of_others(config.getoption("keyword"), contract)
    selections = _selections(arguments, targets, contract)
    if selections:
        config.args = paths
    # Who names files and has the executor in a configuration file wants those files.
    given = config.args_source is pytest.Config.ArgsSource.ARGS
    asked = selections or options or config.getoption("asyncexec_plugin")
    plan = _plan(config, targets, selections, contract, collected=bool(asked or not given))
    config.stash[PLAN] = plan
    absence = Absence(config, plan)
    recorder = Recorder(plan, absence)
    register(config, fixtures, "asyncexec-fixtures")
    register(config, SuiteCollection(), "asyncexec-collection")
    register(config, absence, "asyncexec-absence")
    register(config, recorder, "asyncexec-recorder")
    register(config, PlainReports(), "asyncexec-plain-reports")
    if config.pluginmanager.hasplugin("warnings"):
        register(config, RepeatedWarnings(), "asyncexec-repeated-warnings")
    reporting = _reporting(config, plan, recorder)
    if reporting is not None:
        register(config, reporting, "asyncexec-reporting")
    if not hasattr(config, "workerinput"):
        register(config, Progress(plan, recorder), "asyncexec-progress")
    register(config, TerminalReport(config, plan, recorder, reporting), "asyncexec-terminal")
    register(config, Ending(plan, recorder, reporting), "asyncexec-ending")


def _selections(
    arguments: Sequence[str], targets: Sequence[Target], contract: Contract
) -> list[Selection]:
    from ..conformance import CHECK_MODULES
    from .collection import PACKAGE

    names = [target.name for target in targets]
    try:
        return [parse_selection(a, CHECK_MODULES, PACKAGE, names, contract) for a in arguments]
    except SelectionError as error:
        raise pytest.UsageError(str(error)) from None


def _plan(
    config: pytest.Config,
    targets: Sequence[Target],
    selections: Sequence[Selection],
    contract: Contract,
    *,
    collected: bool,
) -> Plan:
    from ..contract.rule import LEVELS, Profile

    lines = config.getini("asyncexec_waivers") if collected else []
    try:
        waivers = parse_waivers(lines, contract.rules, date.today(), contract.why_no_waiver)
    except WaiverError as error:
        raise pytest.UsageError(f"asyncexec_waivers: {error}") from None
    return Plan(
        targets,
        selections or [Selection()],
        collected,
        _one_of(get_args(Profile), config, "asyncexec_profile") or "default",
        _one_of(LEVELS, config, "asyncexec_level"),
        waivers,
        contract,
    )


def _reporting(config: pytest.Config, plan: Plan, recorder: Recorder) -> Reporting | None:
    """What writes the reports, if they were asked for; only where the run is summed up."""
    folder, artifact = config.getoption("asyncexec_report"), config.getoption("asyncexec_artifact")
    if artifact is not None and folder is None:
        raise pytest.UsageError(
            "--asyncexec-artifact: a certificate is written with the reports.\n"
            "  Add --asyncexec-report=DIR."
        )
    if folder is None or hasattr(config, "workerinput"):
        return None
    for option, value in (("report", folder), ("artifact", artifact)):
        if value is not None and not value.strip():
            raise pytest.UsageError(f"--asyncexec-{option}: a path is expected, not nothing.")
    # Only now: nothing of it is needed where nothing is written.
    from .reporting import Reporting

    return Reporting(config, plan, recorder, config.invocation_params.dir / folder, artifact)


def _one_of(known: Sequence[T], config: pytest.Config, name: str) -> T | None:
    """The value of an option that has a few, or else the configuration's, or None."""
    given = config.getoption(name)
    where = f"--{name.replace('_', '-')}" if given is not None else f"{name} in the configuration"
    value = config.getini(name) or None if given is None else given
    if value is None or value in known:
        return value
    hint = near(value, known) or f"Known are {', '.join(known)}."
    raise pytest.UsageError(f"{where}: there is no {value!r}.\n  {hint}")


def _refuse_unknown_rules(expression: str, contract: Contract) -> None:
    """Say it when -m asks for a rule that does not exist, instead of selecting nothing."""
    rules = contract.judged
    asked = r"""(not\s+)?asyncexec\(\s*rule\s*=\s*(["'])(.*?)\2"""
    for is_not, _, rule_id in re.findall(asked, expression):
        why = contract.why_not(rule_id)
        if why and is_not:
            continue  # it is left out anyway
        if why:
            raise pytest.UsageError(f"-m: {why}.\n  {JUDGE_BY_ANOTHER}")
        if rule_id not in rules:
            hint = near(rule_id, rules) or f"Ids run from {min(rules)} to {max(rules)}."
            raise pytest.UsageError(f"-m: the contract has no rule {rule_id!r}.\n  {hint}")


def _refuse_names_of_others(expression: str, contract: Contract) -> None:
    """Say it when -k asks for the check of a rule that another contract has."""
    for before, letters, number in re.findall(r"(?i)(not\s+)?\b\w*?([a-z]{3})_(\d\d)", expression):
        why = contract.why_not(f"{letters.upper()}-{number}")
        if why and not before:
            raise pytest.UsageError(f"-k: {why}.\n  {JUDGE_BY_ANOTHER}")


class Ending:
    """Ends the subjects, and makes the exit status say what the verdict says."""

    def __init__(self, plan: Plan, recorder: Recorder, reporting: Reporting | None) -> None:
        self.plan = plan
        self.recorder = recorder
        self.reporting = reporting

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        """Never exit with success over a verdict that is none."""
        from .fixtures import close_subjects

        close_subjects(session.config)
        result = yield
        worker = hasattr(session.config, "workerinput")
        green = (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
        ours = self.plan.collected and not worker
        if ours and session.exitstatus in green and self._red(session.config):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        return result

    def _red(self, config: pytest.Config) -> bool:
        if runs_nothing(config):
            return False
        if self.reporting is not None and self.reporting.problems:
            return True
        verdicts = [self.recorder.verdict(target.name) for target in self.plan.targets]
        if any(verdict.verdict == "nonconformant" for verdict in verdicts):
            return True
        if self.recorder.needless_waivers():
            return True
        if self.recorder.died and not self.recorder.selected:
            return True
        if self.plan.narrowed(config):
            # A level demanded by the configuration is demanded of runs of the whole suite.
            missed = config.getoption("asyncexec_level") and any(v.below_demand for v in verdicts)
            return bool(missed or self.recorder.open_rules())
        return any(v.verdict == "incomplete" or v.below_demand for v in verdicts)
