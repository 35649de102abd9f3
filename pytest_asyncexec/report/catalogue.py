"""The words of the catalogue, as plain lines: all rules, those of a chapter, or a whole entry."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from ..contract.catalogue import CHAPTERS, Contract, contract_of, look_up
from ..contract.rule import CANDIDATE, NEEDS, Rule

if TYPE_CHECKING:
    from ..broken import Wrong

_NARROW = 72

_SINCE = "a candidate: of no contract yet, judged and told, and never counted"


def catalogue(word: str = "", width: int = 80, contract: Contract | None = None) -> list[str]:
    """All rules; or with a chapter those of it, or with the id of a rule its whole entry.

    Args:
        word: an id, a chapter, or nothing.
        width: of the lines, in columns.
        contract: of which version; by default of the newest.

    Raises:
        UnknownRule: `word` names neither.
    """
    contract = contract or contract_of()
    if not word:
        return overview(contract.judged.values(), width, contract)
    rules = look_up(word, contract)
    if len(rules) > 1:
        return overview(rules, width, contract)
    from ..broken import all_wrong

    return entry(rules[0], [wrong for wrong in all_wrong() if wrong.rule == rules[0].id], width)


def overview(rules: Iterable[Rule], width: int, contract: Contract | None = None) -> list[str]:
    """The rules by chapter: id, obligation, level, sentence."""
    rules, contract = list(rules), contract or contract_of()
    counted = [rule for rule in rules if rule.since != CANDIDATE]
    counts = Counter(rule.obligation for rule in counted)
    many = f"{len(counted)} rules"
    if len(counted) < len(contract.rules):
        many = f"{len(counted)} of {len(contract.rules)} rules"
    lines = [
        f"executor contract {contract.version}: {many}, {counts['MUST']} MUST and "
        f"{counts['SHOULD']} SHOULD"
    ]
    for chapter, its_rules in groupby(rules, lambda rule: rule.chapter):
        lines += ["", f"{chapter}: {CHAPTERS[chapter].title}"]
        for rule in its_rules:
            head = f"  {rule.id}  {rule.obligation:6}  {rule.level:9}  "
            mark = "(candidate) " if rule.since == CANDIDATE else ""
            lines += _wrapped(f"{mark}{rule.sentence}", width, head)
    return [*lines, "", f"All about one of them: pytest --asyncexec-rules={rules[0].id}"]


def entry(rule: Rule, wrongs: Sequence[Wrong], width: int) -> list[str]:
    """All about one rule, with the executors that are wrong by it."""
    lines = [f"{rule.id}, {rule.obligation}, level {rule.level}", ""]
    lines += _wrapped(rule.sentence, width)
    for title, text in (("why", rule.why), ("decided", rule.how)):
        lines += ["", *_wrapped(text, width, f"{title:7}  ")]
    lines.append("")
    for title, text in (
        ("needs", "; ".join(f"{need}: {NEEDS[need]}" for need in rule.needs)),
        ("source", rule.source),
        ("since", _SINCE if rule.since == CANDIDATE else f"contract {rule.since}"),
    ):
        lines += _wrapped(text, width, f"{title:7}  ")
    for wrong in wrongs:
        lines += ["", *_wrapped(f"Fails it: {wrong.spec}", width)]
        lines += _wrapped(f'and is told: "... {wrong.says} ..."', width, "  ")
        # The code says in its docstring what the mistake is.
        code = textwrap.indent(wrong.source, "    ").splitlines()
        lines += ["", *code] if code else _wrapped(wrong.mistake, width, "  ")
    return [
        *lines,
        "",
        "To judge by this rule alone:",
        f"  pytest --asyncexec-plugin=pkg.mod:Class -m \"asyncexec(rule='{rule.id}')\"",
    ]


def on_this_terminal(lines: Callable[[int], list[str]]) -> None:
    """Print lines made for the width of the terminal, in what its encoding has."""
    text = "\n".join(lines(shutil.get_terminal_size().columns))
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding))


def _wrapped(text: str, width: int, head: str = "") -> list[str]:
    """The text behind its head, in a column of its own where there is room for one."""
    return textwrap.wrap(
        text,
        max(width - 1, 40),
        initial_indent=head,
        subsequent_indent=" " * (len(head) if width >= _NARROW else min(len(head), 4)),
        break_on_hyphens=False,
        break_long_words=False,
    )
