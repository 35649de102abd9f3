"""The badge never says more than the verdict."""

from __future__ import annotations

from itertools import pairwise
from xml.etree import ElementTree

import pytest

from pytest_asyncexec.contract.verdict import RuleOutcome
from pytest_asyncexec.evidence.schemas import validate
from pytest_asyncexec.report.badge import COLOURS, Badge, badge_of, endpoint, svg
from runs import broken, target_of

GOOD = target_of(name="Good")
FAILED = target_of(broken("SEC-01"), name="Failed")
OPEN = target_of(RuleOutcome("SEC-01", "could_not_run", "no backend"), name="Open")
WAIVED = target_of(RuleOutcome("CON-01", "waived", "it is so", waiver="known"), name="Waived")
STOPLESS = target_of(RuleOutcome("TIM-02", "not_applicable", "cannot: stop"), name="Stopless")


@pytest.mark.parametrize(
    ("targets", "label", "message"),
    [
        ([GOOD], "executor contract 1.1", "hardened"),
        ([STOPLESS], "executor contract 1.1", "core"),
        ([WAIVED], "executor contract 1.1", "no level"),
        # A level is reached by both, and neither may say so.
        ([FAILED], "executor contract 1.1", "nonconformant"),
        ([OPEN], "executor contract 1.1", "incomplete"),
        ([GOOD, STOPLESS], "executor contract 1.1 (2)", "core"),
        ([GOOD, WAIVED, STOPLESS], "executor contract 1.1 (3)", "no level"),
        ([GOOD, OPEN], "executor contract 1.1 (2)", "incomplete"),
        ([OPEN, FAILED, GOOD], "executor contract 1.1 (3)", "nonconformant"),
    ],
)
def test_it_says_the_worst(targets: list, label: str, message: str) -> None:
    badge = badge_of(targets, "1.1")

    assert (badge.label, badge.message) == (label, message)
    assert badge.error == (message in ("incomplete", "nonconformant"))


def test_a_level_beyond_what_was_demanded_is_no_reason_to_hide_it() -> None:
    modest = target_of(broken("SEC-01"), demanded="core")

    assert badge_of([modest], "1.1").message == "resilient"


@pytest.mark.parametrize("message", COLOURS)
def test_the_endpoint_is_as_shields_wants_it(message: str) -> None:
    told = endpoint(Badge("executor contract", message, COLOURS[message][0], error=False))

    validate("badge", told)
    assert told["message"] == message


@pytest.mark.parametrize("message", COLOURS)
def test_the_picture_is_well_formed_and_named(message: str) -> None:
    drawn = ElementTree.fromstring(svg(Badge("executor contract (2)", message, "red")))

    name = "{http://www.w3.org/2000/svg}"
    assert drawn.tag == f"{name}svg"
    assert drawn.get("aria-label") == f"executor contract (2): {message}"
    assert drawn[0].text == f"executor contract (2): {message}"
    texts = list(drawn.iter(f"{name}text"))
    assert [text.text for text in texts] == ["executor contract (2)", message]
    # Whatever the font, no text reaches over another or over the edge.
    edges = [(float(t.get("x")), float(t.get("x")) + float(t.get("textLength"))) for t in texts]
    assert all(end < start for (_, end), (start, _) in pairwise(edges))
    assert edges[-1][1] < float(drawn.get("width"))
