"""Tasks that give back what they are given, and values that few serialisers' authors think of."""

from __future__ import annotations

import array
import collections
import copy
import datetime
import decimal
import fractions
import http
import ipaddress
import pathlib
import pickle
import re
import types
import urllib.parse
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from hypothesis import strategies as st

from ..instruments.probes import echo
from ..instruments.seen import Seen
from ..instruments.strategies import for_all, picklable_values
from ..plan.values import difference, in_words, named
from ..subject.kept import Kept
from ..subject.subject import Subject
from .at_once import Errand, run_at_once
from .homeless import homeless_errands


def _nested(depth: int) -> list[Any]:
    """Lists in lists."""
    return [_nested(depth - 1)] if depth else []


#: Values that a serialiser's author may not have thought of; JSON, repr and `if result` lose many.
#: The plainest come first: of several that are refused, the first one is named.
SPECIAL_VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 0.0, -0.0, "", b"", (), [], {}, set(), frozenset(),
    float("nan"), float("inf"), float("-inf"), complex(0.0, -0.0),
    "\ud800 a lone surrogate", "\x00 a NUL", "\r\n line ends \u2028 \x85", "grün, 漢字, 🎉",
    bytes(range(256)), bytearray(b"mutable"), array.array("d", [1.0, -0.0]),
    (1, (2, (3, [4, (5,)]))), {1: "int", "1": "str", (1, "1"): "tuple", None: "none"},
    [{"nested": [{"deep": ({1, 2}, frozenset({3}))}]}],
    collections.OrderedDict(b=1, a=2), collections.deque([1, 2], maxlen=2),
    collections.Counter("abca"), collections.defaultdict(list, {"k": [1]}),
    decimal.Decimal("1.00"), fractions.Fraction(1, 3), range(0, 10, 3), slice(1, None, 2),
    datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.timezone(datetime.timedelta(hours=2))),
    datetime.date.min, datetime.timedelta(microseconds=-1), uuid.UUID(int=7),
    pathlib.PurePosixPath("a/b"), ipaddress.IPv4Address("127.0.0.1"), re.compile("a+", re.I),
    http.HTTPStatus.NOT_FOUND, uuid.SafeUUID.safe, types.SimpleNamespace(a=[1]),
    ValueError("an exception", 1), [KeyError("in a list")], Ellipsis, NotImplemented, int, len,
    -(2**63) - 1, 2**53 + 1, 2**64, 10**4000, list(range(5000)),
    _nested(80),
    urllib.parse.urlsplit("http://host/path"), "null", "1e3", "\ufeff a mark",
)  # fmt: skip


#: What tasks of the plan return.
_IN_THE_PLAN = (type(None), bool, int, float, str, bytes, tuple, list, dict, set, type, ValueError)
#: One value of each other kind.
KINDS = {type(v): v for v in reversed(SPECIAL_VALUES) if type(v) not in _IN_THE_PLAN}


def _give_back(*args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return args, kwargs


def carries_many(values: Sequence[Any]) -> Errand:
    """One task that is given many values, and returns them all."""
    args = list(values[::2])
    kwargs = {f"value_{number}": value for number, value in enumerate(values[1::2])}
    # An executor in this process may give back the very objects, changed.
    sent = copy.deepcopy((tuple(args), kwargs))

    def judge(seen: Seen) -> str:
        if not seen.completed:
            return f"a task with {len(values)} arguments of many types, which it gives back: {seen}"
        found = difference(sent, seen.result, "result")
        return f"of arguments that a task gives back, {found}" if found else ""

    return Errand(_give_back, args, judge, kwargs)


def carries_one(value: Any) -> Errand:
    """One task that is given a value, and returns it."""
    sent = copy.deepcopy(value)

    def judge(seen: Seen) -> str:
        what = f"a task with {in_words(sent)} for its argument, which it gives back"
        if not seen.completed:
            return f"{what}: {seen}"
        found = difference(sent, seen.result, "the result")
        return f"{what}: {found}" if found else ""

    return Errand(echo, [value], judge)


@dataclass(frozen=True, slots=True)
class Carried:
    """What became of tasks that carry unusual things, which ran at the same time."""

    values: list[tuple[Errand, Seen]]
    functions: list[tuple[Errand, Seen]]


def carried(subject: Subject) -> Carried:
    """These tasks; they run once for all rules that ask, which is one wait on a slow backend."""
    return _carried.of(subject)


def _carry(subject: Subject) -> Carried:
    drawn: list[list[Any]] = []
    examples = subject.pick(quick=2, default=5, thorough=25)
    lists = st.lists(picklable_values, min_size=20, max_size=40)
    for_all(lists, drawn.append, examples=examples, shrink=False)
    # Alone a value may be taken for something else than among others.
    special = [*SPECIAL_VALUES, *(value for values in drawn for value in values[:4])]
    alone = subject.pick(quick=[*KINDS.values()], default=special, thorough=special)
    values = [*map(carries_one, alone), *map(carries_many, (SPECIAL_VALUES, *drawn))]
    functions = homeless_errands()
    seen = run_at_once(subject, [*functions, *values])
    return Carried(
        list(zip(values, seen[len(functions) :], strict=True)),
        list(zip(functions, seen[: len(functions)], strict=True)),
    )


_carried: Final = Kept(_carry)


def taken_names() -> list[str]:
    """What the functions between a host and its task call their own parameters."""
    return [*named("named as the host's own"), *named("named as in libraries")]


def is_given(name: str) -> Errand:
    """One task that is given a keyword argument of this name, and returns it."""

    def judge(seen: Seen) -> str:
        right = seen.completed and seen.result == {name: 1}
        return "" if right else f"a task with a keyword argument named {name}: {seen}"

    return Errand(_give_back_keywords, [], judge, {name: 1})


def _give_back_keywords(**kwargs: Any) -> dict[str, Any]:
    return kwargs


def script_that_carries(errand: Errand) -> str:
    """Lines that run such a task without pytest."""
    # What was really carried, by pickle: not every repr can be read again.
    carried = f"pickle.loads({pickle.dumps((list(errand.args), dict(errand.kwargs)))!r})"
    if len(carried) > 3000:
        carried = "list(carrying.SPECIAL_VALUES), {}"
    result = "args[0]" if errand.function is echo else "args, kwargs"
    return f"""
        import asyncio, pickle
        import pytest_asyncexec.conformance.scenarios.carrying as carrying
        from pytest_asyncexec.conformance.subject.host import host_for

        args, kwargs = {carried}

        def give_back(*args, **kwargs):
            return {result}

        print("sent:    ", {result})
        seen = asyncio.run(host_for(executor).execute(executor, give_back, args, kwargs))
        print("returned:", seen if seen.error else seen.result)
    """
