"""The comparison of many executors, as Markdown for GitHub and as a page of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..contract.catalogue import CHAPTERS
from ..contract.rule import Rule
from ..contract.wording import printable
from .columns import ORDER, Column, notes, open_rules, rules
from .markdown import plain, table
from .signs import VERDICTS, Sign
from .templates import marked, render

_NUMBERS = "2/9: so ended 2 of the 9 rules of the chapter, and none worse"

_MORE = "All about a rule: `python -m pytest_asyncexec rules RET-02`"


def markdown(compared: Sequence[Column], encoding: str = "utf-8") -> list[str]:
    """The comparison in lines; with words for the signs where `encoding` does not have them."""
    marks = {sign: sign.mark if _has(encoding, sign.mark) else sign.word for sign in ORDER}
    left = open_rules(compared)
    lines = [f"## {_title(compared)}", "", _standings(compared, marks), ""]
    lines += [_legend(marks), ""]
    lines += [
        f"{'; '.join(f'{letters}: {title}' for letters, title in _chapters(compared).items())}.",
        "",
    ]
    for note in notes(compared):
        lines += [f"> {plain(note)}", ""]
    if not left:
        return [*lines, _nothing_open(compared)]
    lines += [f"### {_subtitle(compared)}", "", _open(compared, left, marks)]
    return [*lines, "", _MORE]


def _open(compared: Sequence[Column], left: Iterable[Rule], marks: Mapping[Sign, str]) -> str:
    return table(
        ("rule", "", *(plain(column.name) for column in compared), "what it says"),
        (
            (
                rule.id,
                rule.obligation,
                *(marks[column.sign(rule.id)] for column in compared),
                plain(rule.sentence),
            )
            for rule in left
        ),
    )


def page(compared: Sequence[Column]) -> str:
    """The comparison as one self-contained page."""
    return printable(
        render(
            "matrix.html.j2",
            title=_title(compared),
            subtitle=_subtitle(compared),
            columns=compared,
            chapters=_chapters(compared),
            rules=open_rules(compared),
            nothing_open=_nothing_open(compared),
            signs=ORDER,
            verdicts=VERDICTS,
            marked=marked,
            notes=notes(compared),
            numbers=_NUMBERS,
        )
    )


def _chapters(compared: Sequence[Column]) -> dict[str, str]:
    """The chapters of the contract, with their titles."""
    return {rule.chapter: CHAPTERS[rule.chapter].title for rule in rules(compared)}


def _title(compared: Sequence[Column]) -> str:
    many = "1 executor" if len(compared) == 1 else f"{len(compared)} executors"
    return f"{many} by executor contract {compared[0].run.contract}"


def _subtitle(compared: Sequence[Column]) -> str:
    return (
        f"{len(open_rules(compared))} of {len(rules(compared))} rules that not all of them passed"
    )


def _standings(compared: Sequence[Column], marks: Mapping[Sign, str]) -> str:
    return table(
        ("executor", "verdict", "level", "profile", *_chapters(compared)),
        (
            (
                plain(column.name),
                column.target.verdict.verdict,
                column.level,
                column.how,
                *(_chapter(column, chapter, marks) for chapter in _chapters(compared)),
            )
            for column in compared
        ),
    )


def _chapter(column: Column, chapter: str, marks: Mapping[Sign, str]) -> str:
    sign, many = column.chapter(chapter)
    return f"{marks[sign]} {many}".strip()


def _legend(marks: Mapping[Sign, str]) -> str:
    signs = "; ".join(f"{mark} {sign.word}" for sign, mark in marks.items() if mark != sign.word)
    return f"{signs}; {_NUMBERS}." if signs else f"{_NUMBERS}."


def _has(encoding: str, mark: str) -> bool:
    try:
        mark.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _nothing_open(compared: Iterable[Column]) -> str:
    judged = " that was judged" if any(column.run.selection for column in compared) else ""
    return f"Every one of them passed every rule{judged}."
