"""What came with which contract, as a page of Markdown.

`python -m pytest_asyncexec.report.changes_page FILE` writes it.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from ..contract.catalogue import CHAPTERS, RULES, VERSIONS, contract_of
from ..contract.frozen import digest_of
from ..contract.rule import CANDIDATE, Rule
from .markdown import plain, table
from .rules_page import write

#: How docs/contract-changes.md comes up to date.
COMMAND = "python -m pytest_asyncexec.report.changes_page docs/contract-changes.md"

_INTRODUCTION = """\
A version of the contract holds all rules of the versions before it and those that came with it.
What it holds is frozen: of each rule its id, obligation, level and sentence. The digest is the
SHA-256 of those as JSON, and stands in certificates since 0.2.0. An executor is judged by the
newest version unless another one is asked for, `--asyncexec-contract=1.0`; of the rules of others
nothing is collected, counted or told then. Certificates are verified by the version that they
are of, and reports of different versions are not compared."""

_POLICY = """\
## How a rule comes, and how it goes

1. **Proposed** is a rule in an issue: its sentence, a public report of what a user lost, an
   executor that breaks it, and why no other rule finds that.
2. **Added as a candidate** it has `since="candidate"`, and all that [a rule
   needs](writing-a-rule.md).
3. A candidate is judged, and what is found is told; it is never counted: no verdict, level,
   exit status or certificate depends on it, and it cannot be waived. Earlier contracts know
   none.
4. **Promoted** it is when a version is made: where every right executor passes it and no
   finding of it was shown to be wrong. The version becomes its `since`.
5. A version is made of all its rules at once, and frozen: `contract/frozen.py` has its digest,
   which a test compares. From then on another sentence is another rule, with an id of its own.
6. What is not frozen may become better at any time: why a rule is there, what it needs, and how
   it is decided. A sharper check may find what an older kit did not.
7. Earlier versions stay: they can be judged by, and certificates of them hold.
8. **Challenged** is a rule or a finding in an issue: the executor, what was found, and why it
   is right.
9. Where the check is wrong it is mended for every version, and the executor joins
   `tests/right`.
10. Where the sentence is wrong it stays in the versions that have it, and is waived with that
    reason until a version goes without it. Its id is never used again."""


def page() -> str:
    """The whole page."""
    versions = [contract_of(version) for version in reversed(VERSIONS)]
    blocks = [
        "# What came with which contract",
        f"<!-- Made by: {COMMAND} -->",
        _INTRODUCTION,
        table(("contract", "digest"), ((v.version, f"`{digest_of(v)}`") for v in versions)),
    ]
    for title, since in [("Candidates", CANDIDATE), *((v, v) for v in reversed(VERSIONS))]:
        rules = [rule for rule in RULES.values() if rule.since == since]
        if rules:
            blocks += [
                f"## {title}",
                _by_chapter(rules) if since == VERSIONS[0] else _in_full(rules),
            ]
    return "\n\n".join([*blocks, _POLICY]) + "\n"


def _in_full(rules: Iterable[Rule]) -> str:
    """The rules with their sentences."""
    return table(
        ("rule", "", "level", "sentence"),
        ((_link(rule), rule.obligation, rule.level, plain(rule.sentence)) for rule in rules),
    )


def _by_chapter(rules: Iterable[Rule]) -> str:
    """Their ids alone, of the version with which everything began."""
    return table(
        ("chapter", "rules"),
        (
            (CHAPTERS[chapter].title, ", ".join(map(_link, its_rules)))
            for chapter, its_rules in groupby(rules, lambda rule: rule.chapter)
        ),
    )


def _link(rule: Rule) -> str:
    return f"[{rule.id}](rules.md#{rule.id.lower()})"


if __name__ == "__main__":
    write(page(), COMMAND)
