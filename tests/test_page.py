"""The page for people: complete, by itself, readable in both schemes, harmless."""

from __future__ import annotations

import dataclasses
import re
from html.parser import HTMLParser
from itertools import product

import pytest

from pytest_asyncexec.contract.catalogue import CHAPTERS, RULES
from pytest_asyncexec.contract.verdict import RuleOutcome
from pytest_asyncexec.report.badge import COLOURS
from pytest_asyncexec.report.page import page
from pytest_asyncexec.report.templates import render
from runs import EVIL, broken, moments, run, target_of

_VOID = {"meta", "br", "hr", "img", "input", "link"}


class Page(HTMLParser):
    """A page taken apart; a tag that is not closed where it must be is an error."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.headings: list[int] = []
        #: The text of everything with an id, by the id.
        self.texts: dict[str, str] = {}
        self._ids: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append((tag, found))
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if "id" in found:
            assert found["id"] not in self.texts, f"{found['id']} stands twice"
            self.texts[str(found["id"])] = ""
        if tag == "dd":
            self.handle_data(" ")
        if tag not in _VOID:
            self.open.append(tag)
            self._ids.append(found.get("id") or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self._ids.pop()

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            return
        self.text += data
        for name in filter(None, self._ids):
            self.texts[name] += data

    def of(self, name: str) -> str:
        """The text of what has this id, in one line."""
        return " ".join(self.texts[name].split())


def test_a_run_without_fault() -> None:
    told = Page(page(run(target_of())))

    assert "conformant" in told.text
    assert "Level reached: hardened." in told.text
    assert "Broken rules" not in told.text
    assert {f"MyExecutor-{rule_id}" for rule_id in RULES} <= told.texts.keys()
    for chapter in CHAPTERS.values():
        assert chapter.title in told.text
    # Nothing is wrong: nothing is unfolded.
    assert [attrs for tag, attrs in told.tags if tag == "details" and "open" in attrs] == []
    for made in ("0.1.0", "3.11.7", "Linux 6.1 x86_64", "2026-11-22T20:00:00Z"):
        assert made in told.text
    assert ("a", {"href": "https://ci.example/runs/7"}) in told.tags


def test_every_part_of_a_failure_is_there() -> None:
    history = moments("1 setup b, 1 setup r, 2 run b, 2 run x ValueError: on purpose")
    failed = broken("RET-02", history, cause="`retries` is kept", reproduction="import that\nrun()")
    waived = dataclasses.replace(
        broken("TIM-01"), outcome="waived", waiver="known since May", inherited=True
    )

    told = Page(page(run(target_of(failed, waived))))

    words = told.of("MyExecutor-RET-02")
    for part in (
        "✕ failed RET-02 MUST, resilient",
        "a task that fails k times first",
        "Seen what was seen of RET-02",
        "Required what is right",
        "Likely cause retries is kept",
        " ".join(RULES["RET-02"].why.replace("`", "").split()),
        "import that run()",
        "attempt 1 raised",
        "ValueError: on purpose",
        "pytest --asyncexec-plugin=mypkg:MyExecutor -m \"asyncexec(rule='RET-02')\"",
    ):
        assert part in words
    words = told.of("MyExecutor-TIM-01")
    assert "~ waived TIM-01" in words
    assert "Waived because known since May" in words
    assert "Inherited:" in words
    # It has no history, and so no picture.
    assert [tag for tag, _ in told.tags if tag == "svg"] == ["svg"]
    assert told.of("executor-MyExecutor").count("Broken rules") == 1


def test_every_failure_of_many_executors_has_its_place() -> None:
    some = target_of(*(broken(rule_id) for rule_id in RULES), name="MyExecutor")
    other = target_of(broken("CON-01"), name="Other")

    told = Page(page(run(some, other)))

    for rule_id, rule in RULES.items():
        # What presupposes another rule says no more than that, where that one is broken.
        first = rule
        while first.presupposes:
            first = RULES[first.presupposes[0]]
        seen = f"what was seen of {rule_id}" if first is rule else f"broken by {first.id}"
        assert seen in told.of(f"MyExecutor-{rule_id}")
    assert "what was seen of CON-01" in told.of("Other-CON-01")
    links = [attrs["href"] for tag, attrs in told.tags if tag == "a"]
    assert {"#executor-MyExecutor", "#executor-Other", "#Other-CON-01"} <= set(links)
    assert {link[1:] for link in links if link and link.startswith("#")} <= told.texts.keys()


def test_reasons_are_told_once() -> None:
    stop = "the executor declares that it cannot: stop"
    lacking = [RuleOutcome(f"TIM-0{n}", "not_applicable", stop) for n in (2, 3, 4)]
    blocked = RuleOutcome("RET-04", "could_not_run", "no second attempt\nwas made")

    told = Page(page(run(target_of(*lacking, blocked))))

    assert told.text.count(stop) == 1
    assert "not applicable: TIM-02 to TIM-04" in told.text
    assert "no second attempt\nwas made" in told.text
    assert "Level resilient is not reached because of TIM-02 to TIM-04" in told.text


def test_a_demand_and_a_selection_are_told() -> None:
    below = target_of(RuleOutcome("RET-02", "not_run", ""), demanded="hardened")

    told = Page(page(run(below, selection=True)))

    assert "incomplete (selection)" in told.text
    assert "Only a selection of the rules was judged." in told.text
    assert "Too low: level hardened was demanded, core was reached" in told.text
    assert "no reason given" in told.text


@pytest.fixture
def hostile() -> str:
    evil = [
        broken(
            "RET-02",
            (*moments("1 setup b", EVIL), *moments("1 setup x Error: </svg>", EVIL)),
            seen=EVIL,
            required="word " * 2000,
            cause=EVIL,
            reproduction=EVIL,
        ),
        dataclasses.replace(broken("TIM-01", seen=EVIL), outcome="waived", waiver=EVIL),
        RuleOutcome("CON-01", "failed", EVIL),
        RuleOutcome("CNC-01", "could_not_run", EVIL),
    ]
    made = run(target_of(*evil, name=f"<b>{EVIL}"), target_of(name="<b >"), target_of(name="<b*>"))
    url = dataclasses.replace(made.environment, url="javascript:alert(1)")
    return page(dataclasses.replace(made, environment=url))


def test_hostile_text_is_text(hostile: str) -> None:
    told = Page(hostile)

    assert "script" not in {tag for tag, _ in told.tags}
    assert "b" in {tag for tag, _ in told.tags}
    assert "<script>alert('x')</script>" in told.text
    assert "\\x00\\x1b[31m\\udc80\\u202e" in told.text
    hostile.encode("utf-8")
    assert not set(hostile) & set("\0\x1b\u202e")
    assert "all 10,000 characters" in told.text
    assert "javascript:alert(1)" not in [attrs.get("href") for _, attrs in told.tags]


def test_the_page_needs_nothing_but_itself(hostile: str) -> None:
    told = Page(hostile)

    tags = {tag for tag, _ in told.tags}
    assert not tags & {"script", "link", "img", "iframe", "object", "embed", "base", "form"}
    attributes = {name for _, attrs in told.tags for name in attrs}
    assert not attributes & {"src", "srcset", "style", "background", "poster", "xlink:href"}
    assert not [name for name in attributes if name.startswith("on")]
    style = hostile.partition("<style>")[2].partition("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style


def test_headings_and_landmarks_are_in_order(hostile: str) -> None:
    told = Page(hostile)

    assert told.headings[0] == 1
    assert told.headings.count(1) == 1
    steps = zip(told.headings, told.headings[1:], strict=False)
    assert all(after <= before + 1 for before, after in steps)
    tags = [tag for tag, _ in told.tags]
    assert [tags.count(tag) for tag in ("header", "main", "footer", "title")] == [1, 1, 1, 2]
    assert ("html", {"lang": "en"}) in told.tags
    assert all(attrs.get("scope") for tag, attrs in told.tags if tag == "th")


def _palettes() -> list[dict[str, str]]:
    style = render("style.css.j2")
    found = [dict(re.findall(r"--(\w+): (#\w{6})", part)) for part in style.split("@media")[:2]]
    assert [len(palette) for palette in found] == [10, 10]
    return found


def _contrast(one: str, other: str) -> float:
    """As WCAG 2 has it."""
    lights = []
    for colour in (one, other):
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        red, green, blue = (
            p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts
        )
        lights.append(0.2126 * red + 0.7152 * green + 0.0722 * blue)
    return (max(lights) + 0.05) / (min(lights) + 0.05)


@pytest.mark.parametrize("palette", _palettes(), ids=["light", "dark"])
def test_every_text_stands_out(palette: dict[str, str]) -> None:
    texts = ("ink", "quiet", "link", "good", "bad", "warn", "idle")
    for text, ground in product(texts, ("paper", "panel")):
        assert _contrast(palette[text], palette[ground]) >= 4.5, (text, ground)


def test_every_badge_stands_out() -> None:
    assert all(_contrast("#ffffff", colour) >= 4.5 for _, colour in COLOURS.values())
