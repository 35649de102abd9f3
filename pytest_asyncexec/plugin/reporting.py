"""Writes the reports at the end of a run, and says so."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ..evidence.artifact import Artifact, ArtifactError, file_of, installed
from ..evidence.certificate import statement
from ..evidence.environment import Environment
from ..evidence.record import Facts, RunRecord, TargetRecord
from ..evidence.wheel import Wheel, is_held, open_wheel, refuse_other_code
from ..report.folder import FolderError, clear_folder, documents, prepare_folder, write_folder
from ..targets.target import Target
from .recording import Recorder
from .selection import Plan, runs_nothing


class Reporting:
    """The folder of `--asyncexec-report`, and the wheel of `--asyncexec-artifact`."""

    def __init__(
        self, config: pytest.Config, plan: Plan, recorder: Recorder, folder: Path, artifact: str
    ) -> None:
        """See that the folder can be written to, and that the wheel is what is judged.

        Raises:
            pytest.UsageError: it is not so.
        """
        self.config = config
        self.plan = plan
        self.recorder = recorder
        self.folder = folder
        self.wheel: Wheel | None = None
        #: What kept a report from being written.
        self.problems: list[str] = []
        self.written = False
        self._installed: dict[str, list[Artifact]] = {}
        try:
            if artifact:
                opened = open_wheel(config.invocation_params.dir / artifact)
                self.wheel = replace(opened, path=Path(artifact))
                for target in plan.targets:
                    # What a factory builds is known when it has been called.
                    if target.is_class:
                        refuse_other_code(self.wheel, _module_of(target, Facts()))
        except ArtifactError as error:
            raise pytest.UsageError(f"--asyncexec-artifact: {error}") from None
        try:
            prepare_folder(folder)
            # A conftest that loads the plugin does so too late for what comes before all conftests.
            if not runs_nothing(config):
                clear_folder(folder)
        except FolderError as error:
            raise pytest.UsageError(f"--asyncexec-report: {error}") from None

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, exitstatus: int) -> Generator[None, object, object]:
        """Write what is known, also of a run that was cut short, or ends in somebody's error."""
        try:
            return (yield)
        finally:
            usage = exitstatus == pytest.ExitCode.USAGE_ERROR
            if not usage and not runs_nothing(self.config):
                self._write()

    def _write(self) -> None:
        run = RunRecord(
            tuple(self._record(target) for target in self.plan.targets),
            Environment.here(),
            self.plan.profile,
            self.plan.demanded,
            self.plan.narrowed(self.config),
            self.plan.contract.version,
        )
        statements: dict[str, dict[str, Any]] = {}
        listings: dict[str, str] = {}
        for target, record in zip(self.plan.targets, run.targets, strict=True):
            try:
                subject = self._subject(target, record)
            except ArtifactError as error:
                self.problems.append(f"no certificate of {target.name}: {error}")
            else:
                statements[record.name] = statement(
                    run, record, subject, self._factory(target, record)
                )
                listing = "".join(one.listing for one in subject)
                listings |= {record.name: listing} if listing else {}
        files = documents(run, statements, listings)
        try:
            write_folder(self.folder, files)
            self.written = True
        except FolderError as error:
            self.problems.append(f"the report is not written: {error}")
        self._append_summary(files["summary.md"])

    def _record(self, target: Target) -> TargetRecord:
        verdict = self.recorder.verdict(target.name)
        facts = self.recorder.facts.get(target.name, Facts())
        objections = tuple(self.recorder.objections(target.name))
        candidates = self.recorder.candidates(target.name)
        return TargetRecord(target.name, target.spec, verdict, facts, objections, candidates)

    def _subject(self, target: Target, record: TargetRecord) -> Sequence[Artifact]:
        """What the certificate of a target is bound to."""
        if record.objections:
            raise ArtifactError(" ".join(record.objections))
        module = _module_of(target, record.facts)
        if self.wheel is not None:
            if not target.is_class and not record.facts.executor:
                raise ArtifactError(
                    "nothing was built, so that it is not known whether the wheel holds its class."
                )
            refuse_other_code(self.wheel, module)
            return [self.wheel.artifact]
        if module not in self._installed:
            self._installed[module] = installed(module)
        found = self._installed[module]
        if not found:
            raise ArtifactError(f"{module} lies in no file, of which a digest could be taken.")
        return found

    def _factory(self, target: Target, record: TargetRecord) -> list[Artifact]:
        """The file of a factory, which configures the executor, if it is not certified too."""
        if target.is_class:
            return []
        made_by, module = _named_in(target), _module_of(target, record.facts)
        if self.wheel is not None:
            covered = is_held(self.wheel, made_by)
        else:
            covered = made_by.partition(".")[0] == module.partition(".")[0]
        return [] if covered else file_of(made_by, f"factory {target.spec}")

    def _append_summary(self, text: str) -> None:
        """Show it on the page of the run in GitHub Actions."""
        path = os.environ.get("GITHUB_STEP_SUMMARY")
        if not path:
            return
        try:
            with open(path, "a", encoding="utf-8", newline="\n") as stream:
                stream.write(text)
        except OSError as error:
            self.problems.append(f"GITHUB_STEP_SUMMARY cannot be written: {error.strerror}.")


def _module_of(target: Target, facts: Facts) -> str:
    """The module of the executor's class.

    Raises:
        ArtifactError: a factory built something whose module cannot be found.
    """
    module = facts.executor.partition(":")[0]
    if not module and isinstance(target.build, type):
        module = target.build.__module__
    if not module:
        return _named_in(target)
    # A factory may import it in a worker alone.
    with contextlib.suppress(Exception):
        importlib.import_module(module)
    # A class that `types.new_class` has made says that it is of `types`.
    of_python = module.partition(".")[0] in sys.stdlib_module_names
    if module in sys.modules and not of_python:
        return module
    if target.is_class:
        # Some platforms load plugins from files under names that are none of modules.
        return _named_in(target)
    if of_python:
        raise ArtifactError(
            f"what {target.spec} builds says that it is of the module {module!r}, of Python's own "
            "library.\n  Set __module__ of its class to the module that makes it."
        )
    raise ArtifactError(f"the module {module!r}, of what {target.spec} builds, cannot be found.")


def _named_in(target: Target) -> str:
    """The module in which the user named a target."""
    name = target.spec.partition(":")[0]
    while name not in sys.modules and "." in name:
        name = name.rpartition(".")[0]
    return name
