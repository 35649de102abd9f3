"""The catalogue: complete, one to one with the checks, and what is printed of it."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pytest_asyncexec.broken import Wrong
from pytest_asyncexec.conformance import CHECK_MODULES
from pytest_asyncexec.conformance.check import checks_of

from pytest_asyncexec.contract.catalogue import (
    CHAPTERS,
    CONTRACT_VERSION,
    RULES,
    VERSIONS,
    UnknownRule,
    look_up,
)
from pytest_asyncexec.contract.rule import CANDIDATE, LEVELS, NEEDS, Rule
from pytest_asyncexec.report.catalogue import catalogue, entry, overview
from pytest_asyncexec.report.rules_page import COMMAND, page

CHECKS = [
    check
    for name in CHECK_MODULES
    for check in checks_of(importlib.import_module(f"pytest_asyncexec.conformance.{name}"))
]


def test_every_rule_has_exactly_one_check() -> None:
    assert sorted(check.rule.id for check in CHECKS) == sorted(RULES)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_check_is_named_after_its_rule(check) -> None:
    rule = check.rule
    prefix = f"test_{rule.id.replace('-', '_')}_{rule.obligation.lower()}_"

    assert check.__name__.startswith(prefix)


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.id)
def test_a_rule_is_well_formed(rule: Rule) -> None:
    assert re.fullmatch("[A-Z]{3}-[0-9]{2}", rule.id)
    assert rule.chapter in CHAPTERS
    assert rule.obligation in {"MUST", "SHOULD"}
    assert rule.level in LEVELS
    assert rule.needs
    assert set(rule.needs) <= NEEDS.keys()
    assert rule.source
    assert rule.since in (*VERSIONS, CANDIDATE)
    assert set(rule.may_need) <= NEEDS.keys() - {*rule.needs}
    for prose in (rule.sentence, rule.why, rule.how):
        assert prose.endswith(".")
        assert prose.count("`") % 2 == 0
        assert prose == " ".join(prose.split())


def test_ids_are_counted_without_gaps_in_the_order_of_the_chapters() -> None:
    numbers = {name: [r.id for r in RULES.values() if r.chapter == name] for name in CHAPTERS}

    assert list(RULES) == [rule_id for ids in numbers.values() for rule_id in ids]
    for name, ids in numbers.items():
        assert ids == [f"{name}-{number:02}" for number in range(1, len(ids) + 1)]


def test_a_rule_is_looked_up_by_its_id_or_its_chapter() -> None:
    assert look_up("ret-02") == [RULES["RET-02"]]
    assert [rule.id for rule in look_up(" CTX")] == ["CTX-01", "CTX-02", "CTX-03", "CTX-04"]


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("RET-22", "Did you mean RET-02"),
        ("RTE", "Did you mean RET"),
        ("tests/", "The chapters are CON, SER, "),
        ("", "The chapters are"),
    ],
)
def test_an_unknown_word_is_answered_with_what_there_is(word: str, hint: str) -> None:
    with pytest.raises(UnknownRule, match="has no rule and no chapter") as raised:
        look_up(word)

    assert hint in str(raised.value)


# ---- as lines ----------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [30, 80, 200])
def test_the_overview_has_every_rule_in_lines_that_fit(width: int) -> None:
    lines = catalogue(width=width)

    assert lines[0].startswith(f"executor contract {CONTRACT_VERSION}: {len(RULES)} rules")
    text = " ".join(" ".join(lines).split())
    assert all(
        f"{rule.id} {rule.obligation} {rule.level} {rule.sentence}" in text
        for rule in RULES.values()
    )
    assert max(map(len, lines[1:-1])) <= max(width, 60)


def test_the_overview_of_a_chapter_has_its_rules_alone() -> None:
    lines = catalogue("ctx")

    many = sum(rule.chapter == "CTX" for rule in RULES.values())
    head = f"executor contract {CONTRACT_VERSION}: {many} of {len(RULES)} rules, "
    assert lines[0].startswith(head)
    assert "CTX: get_dispatch_context" in lines
    assert "CON-01" not in "\n".join(lines)


def test_an_entry_says_everything_about_its_rule() -> None:
    lines = catalogue("RET-02", width=100)

    text = " ".join(" ".join(lines).split())
    rule = RULES["RET-02"]
    assert lines[0] == "RET-02, MUST, level resilient"
    for part in (
        rule.sentence,
        rule.why,
        rule.how,
        rule.source,
        "run: tasks really run",
        "contract 1.0",
    ):
        assert part in text
    assert "Fails it: pytest_asyncexec.broken.retries:NeverRetries" in lines
    assert 'and is told: "... it was attempted 1 time' in text
    assert "    class NeverRetries(ThreadExecutor):" in lines
    assert '        enforces = frozenset({"retries"})' in lines
    assert "@breaks" not in text
    assert max(map(len, lines)) <= 100


def make_wrong() -> None:
    """Returns nothing, and its code is known."""


def test_an_entry_shows_a_factory_like_a_class() -> None:
    lines = entry(RULES["CON-01"], [Wrong(make_wrong, "CON-01", "words")], 80)

    assert "    def make_wrong() -> None:" in lines


def test_an_entry_without_source_code_says_what_the_mistake_is() -> None:
    namespace: dict[str, type] = {}
    exec('class Typed:\n    """Was typed at a prompt."""', namespace)

    lines = entry(RULES["CON-01"], [Wrong(namespace["Typed"], "CON-01", "words")], 80)

    assert "  Was typed at a prompt." in lines


def test_a_chapter_of_one_rule_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "  CON-06  SHOULD  core" in "\n".join(overview([RULES["CON-06"]], 80))


# ---- as a page ---------------------------------------------------------------------------------


def test_the_page_of_the_rules_is_up_to_date() -> None:
    there = (Path(__file__).parent.parent / "docs" / "rules.md").read_text(encoding="utf-8")

    assert there == page(), f"docs/rules.md is not what the catalogue says; run: {COMMAND}"


def test_every_link_of_the_page_leads_to_a_heading() -> None:
    text = page()
    headings = re.findall(r"^#+ (.*)$", text, re.M)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}

    links = re.findall(r"\]\(#([^)]*)\)", text)

    assert len(links) == len(RULES) + len(CHAPTERS)
    assert set(links) <= anchors


def test_every_row_of_a_table_has_as_many_cells() -> None:
    tables = re.findall(r"(?:^\|.*\n)+", page(), re.M)

    assert len(tables) == len(CHAPTERS) + 2
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}) == 1


def test_the_page_is_written_by_a_command(tmp_path: Path) -> None:
    module = [sys.executable, "-m", "pytest_asyncexec.report.rules_page"]
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}

    subprocess.run([*module, "rules.md"], cwd=tmp_path, env=environment, check=True)
    without = subprocess.run(module, capture_output=True, text=True, check=False)
    nowhere = subprocess.run(
        [*module, str(tmp_path / "x" / "y")], capture_output=True, text=True, check=False
    )

    assert (tmp_path / "rules.md").read_text(encoding="utf-8") == page()
    assert without.returncode == 1
    assert COMMAND in without.stderr
    assert nowhere.returncode == 1
    assert nowhere.stderr.startswith(f"error: {str(tmp_path / 'x' / 'y')!r} cannot be written: No")
