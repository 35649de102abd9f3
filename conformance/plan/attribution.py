"""Which rule is broken by a task that was not what the model predicts."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Final

from .conditions import (
    BREAKING,
    CANCELLATIONS,
    CANCELLED_TWICE,
    DIES,
    OWN_TIME_OUT,
    RAISES,
    RAISES_SINGLE,
    RETURNS,
    TOO_LATE,
    Row,
    unusual,
)
from .observation import FOREIGN, Aspect
from .small import DEEPEST

_ATTEMPTS: Final = ("attempts", "more attempts", "attempts twice")
_LARGE: Final = frozenset({"a text of 1 MiB", "of 1 MiB", "bytes of 17 MiB", "of 17 MiB"})
_AT_DESCRIPTORS: Final = ("to the descriptor", "by a child process", "by C code")
_TAKEN: Final = ("named as the host's own", "named as in libraries")

#: In what a task within its limit differs where that has not left it alone.
_TOUCHED: Final = ("given", "result", "message", "stdout", "stderr", "failed")

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
    if aspect in FOREIGN or (among_others and end not in BREAKING):
        return "CNC-02" if conditions.get("instance") == "its own" else "CNC-01"
    if conditions.get("prints") in _AT_DESCRIPTORS:
        return "RES-13"
    by_aspect = _BY_ASPECT.get(aspect)
    if by_aspect is not None:
        return by_aspect
    if conditions.get("logs") == "unwritable":
        return "STR-12"
    if aspect == "own time-out":
        return "TIM-08"
    if end == DIES and aspect in _ATTEMPTS:
        return "RET-10"
    if end in BREAKING and aspect not in _ATTEMPTS:
        return "RES-08" if end == "calls sys.exit(3)" else "RES-09"
    if aspect in _OF_CALLS:
        return _OF_CALLS[aspect]
    if aspect in ("no teardown", "cut short"):
        fails = end != RETURNS or int(conditions.get("fails", 0)) > int(
            conditions.get("retries", 0)
        )
        return _of_teardown(aspect, end, fails=fails)
    if end == TOO_LATE:
        return _of_one_too_late(aspect, retried="retries" in conditions)
    if end in CANCELLATIONS:
        return _of_one_cancelled(aspect, retried="retries" in conditions)
    return _of_a_living_task(aspect, conditions, end)


def breakable_rules(aspect: Aspect, conditions: Row) -> set[str]:
    """The ids of all rules that a deviation may break: which one is by the fewest conditions."""
    names = unusual(conditions)
    return {
        broken_rule(aspect, {name: names[name] for name in some}, among_others=False)
        for size in range(DEEPEST + 1)
        for some in combinations(names, size)
    }


_BY_ASPECT: Final[Mapping[Aspect, str]] = {
    "line": "RES-05",
    "last words": "RES-13",
    "printed by the host": "RES-06",
    "metadata": "LIF-06",
}
_OF_CALLS: Final[Mapping[Aspect, str]] = {"order of calls": "LIF-01", "number of calls": "LIF-02"}
#: In what a task differs that another one on its instance has spoilt.
_SPOILT: Final = ("no end", "completed", "failed", "cancellation", "result", "message")


def _of_teardown(aspect: Aspect, end: str, *, fails: bool) -> str:
    """The rule that asks for a teardown after this end of a task."""
    if end == TOO_LATE:
        return "TIM-05"
    if end == CANCELLED_TWICE and aspect == "cut short":
        return "CAN-06"
    if end in CANCELLATIONS:
        return "CAN-01"
    if aspect == "cut short":
        return "LIF-02"
    return "LIF-03" if fails else "LIF-01"


def _of_one_too_late(aspect: Aspect, *, retried: bool) -> str:
    if aspect in _ATTEMPTS:
        return "RET-06" if retried else "RET-01"
    if aspect == "alive":
        return "TIM-03"
    # With retries alone: the limit ends an attempt where it is the only one.
    return "RET-06" if retried or aspect == "overlap" else "TIM-02"


def _of_one_cancelled(aspect: Aspect, *, retried: bool) -> str:
    if aspect in _ATTEMPTS or aspect == "overlap" or (aspect == "cancellation" and retried):
        return "RET-05"
    return "CAN-02" if aspect == "alive" else "CAN-01"


def _of_a_living_task(aspect: Aspect, conditions: Mapping[str, str], end: str) -> str:
    retried = "retries" in conditions
    fails = end != RETURNS
    limited = conditions.get("limit", "-1")
    if aspect in _SPOILT and "turn" in conditions:
        return "LIF-08"
    if aspect == "attempts twice":
        return "RET-09"
    if aspect in _ATTEMPTS:
        if not retried:
            return "RET-01"
        gives_up = int(conditions.get("fails", "0")) > int(conditions["retries"])
        return "RET-03" if fails or gives_up else "RET-02"
    if limited != "-1" and aspect in _TOUCHED:
        if aspect == "message" and end == OWN_TIME_OUT:
            return "TIM-08"
        return "TIM-01" if limited == "-60" else "TIM-04"
    if aspect == "given":
        if retried:
            return "RET-04"
        return _of_what_is_given(conditions)
    if aspect == "arguments":
        return "RET-04" if retried else "RES-07"
    if aspect == "message" and end == OWN_TIME_OUT:
        return "TIM-08"
    if aspect == "message":
        if end in (RAISES[-1], *RAISES_SINGLE[1:3]):
            return "RES-12"
        return "RET-03" if retried else "RES-04"
    if aspect in ("stdout", "stderr"):
        return "RET-07" if retried else "RES-06"
    if aspect == "completed":
        return "RES-12" if end in (RAISES[-1], *RAISES_SINGLE[1:3]) else "RES-04"
    if aspect == "result":
        return _of_a_value(conditions)
    if aspect == "failed":
        return _of_what_failed(conditions) or "LIF-09"
    if limited == "-60":
        return "TIM-01"
    # It did not end, or ended in a cancellation that nobody had asked for.
    return _of_what_failed(conditions) or ("RES-12" if fails else "LIF-09")


def _of_what_failed(conditions: Mapping[str, str]) -> str:
    if not _LARGE.isdisjoint(conditions.values()):
        return "RES-03"
    for name, rule_id in _FAILED_BY:
        if name in conditions:
            return _of_what_is_given(conditions) if name == "names" else rule_id
    return ""


def _of_what_is_given(conditions: Mapping[str, str]) -> str:
    # By another order or another alphabet it is the values that arrive otherwise.
    return "RES-11" if conditions.get("names") in _TAKEN else _of_a_value(conditions)


def _of_a_value(conditions: Mapping[str, str]) -> str:
    return "RES-01" if _LARGE.isdisjoint(conditions.values()) else "RES-03"
