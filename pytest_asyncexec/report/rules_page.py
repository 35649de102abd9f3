"""The catalogue as a page of Markdown: `python -m pytest_asyncexec.report.rules_page FILE`."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from ..contract.catalogue import CHAPTERS, CONTRACT_VERSION, RULES
from ..contract.rule import LEVELS, NEEDS, Rule
from .markdown import plain, table

if TYPE_CHECKING:
    from ..broken import Wrong

#: How docs/rules.md comes up to date.
COMMAND = "python -m pytest_asyncexec.report.rules_page docs/rules.md"

_LEVELS = {
    "core": "what the documented interface promises and a host relies on",
    "resilient": "time limits, retries, cancellation, concurrency",
    "hardened": "leaks, hostile input, injected faults",
}


def page() -> str:
    """The whole page."""
    from ..broken import all_wrong

    wrongs = all_wrong()
    blocks = [_introduction()]
    for chapter, rules in groupby(RULES.values(), lambda rule: rule.chapter):
        blocks += _chapter(chapter, list(rules), wrongs)
    return "\n\n".join(blocks) + "\n"


def _introduction() -> str:
    counts = Counter(rule.obligation for rule in RULES.values())
    levels = Counter(rule.level for rule in RULES.values())
    chapters = dict.fromkeys(rule.chapter for rule in RULES.values())
    return "\n\n".join(
        [
            "# The rules of the executor contract",
            f"<!-- Made by: {COMMAND} -->",
            f"Version {CONTRACT_VERSION} of the contract has {len(RULES)} rules: "
            f"{counts['MUST']} MUST and {counts['SHOULD']} SHOULD. An id never changes its "
            "meaning. `pytest --asyncexec-rules=RET-02` prints an entry together with the code of "
            "the executors that are wrong by it, and `python -m pytest_asyncexec.broken RET-02` "
            "shows that they are found.",
            table(
                ("level", "rules", "about"),
                ((level, str(levels[level]), _LEVELS[level]) for level in LEVELS),
            ),
            "A rule is judged where its needs are met. What an executor declares that it cannot "
            "do makes a rule *not applicable*, which is no pass.",
            table(("need", "meaning"), ((f"`{n}`", means) for n, means in NEEDS.items())),
            "\n".join(
                f"- [{_title(chapter)}](#{_anchor(_title(chapter))})" for chapter in chapters
            ),
        ]
    )


def _chapter(chapter: str, rules: Sequence[Rule], wrongs: Iterable[Wrong]) -> list[str]:
    rows = table(
        ("rule", "", "level", "sentence"),
        (
            (f"[{rule.id}](#{rule.id.lower()})", rule.obligation, rule.level, plain(rule.sentence))
            for rule in rules
        ),
    )
    entries = [_entry(rule, [wrong for wrong in wrongs if wrong.rule == rule.id]) for rule in rules]
    return [f"## {_title(chapter)}", rows, *entries]


def _entry(rule: Rule, wrongs: Sequence[Wrong]) -> str:
    needs = ", ".join(f"`{need}`" for need in rule.needs)
    lines = [
        f"### {rule.id}",
        f"**{rule.obligation}**, level {rule.level}, needs {needs}, since {rule.since}",
        f"> {plain(rule.sentence)}",
        f"**Why:** {plain(rule.why)}",
        f"**How it is decided:** {plain(rule.how)}",
        f"**Source:** {plain(rule.source)}",
    ]
    if wrongs:
        names = "\n".join(f"- `{wrong.name}`: {plain(wrong.mistake)}" for wrong in wrongs)
        lines.append(f"**Wrong by it:**\n\n{names}")
    return "\n\n".join(lines)


def _title(chapter: str) -> str:
    return f"{chapter}: {CHAPTERS[chapter].title}"


def _anchor(heading: str) -> str:
    """What a heading is linked by, as the usual renderers make it."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def write(text: str, command: str) -> None:
    """Write a page to the file that the command line names, as `command` does."""
    if len(sys.argv) != 2:
        sys.exit(f"usage: {command}")
    try:
        Path(sys.argv[1]).write_text(text, encoding="utf-8", newline="\n")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        sys.exit(f"error: {sys.argv[1]!r} cannot be written: {why}.\n  Name a file, as {command}")


if __name__ == "__main__":
    write(page(), COMMAND)
