"""The catalogue and the checks belong together, one to one."""

from __future__ import annotations

import importlib
import re

import pytest
from pytest_asyncexec.conformance import CHECK_MODULES
from pytest_asyncexec.conformance.check import checks_of
from pytest_asyncexec.conformance.rules import LEVELS, NEEDS, RULES, UNCHECKED, Rule

CHECKS = [
    check
    for name in CHECK_MODULES
    for check in checks_of(importlib.import_module(f"pytest_asyncexec.conformance.{name}"))
]


def test_every_rule_but_the_unchecked_has_exactly_one_check() -> None:
    checked = [check.rule.id for check in CHECKS]

    assert sorted(checked) == sorted(RULES.keys() - UNCHECKED)


def test_every_unchecked_rule_is_a_rule() -> None:
    assert not UNCHECKED - RULES.keys()


def test_no_core_rule_is_unchecked() -> None:
    # Otherwise no executor could be certified at any level.
    assert not [id for id in UNCHECKED if RULES[id].level == "core"]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_check_is_named_after_its_rule(check) -> None:
    rule = check.rule
    prefix = f"test_{rule.id.replace('-', '_')}_{rule.obligation.lower()}_"

    assert check.__name__.startswith(prefix)


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.id)
def test_a_rule_is_well_formed(rule: Rule) -> None:
    assert re.fullmatch("[A-Z]{3}-[0-9]{2}", rule.id)
    assert rule.obligation in {"MUST", "SHOULD"}
    assert rule.level in LEVELS
    assert rule.needs
    assert set(rule.needs) <= NEEDS.keys()
    assert rule.sentence.endswith(".")
    assert rule.source
