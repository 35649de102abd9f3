"""Which rule is broken by a task that was not what the model predicts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .conditions import (
    BREAKING,
    CANCELLED,
    CANCELLED_TWICE,
    DIES,
    RAISES,
    RAISES_SINGLE,
    RETURNS,
    TOO_LATE,
)
from .observation import Aspect

_CANCELLED: Final = (CANCELLED, CANCELLED_TWICE)
_LARGE: Final = ("a text of 1 MiB", "of 1 MiB", "bytes of 17 MiB", "of 17 MiB")
_AT_DESCRIPTORS: Final = ("to the descriptor", "by a child process")

#: What a task in time that did not complete was made to fail by, the likeliest first.
_FAILED_BY: Final = (
    ("limit", "TIM-04"),
    ("names", "RES-11"),
    ("prints", "RES-06"),
    ("logs", "STR-12"),
    ("result", "RES-01"),
    ("arguments", "RES-01"),
    ("fails", "RET-02"),
    ("retries", "RET-02"),
    ("node", "LIF-06"),
    ("dispatch", "LIF-06"),
    ("instance", "CNC-02"),
)


def broken_rule(aspect: Aspect, conditions: Mapping[str, str], *, among_others: bool) -> str:
    """The id of the rule that a deviation breaks.

    Args:
        aspect: what differs.
        conditions: the fewest unusual ones under which it does, by name.
        among_others: whether it shows only while other tasks run.
    """
    end = conditions.get("end", RETURNS)
    if aspect == "log":
        return "STR-11"
    if aspect == "foreign" or (among_others and end not in BREAKING):
        return "CNC-02" if conditions.get("instance") == "its own" else "CNC-01"
    if aspect in ("stdout", "stderr") and conditions.get("prints") in _AT_DESCRIPTORS:
        return "RES-13"
    if aspect == "metadata":
        return "LIF-06"
    if conditions.get("logs") == "unwritable":
        return "STR-12"
    if end == DIES and aspect == "attempts" and "retries" not in conditions:
        return "RET-10"
    if end in BREAKING and aspect != "attempts":
        return "RES-08" if end == "calls sys.exit(3)" else "RES-09"
    if aspect in _OF_CALLS:
        return _OF_CALLS[aspect]
    if aspect in ("no teardown", "cut short"):
        fails = end != RETURNS or int(conditions.get("fails", 0)) > int(
            conditions.get("retries", 0)
        )
        return _of_teardown(aspect, end, fails=fails)
    if end == TOO_LATE:
        return {"attempts": "RET-06", "alive": "TIM-03"}.get(aspect, "TIM-02")
    if end in _CANCELLED:
        return {"attempts": "RET-05", "alive": "CAN-02"}.get(aspect, "CAN-01")
    return _of_a_living_task(aspect, conditions, end)


_OF_CALLS: Final[Mapping[Aspect, str]] = {"order of calls": "LIF-01", "number of calls": "LIF-02"}
#: In what a task differs that another one on its instance has spoilt.
_SPOILT: Final = ("no end", "completed", "failed", "cancellation", "result", "message")


def _of_teardown(aspect: Aspect, end: str, *, fails: bool) -> str:
    """The rule that asks for a teardown after this end of a task."""
    if end == TOO_LATE:
        return "TIM-05"
    if end == CANCELLED_TWICE and aspect == "cut short":
        return "CAN-06"
    if end in _CANCELLED:
        return "CAN-01"
    if aspect == "cut short":
        return "LIF-02"
    return "LIF-03" if fails else "LIF-01"


def _of_a_living_task(aspect: Aspect, conditions: Mapping[str, str], end: str) -> str:
    retried = "fails" in conditions or "retries" in conditions
    fails = end != RETURNS
    if aspect in _SPOILT and "turn" in conditions:
        return "LIF-08"
    if aspect == "attempts":
        if "retries" not in conditions:
            return "RET-01"
        return "RET-03" if fails else "RET-02"
    if aspect == "arguments":
        return "RET-04" if retried else "RES-07"
    if aspect == "message":
        if end in (RAISES[-1], *RAISES_SINGLE[1:3]):
            return "RES-12"
        return "RET-03" if retried else "RES-04"
    if aspect in ("stdout", "stderr"):
        return "RET-07" if retried else "RES-06"
    if aspect == "completed":
        return "RES-12" if end in (RAISES[-1], *RAISES_SINGLE[1:3]) else "RES-04"
    if aspect == "result":
        return "RES-03" if _LARGE_IN & set(conditions.values()) else "RES-01"
    if aspect == "failed":
        if set(conditions.values()) & set(_LARGE):
            return "RES-03"
        for name, rule_id in _FAILED_BY:
            if name in conditions:
                return rule_id
        return "LIF-09"
    # It did not end, or ended in a cancellation that nobody had asked for.
    for name, rule_id in _FAILED_BY:
        if name in conditions:
            return rule_id
    return "RES-12" if fails else "LIF-09"


_LARGE_IN: Final = frozenset(_LARGE)
