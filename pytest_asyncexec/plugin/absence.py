"""Which checks of the suite are absent from a run though nobody asked for that, and who took them.

The options that select (-k, -m, --deselect, --lf ...) are the user's to give. A check that is gone
for any other reason, a hook of a conftest or of another plugin, leaves its rule open.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from types import CodeType, SimpleNamespace
from typing import Any

import pytest

from ..conformance import CHECK_MODULES
from .collection import PACKAGE, judged_by
from .selection import Plan

_KIT = __name__.partition(".")[0]
_COLLECTING = ("pytest_make_collect_report", "pytest_pycollect_makeitem", "pytest_generate_tests")


class Absence:
    """Compares the checks that should have been selected with those that were."""

    def __init__(self, config: pytest.Config, plan: Plan) -> None:
        self.config = config
        self.plan = plan
        #: Why a check is absent, by the names of its target and its rule.
        self.reasons: dict[tuple[str, str], str] = {}
        self._collected: dict[tuple[str, str], pytest.Item] = {}
        self._announced: dict[tuple[str, str], str] = {}
        self._by_option: set[tuple[str, str]] = set()

    @property
    def narrowed(self) -> bool:
        """Whether the user asked for less than the whole suite."""
        return self.plan.narrowed(self.config)

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Remember which checks there were at first."""
        judged = judged_by(item)
        if judged is not None:
            self._collected[judged] = item

    def pytest_deselected(self, items: Iterable[pytest.Item]) -> None:
        """Remember who announced what."""
        judged = {pair for pair in map(judged_by, items) if pair is not None}
        if judged:
            code, line, module = _announcer()
            if module.startswith("_pytest."):
                self._by_option |= judged
            else:
                who = f"deselected by a hook, {self._place(code.co_filename, module)}:{line}"
                self._announced |= dict.fromkeys(judged, who)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Find out what is absent, and why."""
        present = {judged_by(item) for item in session.items}
        lost = {pair: item for pair, item in self._collected.items() if pair not in present}
        wanted = {judged_by(item) for item in self._selected_by_options(session, lost.values())}
        for pair in self._expected():
            if pair in present or pair in self._by_option:
                continue
            if pair not in lost:
                reason = f"its check was never collected{self._suspects(*_COLLECTING)}"
            elif pair in wanted:
                silent = "its check was taken from the list of tests"
                silent += self._suspects("pytest_collection_modifyitems")
                reason = self._announced.get(pair, silent)
            else:
                continue
            self.reasons[pair] = reason
        output = getattr(self.config, "workeroutput", None)
        if output is not None:
            output["asyncexec_absent"] = [[*pair, why] for pair, why in self.reasons.items()]

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """Take over what a worker found to be absent."""
        for target, rule_id, why in getattr(node, "workeroutput", {}).get("asyncexec_absent", ()):
            self.reasons[target, rule_id] = why

    def unreported(self) -> str:
        """Why nothing was heard of a check that was selected."""
        return f"nothing was reported of its check{self._suspects('pytest_runtest_protocol')}"

    def _expected(self) -> Iterable[tuple[str, str]]:
        """Target and rule of every check that the arguments of the run cover."""
        for name in CHECK_MODULES:
            module = sys.modules.get(f"{PACKAGE}.{name}", SimpleNamespace())
            for check, function in vars(module).items():
                if not check.startswith("test_") or not hasattr(function, "rule"):
                    continue
                if function.rule.id in self.plan.contract.rules:
                    for target in self.plan.targets:
                        if self.plan.covers(name, check, target.name):
                            yield target.name, function.rule.id

    def _selected_by_options(
        self, session: pytest.Session, items: Iterable[pytest.Item]
    ) -> list[pytest.Item]:
        """Ask those plugins of pytest's own that select by name and mark, and no other."""
        asked, manager = list(items), self.config.pluginmanager
        others = [p for p in manager.get_plugins() if manager.get_name(p) not in ("mark", "main")]
        ask = manager.subset_hook_caller("pytest_collection_modifyitems", others)
        ask(session=session, config=_Silent(self.config), items=asked)
        return asked

    def _suspects(self, *hooks: str) -> str:
        """Who implements one of these hooks: the user's own files, or else other plugins."""
        places = {}
        for hook in hooks:
            for implementation in getattr(self.config.hook, hook).get_hookimpls():
                function = getattr(implementation.function, "__func__", implementation.function)
                module = getattr(function, "__module__", None) or ""
                if not module.startswith(("_pytest.", f"{_KIT}.")):
                    file = getattr(getattr(function, "__code__", None), "co_filename", module)
                    places[f"{hook} in {self._place(file, module)}"] = "site-packages" in file
        own = [place for place, installed in places.items() if not installed]
        return f"; look at {', '.join(own or places)}" if places else ""

    def _place(self, file: str, module: str) -> str:
        """A file of the user's as they know it; a plugin by its module."""
        root = f"{self.config.rootpath}/"
        return module if "site-packages" in file else file.removeprefix(root)


class _Silent:
    """A configuration whose hooks reach nobody: a question deselects nothing."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self.hook = SimpleNamespace(pytest_deselected=lambda items: None)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._config, name)


def _announcer() -> tuple[CodeType, int, str]:
    """Who called the hook that the caller of this function implements."""
    frame = sys._getframe(2)
    while frame.f_back is not None and frame.f_globals["__name__"].startswith("pluggy"):
        frame = frame.f_back
    return frame.f_code, frame.f_lineno, str(frame.f_globals["__name__"])
