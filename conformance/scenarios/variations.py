"""Dictionaries for `from_dict` that differ in one thing from one that is known to be right."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from ..instruments.strategies import json_values, texts
from ..subject.subject import Subject
from .attributes import path_or_text, speaks_of_files, without_folder
from .description import Refusal, rehydrate
from .writing import file_name

#: So many keys of a nested dictionary are changed or left out, each by itself.
_KEYS = 4

#: What a newer plugin may have written down: lists that are not sorted, dictionaries in them.
NEWER = {"list": [3, 1, 2], "of": [{"names": ["zeta", "alpha"]}], "count": 0}


@dataclass(frozen=True, slots=True)
class Given:
    """One dictionary that is given to `from_dict`, and what is special in it."""

    what: str
    dictionary: dict[str, Any]

    def spelled(self, subject: Subject) -> str:
        """The line of Python that makes it."""
        return without_folder(subject, f"given = {self.dictionary!r}")


def with_attribute(described: dict[str, Any], name: str, value: Any) -> dict[str, Any]:
    """A copy of a dictionary in which one attribute has this value."""
    given = copy.deepcopy(described)
    given["attributes"][name] = copy.deepcopy(value)
    return given


def given_to_be_read(subject: Subject, described: dict[str, Any]) -> Iterator[Given]:
    """Dictionaries that an executor may refuse, or complete for itself, but has to leave alone."""
    yield Given("as to_dict returned it", copy.deepcopy(described))
    yield Given("of a newer plugin", with_attribute(described, "asyncexec_newer", NEWER))
    more = {**copy.deepcopy(described), "asyncexec_newer": copy.deepcopy(NEWER)}
    yield Given("with one more key beside 'attributes'", more)
    for key in described:
        if key != "attributes":
            fewer = {k: copy.deepcopy(v) for k, v in described.items() if k != key}
            yield Given(f"without {key!r}", fewer)
    for name, value in described["attributes"].items():
        older = copy.deepcopy(described)
        del older["attributes"][name]
        yield Given(f"without the attribute {name!r}, as an older plugin wrote it", older)
        if isinstance(value, dict):
            for key in list(value)[:_KEYS]:
                fewer = {k: v for k, v in value.items() if k != key}
                given = with_attribute(described, name, fewer)
                yield Given(f"whose {name} lacks {key!r}", given)
        for other in (*others(subject, name, value), *_untidy(subject, name, value)):
            yield Given(f"with another {name}", with_attribute(described, name, other))


def _untidy(subject: Subject, name: str, value: Any) -> list[Any]:
    """Values that somebody may want to tidy up, in place perhaps."""
    if isinstance(value, str):
        return [f" {path_or_text(name, subject.folder)} "]
    if isinstance(value, list):
        numbers = bool(value) and all(type(item) in (int, float) for item in value)
        return [[3, 1, 2, 1] if numbers else ["zeta", "alpha", "alpha"]]
    return [None]


def others(subject: Subject, name: str, value: Any) -> list[Any]:
    """Other values that an attribute `name` may have, whose present one is `value`.

    A dictionary keeps its keys, for what it lacks an executor may complete with its own defaults;
    each of its values is another one by itself.
    """
    if isinstance(value, dict) and value:
        return [
            {**value, key: other}
            for key in list(value)[:_KEYS]
            for other in others(subject, key, value[key])
        ]
    return [another(subject, name, value), *falsy(value)]


def another(subject: Subject, name: str, value: Any) -> Any:
    """Another value that an attribute `name` may have, a truthy one where there is any."""
    if isinstance(value, bool):
        return not value
    if name == "time_limit" and isinstance(value, int | float):
        return -2 if value == -1 else -1
    if isinstance(value, int | float):
        return value + 1 if math.isfinite(value) else 1
    if isinstance(value, str):
        return path_or_text(name, subject.folder)
    if isinstance(value, list):
        return [*value, "added"]
    if isinstance(value, dict):
        for key, item in value.items():
            other = another(subject, key, item)
            if other != item:
                return {**value, key: other}
        return {**value, "added": ["by the suite"]}
    return value


_FALSY: dict[type, Any] = {str: "", list: [], dict: {}, int: 0, float: 0.0, bool: False}


def falsy(value: Any) -> list[Any]:
    """The falsy value of the kind of `value`, if there is any; see `others` for dictionaries."""
    kind = type(value)
    return [copy.copy(_FALSY[kind])] if kind in _FALSY and not (kind is dict and value) else []


def like(subject: Subject, name: str, value: Any) -> st.SearchStrategy[Any]:
    """Values of the JSON type of `value`, that an attribute `name` may reasonably have."""
    if isinstance(value, bool):
        return st.booleans()
    if name == "retries" and isinstance(value, int):
        return st.integers(0, 100)
    if name == "time_limit" and isinstance(value, int | float):
        return st.sampled_from([-1, 0, -2, -0.5])
    if isinstance(value, int):
        return st.integers()
    if isinstance(value, float):
        return st.floats(allow_nan=False, allow_infinity=False)
    if isinstance(value, str):
        if speaks_of_files(name):
            folder = subject.folder.resolve()
            names = ("some file", file_name("ünïcode"))
            return st.sampled_from(["", *(str(folder / name) for name in names)])
        return texts
    if isinstance(value, list):
        return st.lists(json_values, max_size=3)
    if isinstance(value, dict) and value:
        return st.fixed_dictionaries({k: like(subject, k, v) for k, v in value.items()})
    if isinstance(value, dict):
        return st.dictionaries(texts, json_values, max_size=3)
    return st.just(value)


def changed_throughout(subject: Subject, described: dict[str, Any]) -> dict[str, Any]:
    """A right dictionary in which as many attributes as may be have other values.

    Whoever reads it shows that it did: each change is one that a fresh executor has taken.
    """
    right = copy.deepcopy(described)
    for name, value in described["attributes"].items():
        given = with_attribute(right, name, another(subject, name, value))
        if not isinstance(rehydrate(subject.build(), copy.deepcopy(given)), Refusal):
            right = given
    return right
