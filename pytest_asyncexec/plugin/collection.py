"""The virtual suite node under the pytest session, and what is collected below it."""

from __future__ import annotations

import importlib.util
from collections.abc import Generator, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from .. import conformance
from ..conformance import CHECK_MODULES
from ..targets.target import Target
from .selection import PLAN, SUITE

PACKAGE = conformance.__name__
_FOLDER = Path(conformance.__path__[0])


class Suite(pytest.Collector):
    """The node `asyncexec`, which lies on no path of the user's."""

    def collect(self) -> Iterable[pytest.Collector]:
        plan = self.config.stash[PLAN]
        for name in CHECK_MODULES:
            if any(selection.module in (None, name) for selection in plan.selections):
                spec = importlib.util.find_spec(f"{PACKAGE}.{name}")
                if spec is None or spec.origin is None:
                    raise self.CollectError(
                        f"{SUITE}: the module {name} of the suite is missing; reinstall "
                        "pytest-asyncexec"
                    )
                yield SuiteModule.from_parent(
                    self,
                    name=f"{name}.py",
                    path=Path(spec.origin),
                    nodeid=f"{SUITE}/{name}.py",
                )


class SuiteModule(pytest.Module):
    """A module of checks, imported by its full name and collected by the suite's own rules."""

    def _getobj(self) -> ModuleType:
        return importlib.import_module(f"{PACKAGE}.{self.path.stem}")

    # The user's python_functions and python_classes are about the user's files.

    def funcnamefilter(self, name: str) -> bool:
        return name.startswith("test_")

    def classnamefilter(self, name: str) -> bool:
        return False

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        plan = self.config.stash[PLAN]
        selections = plan.selections
        for item in super().collect():
            if not isinstance(item, pytest.Function):
                continue
            rule = getattr(item.obj, "rule", None)
            if rule is not None and rule.id not in plan.contract.judged:
                continue  # another contract asks for it
            target = target_of(item)
            for selection in selections:
                name = item.originalname or item.name
                if selection.covers(self.path.stem, name, target.name if target else None):
                    yield item
                    break


def is_check(node: Any) -> bool:
    """Whether this node is a check of the suite."""
    return isinstance(node, pytest.Function) and isinstance(node.parent, SuiteModule)


def target_of(item: pytest.Function) -> Target | None:
    """The target that a check is going to judge."""
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    target = parameters.get("asyncexec_subject")
    return target if isinstance(target, Target) else None


def judged_by(item: pytest.Item) -> tuple[str, str] | None:
    """The names of target and rule that an item judges, if it is a check of the suite."""
    if not isinstance(item, pytest.Function) or not is_check(item):
        return None
    target, marker = target_of(item), item.get_closest_marker("asyncexec")
    if target is None or marker is None:
        return None
    return target.name, marker.kwargs["rule"]


class SuiteCollection:
    """The hooks that put the suite into a session."""

    @pytest.hookimpl(wrapper=True, specname="pytest_make_collect_report")
    def pytest_asyncexec_add_suite(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        report = yield
        if isinstance(collector, pytest.Session) and collector.config.stash[PLAN].collected:
            suite = Suite.from_parent(collector, name=SUITE, path=_FOLDER, nodeid=SUITE)
            if collector.config.pluginmanager.hasplugin("warnings"):
                # An executor that warns is not at fault because the user's own tests are strict.
                suite.add_marker(pytest.mark.filterwarnings("default"))
            report.result = [*(report.result or []), suite]
        return report

    @pytest.hookimpl(tryfirst=True, specname="pytest_make_collect_report")
    def pytest_asyncexec_collect_module(
        self, collector: pytest.Collector
    ) -> pytest.CollectReport | None:
        # --lf answers with an empty report for every file that is not known to have failed, and
        # knows no ids that are not paths.
        if not isinstance(collector, SuiteModule):
            return None
        runner = collector.config.pluginmanager.get_plugin("runner")
        assert runner is not None
        report: pytest.CollectReport = runner.pytest_make_collect_report(collector)
        return report

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Judge every target with every check.

        Because the parameter is of session scope, pytest runs all checks of a target in a row.
        """
        if not isinstance(metafunc.definition.parent, SuiteModule):
            return
        targets = metafunc.config.stash[PLAN].targets
        metafunc.parametrize(
            "asyncexec_subject",
            targets,
            ids=[target.name for target in targets],
            indirect=True,
            scope="session",
        )
