"""One run of the suite: what is asked for, what is registered for it, and how it exits."""

from __future__ import annotations

import re
import sys
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING

import pytest

from .imports import TargetError, near
from .selection import (
    PLAN,
    Plan,
    Selection,
    SelectionError,
    parse_selection,
    split_arguments,
)
from .targets import load_targets

if TYPE_CHECKING:
    from .recording import Recorder


def prepare(config: pytest.Config, specs: Sequence[str]) -> None:
    """Load the targets and put the suite, as far as it was asked for, into the session.

    Raises:
        pytest.UsageError: something that was asked for cannot be had.
    """
    invocation_dir = config.invocation_params.dir
    paths, arguments = split_arguments(config.args, invocation_dir, config.rootpath)
    if not specs:
        if arguments:
            raise pytest.UsageError(
                f"{arguments[0]} selects from the executor conformance suite, and no executor is "
                "named.\n  Add --asyncexec-plugin=pkg.mod:Class."
            )
        return
    try:
        targets = load_targets(specs, [invocation_dir, config.rootpath])
    except TargetError as error:
        raise pytest.UsageError(f"--asyncexec-plugin: {error}") from None

    # Of what is imported already pytest would warn that it comes too late.
    if f"{__package__}.conformance" not in sys.modules:
        pytest.register_assert_rewrite(f"{__package__}.conformance")
    from .collection import PACKAGE, SuiteCollection
    from .conformance import CHECK_MODULES, fixtures
    from .recording import Recorder
    from .report.terminal import TerminalReport

    _refuse_unknown_rules(config.getoption("markexpr"))
    names = [target.name for target in targets]
    try:
        selections = [parse_selection(a, CHECK_MODULES, PACKAGE, names) for a in arguments]
    except SelectionError as error:
        raise pytest.UsageError(str(error)) from None
    if selections:
        config.args = paths
    # Who names files and has the executor in a configuration file wants those files.
    given = config.args_source is pytest.Config.ArgsSource.ARGS
    collected = bool(selections or config.getoption("asyncexec_plugin") or not given)
    plan = Plan(targets, selections or [Selection()], collected)
    config.stash[PLAN] = plan
    recorder = Recorder(names)
    register = config.pluginmanager.register
    register(fixtures, "asyncexec-fixtures")
    register(SuiteCollection(), "asyncexec-collection")
    register(recorder, "asyncexec-recorder")
    register(TerminalReport(config, plan, recorder), "asyncexec-terminal")
    register(Ending(plan, recorder), "asyncexec-ending")


def _refuse_unknown_rules(expression: str) -> None:
    """Say it when -m asks for a rule that does not exist, instead of selecting nothing."""
    from .conformance.rules import RULES, UNCHECKED

    for _, rule_id in re.findall(r"""asyncexec\(\s*rule\s*=\s*(["'])(.*?)\1""", expression):
        if rule_id not in RULES:
            hint = near(rule_id, RULES) or f"Ids run from {min(RULES)} to {max(RULES)}."
            raise pytest.UsageError(f"-m: the contract has no rule {rule_id!r}.\n  {hint}")
        if rule_id in UNCHECKED:
            raise pytest.UsageError(
                f"-m: no check of this version decides {rule_id} yet, so nothing could be judged."
            )


class Ending:
    """Ends the subjects, and makes the exit status say what the verdict says."""

    def __init__(self, plan: Plan, recorder: Recorder) -> None:
        self.plan = plan
        self.recorder = recorder

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        """Never exit with success over a verdict that is none."""
        from .conformance.fixtures import close_subjects

        close_subjects(session.config)
        result = yield
        worker = hasattr(session.config, "workerinput")
        green = (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
        ours = self.plan.collected and not worker
        if ours and session.exitstatus in green and self._red(session.config):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        return result

    def _red(self, config: pytest.Config) -> bool:
        if config.getoption("collectonly"):
            return False
        verdicts = [self.recorder.verdict(target.name).verdict for target in self.plan.targets]
        if "nonconformant" in verdicts:
            return True
        if self.plan.narrowed(config):
            return bool(self.recorder.open_rules())
        return "incomplete" in verdicts
