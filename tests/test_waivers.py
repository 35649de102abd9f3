"""What a line of `asyncexec_waivers` may be, and what is said of every other."""

from __future__ import annotations

from datetime import date

import pytest

from pytest_asyncexec.contract.waivers import Waiver, WaiverError, Waivers, parse_waivers
from pytest_asyncexec.targets.target import Target

RULES = ("CNC-05", "TIM-09")
TODAY = date(2026, 8, 1)
TARGET = Target(spec="pkg.mod:Mine", name="Mine", build=object, is_class=True)


def parse(*lines: str) -> Waivers:
    return parse_waivers(lines, RULES, TODAY)


@pytest.mark.parametrize(
    ("line", "waiver"),
    [
        ("TIM-09: children live on", Waiver("TIM-09", "children live on")),
        ("TIM-09 : see CNC-05: later", Waiver("TIM-09", "see CNC-05: later")),
        ("TIM-09 until 2026-08-01: r", Waiver("TIM-09", "r", TODAY)),
        ("Mine TIM-09: r", Waiver("TIM-09", "r", None, "Mine")),
        (
            "pkg.mod:Mine  TIM-09  until 2027-01-31 : r",
            Waiver("TIM-09", "r", date(2027, 1, 31), "pkg.mod:Mine"),
        ),
    ],
)
def test_a_line_is_a_waiver(line: str, waiver: Waiver) -> None:
    assert parse(line).waivers == (waiver,)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("TIM-9: r", "no rule 'TIM-9'.\n  Did you mean TIM-09"),
        ("XXX-00: r", "no rule 'XXX-00'.\n  Ids run from CNC-05 to TIM-09"),
        ("TIM-09", "cannot be read.\n  A waiver reads RULE-ID: reason"),
        ("TIM-09 children live on", "cannot be read"),
        ("a b TIM-09: r", "cannot be read"),
        ("", "cannot be read"),
        ("TIM-09:", "no reason.\n  A waiver reads"),
        ("TIM-09 until 2027-01-31:  ", "no reason"),
        ("CNC-05 TIM-09: r", "two rules are named.\n  Write a line for each"),
        ("TIM-09 until: r", "'' is no date"),
        ("TIM-09 until tomorrow: r", "'tomorrow' is no date.\n  A waiver reads"),
        ("TIM-09 until 20270131: r", "'20270131' is no date"),
        ("TIM-09 until 2027-02-30: r", "'2027-02-30' is no date"),
        ("TIM-09 until 2026-07-31: r", "it ended on 2026-07-31.\n  Mend the executor"),
    ],
)
def test_every_other_line_is_an_error_that_helps(line: str, says: str) -> None:
    with pytest.raises(WaiverError) as error:
        parse("CNC-05: known", line)

    assert str(error.value).startswith(f"{line!r}: ")
    assert says in str(error.value)


def test_a_rule_is_waived_once() -> None:
    with pytest.raises(WaiverError, match="TIM-09 is waived twice"):
        parse("TIM-09: one", "TIM-09 until 2027-01-31: two")

    assert len(parse("TIM-09: one", "Mine TIM-09: two").waivers) == 2


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["TIM-09: all"], "all"),
        (["TIM-09: all", "Mine TIM-09: mine"], "mine"),
        (["TIM-09: all", "pkg.mod:Mine TIM-09: mine"], "mine"),
        (["TIM-09: all", "Other TIM-09: other"], "all"),
        (["Other TIM-09: other"], None),
        (["CNC-05: all"], None),
    ],
)
def test_the_waiver_of_a_target(lines: list[str], reason: str | None) -> None:
    waiver = parse(*lines).of(TARGET, "TIM-09")

    assert (waiver and waiver.reason) == reason


def test_a_waiver_says_when_it_ends() -> None:
    assert str(Waiver("TIM-09", "mended in 2.0", date(2027, 1, 31))) == (
        "mended in 2.0 (until 2027-01-31)"
    )
