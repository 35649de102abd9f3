"""Command line arguments that select within the suite instead of naming a path."""

from __future__ import annotations

import importlib
import os
import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ..contract.catalogue import Contract, contract_of
from ..contract.spelling import near
from ..contract.waivers import Waivers
from ..targets.target import Target

if TYPE_CHECKING:
    from ..contract.rule import Level, Profile

SUITE = "asyncexec"

#: What to do where a rule is asked for that the contract of the run does not have.
JUDGE_BY_ANOTHER = "Leave out the rule, or judge by the contract that has it: --asyncexec-contract."


class SelectionError(Exception):
    """An argument under `asyncexec/` that selects nothing."""


@dataclass(frozen=True, slots=True)
class Selection:
    """One argument: the whole suite, a module of it, a check, or a check on one target."""

    module: str | None = None
    check: str | None = None
    target: str | None = None

    def covers(self, module: str, check: str, target: str | None) -> bool:
        """Whether the check `check` of `module`, for `target`, is selected by this argument."""
        return (
            self.module in (None, module)
            and self.check in (None, check)
            and self.target in (None, target)
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run was asked to judge."""

    targets: Sequence[Target]
    selections: Sequence[Selection]
    collected: bool = True
    profile: Profile = "default"
    demanded: Level | None = None
    waivers: Waivers = field(default_factory=Waivers)
    contract: Contract = field(default_factory=contract_of)

    def narrowed(self, config: pytest.Config) -> bool:
        """Whether the user asked for less than the whole suite.

        What a hook or a conftest takes away was not asked for by anybody.
        """
        if Selection() not in self.selections:
            return True
        return any(getattr(config.option, name, None) for name in _NARROWING)

    def covers(self, module: str, check: str, target: str | None) -> bool:
        """Whether one of the arguments selects this check on this target."""
        return any(selection.covers(module, check, target) for selection in self.selections)


PLAN = pytest.StashKey[Plan]()

_NARROWING = (
    "keyword",
    "markexpr",
    "deselect",
    "lf",
    "stepwise",
    "stepwise_skip",
    "collectonly",
)


def runs_nothing(config: pytest.Config) -> bool:
    """Whether pytest was asked to list what there is, so that nothing is judged and told."""
    listing = ("collectonly", "showfixtures", "show_fixtures_per_test")
    return any(config.getoption(name, None) for name in listing)


def what_selects_one(config: pytest.Config) -> str:
    """How one rule is selected, for somebody whose -k or -m has selected nothing; or nothing."""
    asked = {"-m": config.option.markexpr, "-k": config.option.keyword}
    given = [f"{option} {shlex.quote(said)}" for option, said in asked.items() if said]
    if not given:
        return ""
    named = re.search(r"(?<![A-Za-z])([A-Za-z]{3})[-_](\d\d)(?!\d)", " ".join(given))
    chapter, number = named.groups() if named else ("RET", "02")
    return (
        f"{' '.join(given)} selects nothing. A rule is selected by "
        f"-m \"asyncexec(rule='{chapter.upper()}-{number}')\", or by its check's name: "
        f"-k {chapter.upper()}_{number}"
    )


def split_arguments(
    arguments: Iterable[str], invocation_dir: Path, rootdir: Path
) -> tuple[list[str], list[str]]:
    """Part the arguments in those that name paths and those that select within the suite.

    The latter are returned in their normal form, `asyncexec/...`. A path on disk stays a path,
    also one in a folder of the user's that happens to be called `asyncexec`.
    """
    paths, selections = [], []
    for argument in arguments:
        path, separator, names = argument.partition("::")
        full = Path(os.path.normpath(invocation_dir / path))
        # pytest shows ids relative to where it was started; pasted back they begin with "..".
        inside = next(
            (full.relative_to(base) for base in (invocation_dir, rootdir) if _under(full, base)),
            None,
        )
        if inside is None or full.exists():
            paths.append(argument)
        else:
            selections.append(inside.as_posix() + separator + names)
    return paths, selections


def _under(path: Path, base: Path) -> bool:
    suite = base / SUITE
    return path == suite or suite in path.parents


def parse_selection(
    argument: str,
    modules: Sequence[str],
    package: str,
    targets: Sequence[str],
    contract: Contract,
) -> Selection:
    """Read an argument in normal form, and see that it selects something.

    Raises:
        SelectionError: the suite has no such module, check or target, or not in this contract.
    """
    path, _, names = argument.partition("::")
    module = path.removeprefix(SUITE).strip("/").removesuffix(".py") or None
    if module is not None and module not in modules:
        hint = near(module, modules) or f"Modules of the suite: {', '.join(modules)}."
        raise SelectionError(f"{argument}: the suite has no module {module}.py.\n  {hint}")
    if module is None and not names:
        return Selection()
    if module is None:
        raise SelectionError(f"{argument}: name a module, {SUITE}/test_....py::{names}")
    name, bracket, parameter = names.partition("[")
    loaded = vars(importlib.import_module(f"{package}.{module}"))
    known = [known for known in loaded if known.startswith("test_")]
    rules = [loaded[check].rule.id for check in known if hasattr(loaded[check], "rule")]
    if not names:
        if rules and not any(rule_id in contract.judged for rule_id in rules):
            raise SelectionError(f"{argument}: {contract.why_not(rules[0])}.\n  {JUDGE_BY_ANOTHER}")
        return Selection(module)
    if name in known and (why := contract.why_not(loaded[name].rule.id)):
        raise SelectionError(f"{argument}: {why}.\n  {JUDGE_BY_ANOTHER}")
    if name not in known:
        hint = near(name, known) or f"Checks there: {', '.join(known)}."
        raise SelectionError(f"{argument}: {module}.py has no check {name}.\n  {hint}")
    if not bracket:
        return Selection(module, name)
    target = parameter.removesuffix("]")
    # pytest escapes what is not ASCII in the ids that it prints.
    names_by_id = {known.encode("unicode_escape").decode("ascii"): known for known in targets}
    target = names_by_id.get(target, target)
    if target not in targets:
        hint = f"Targets of this run: {', '.join(targets)}."
        raise SelectionError(f"{argument}: there is no target {target}.\n  {hint}")
    return Selection(module, name, target)
