"""What tasks get, return and print, given so that it is seen whether anybody keeps it alive."""

from __future__ import annotations

import gc
import io
import itertools
import re
import secrets
import sys
import types
import weakref
from collections.abc import Collection, Iterator
from typing import Any, Final

from .seen import Seen

#: By what texts are known that tasks have printed: what they were given, read from its end.
_MARK: Final = "asyncexec-kept-"
_PRINTED: Final = re.compile(f"[0-9a-f]{{16}}{_MARK[::-1]}")

#: So many objects of an executor are looked at.
_MANY: Final = 20_000

ARGUMENT: Final = "arguments"
RESULT: Final = "results"
OUTPUT: Final = "output"


def hand_back(given: Any, text: str, _label: object = None) -> Any:
    """Print a text from its end to its beginning, if there is any, and return what was given."""
    if text:
        print(text[::-1])
    return given


class Keepsakes:
    """The arguments, results and outputs of some tasks, none of which is kept alive by this."""

    def __init__(self, *, prints: bool) -> None:
        self._prints = prints
        #: Of each kind of task, and of what it had: a weak reference to each thing.
        self._refs: dict[tuple[str, str], list[weakref.ref[Any]]] = {}
        self._marks: dict[str, list[str]] = {}
        #: What is in each argument, in the order of their references.
        self._contents: dict[str, list[str]] = {}

    def argument(self, kind: str) -> set[str]:
        """An argument for a task of this kind, which can be pickled and nobody else refers to."""
        content = secrets.token_hex(8)
        made = {content}
        self._contents.setdefault(kind, []).append(content)
        self._refs.setdefault((kind, ARGUMENT), []).append(weakref.ref(made))
        return made

    def text(self, kind: str) -> str:
        """What a task of this kind is to print from its end; empty where nothing is captured."""
        if not self._prints:
            return ""
        mark = f"{_MARK}{secrets.token_hex(8)}"
        self._marks.setdefault(kind, []).append(mark)
        return mark

    def returned(self, kind: str, seen: Seen) -> None:
        """Note what a task of this kind has returned."""
        if isinstance(seen.result, set):
            self._refs.setdefault((kind, RESULT), []).append(weakref.ref(seen.result))

    def kept(self, least: int, executor: Any) -> list[tuple[str, str]]:
        """Of which kinds of tasks what is still alive, of all but one of `least` or more.

        Args:
            least: tasks.
            executor: that ran them, for what Python's collector does not look at (`gc.freeze`).
        """
        gc.collect()
        copied = self._copied()
        found = []
        for (kind, what), refs in self._refs.items():
            alive = [ref() is not None for ref in refs]
            if what == ARGUMENT:
                contents = self._contents[kind]
                alive = [each or one in copied for each, one in zip(alive, contents, strict=True)]
            if len(refs) >= least and sum(alive) >= len(refs) - 1:
                found.append((kind, what))
        asked = {kind: marks for kind, marks in self._marks.items() if len(marks) >= least}
        if asked:
            printed = _printed_texts(executor)
            for kind, marks in asked.items():
                if sum(mark[::-1] in printed for mark in marks) >= len(marks) - 1:
                    found.append((kind, OUTPUT))
        return found

    def _copied(self) -> set[str]:
        """What stands in sets that are alive and nobody's results: an attempt may have a copy."""
        results = {
            id(ref()) for (_, what), refs in self._refs.items() if what == RESULT for ref in refs
        }
        alone = [each for each in gc.get_objects() if type(each) is set and id(each) not in results]
        return {one for each in alone if len(each) == 1 for one in each if type(one) is str}


def _printed_texts(executor: Any) -> Collection[str]:
    """The marks that stand in any text that is alive in this process."""
    return {
        mark for text in _texts(executor) if _MARK[::-1] in text for mark in _PRINTED.findall(text)
    }


def _texts(executor: Any) -> Iterator[str]:
    """All texts to which anything refers that Python's collector knows, or the executor's own."""
    known: set[int] = set()
    for owner in itertools.chain(gc.get_objects(), _own(executor)):
        if isinstance(owner, io.StringIO | io.BytesIO):
            if not owner.closed:
                value = owner.getvalue()
                yield value if isinstance(value, str) else value.decode("latin-1")
            continue
        yield from _texts_below(owner, known)


def _own(executor: Any) -> list[Any]:
    """What an executor, its classes and the modules of these hold, and what that holds."""
    found: list[Any] = [executor]
    for cls in type(executor).__mro__[:-1]:
        module = sys.modules.get(cls.__module__)
        found += [vars(cls), *vars(cls).values(), *(vars(module).values() if module else ())]
    known = {id(each) for each in found}
    for each in found:
        if len(found) > _MANY:
            break
        if not isinstance(each, type | types.ModuleType | types.FunctionType):
            new = [one for one in gc.get_referents(each) if id(one) not in known]
            known.update(map(id, new))
            found += new
    return found


def _texts_below(owner: Any, known: set[int]) -> Iterator[str]:
    above = [owner]
    while above:
        for each in gc.get_referents(above.pop()):
            kind = type(each)
            if kind is str:
                if len(each) > len(_MARK):
                    yield each
            elif kind is bytes or kind is bytearray:
                if len(each) >= len(_MARK):
                    yield each.decode("latin-1")
            # What holds nothing but texts the collector does not list.
            elif kind in (dict, tuple) and not gc.is_tracked(each) and id(each) not in known:
                known.add(id(each))
                above.append(each)
