"""The attributes of an executor: what its constructor takes, what it holds, what it shares."""

from __future__ import annotations

import contextlib
import copy
import inspect
import math
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ...contract.wording import short, short_error
from ..subject.exceptions import CouldNotRun
from ..subject.subject import Subject

#: The documented attributes, with the values that every executor may be given.
DOCUMENTED = ("log_stdout", "log_stderr", "cache_dir", "time_limit", "retries")

MISSING = object()
NEUTRAL = "asyncexec"
#: How a constructor says that it does not take a value; its own kinds of error do so too.
REFUSALS = (TypeError, ValueError, OSError)

_MUTABLE = (list, dict, set, bytearray, deque)
_PATHS = re.compile(r"path|dir|file|folder|log_|cache|home|root|location|cert", re.IGNORECASE)
_SECRETS = re.compile(r"pass|secret|token|key|credential", re.IGNORECASE)
_KINDS: Mapping[str, Any] = {
    "str": NEUTRAL,
    "bool": False,
    "int": 1,
    "float": 1.0,
    "dict": {},
    "mapping": {},
    "list": [],
    "sequence": [],
    "iterable": [],
    "tuple": [],
}


# ---- the constructor -----------------------------------------------------------------------


def demanded(subject: Subject) -> list[str]:
    """The names of the arguments without which the class cannot be constructed."""
    return [n for n, p in subject.parameters().items() if p.default is p.empty]


def constructed(subject: Subject) -> Any:
    """An executor from the class itself, with the arguments that it demands and no other.

    Raises:
        CouldNotRun: the class cannot be called like that, so that nothing more can be said of
            its arguments.
    """
    try:
        return subject.construct()
    except CouldNotRun:
        raise
    except Exception as error:
        raise CouldNotRun(
            "the class cannot be called with the arguments that its constructor demands, taken "
            f"from the attributes of what the target builds: {short_error(error)}"
        ) from error


def constructing(subject: Subject, **arguments: Any) -> str:
    """The line of Python that constructs another executor with these arguments."""
    given = [f"{name}=executor.{name}" for name in demanded(subject) if name not in arguments]
    given += [f"{name}={value!r}" for name, value in arguments.items()]
    return f"type(executor)({', '.join(given)})"


def takes(subject: Subject, name: str) -> bool:
    """Whether the constructor has a parameter of this name, or one for any keyword."""
    return subject.building.takes(name)


def models(subject: Subject, executor: Any) -> dict[str, Any]:
    """A value of the right kind for each parameter of the constructor that is an attribute too.

    The kind is that of the default, or else of the attribute of `executor`, or else what the
    annotation says. What a constructor takes under `**kwargs` is looked for among the documented
    attributes. Parameters whose kind cannot be told, or is none that JSON has, are left out.
    """
    parameters = subject.parameters()
    names = [*parameters, *(n for n in DOCUMENTED if n not in parameters and takes(subject, n))]
    found: dict[str, Any] = {}
    for name in names:
        attribute = _get(executor, name)
        if attribute is MISSING:
            continue
        parameter = parameters.get(name)
        default = None if parameter is None else parameter.default
        for model in (default, attribute, _annotated(parameter)):
            if isinstance(model, str | int | float | list | tuple | dict):
                found[name] = model
                break
    return found


def _annotated(parameter: inspect.Parameter | None) -> Any:
    if parameter is None or parameter.annotation is parameter.empty:
        return None
    for word in re.findall(r"\w+", str(parameter.annotation)):
        if word.lower() in _KINDS:
            return _KINDS[word.lower()]
    return None


def values_like(name: str, model: Any, folder: Path) -> list[Any]:
    """Values of the kind of `model` for an argument `name`, a falsy one among them.

    They should be neutral for any executor: a text is an absolute path within `folder` where the
    name speaks of files, so that expanding and resolving it changes nothing.
    """
    if isinstance(model, bool):
        return [False, True]
    if name == "retries":
        return [0, 2]
    if name == "time_limit":
        return [0, 3600]
    if isinstance(model, int):
        return [0, model + 1]
    if isinstance(model, float):
        return [0.0, model + 1.5 if math.isfinite(model) else 1.5]
    if isinstance(model, str):
        return ["", path_or_text(name, folder)]
    if isinstance(model, dict):
        return [{}, copy.deepcopy(model) or {NEUTRAL: "value"}]
    return [[], list(copy.deepcopy(model)) or [NEUTRAL]]


def path_or_text(name: str, folder: Path) -> str:
    """A text for an attribute `name`: a path within `folder` where the name speaks of files."""
    return str(folder.resolve() / NEUTRAL) if _PATHS.search(name) else NEUTRAL


def without_folder(subject: Subject, text: str) -> str:
    """`text` with the suite's temporary folder, which soon is no more, replaced by its parent."""
    folder = subject.folder.resolve()
    return text.replace(str(folder), str(folder.parent))


def speaks_of_files(name: str) -> bool:
    """Whether an attribute of this name is likely to hold a path."""
    return _PATHS.search(name) is not None


def may_be_secret(name: str) -> bool:
    """Whether an attribute of this name may honestly be left out of what is written down."""
    return _SECRETS.search(name) is not None


def containers_for(subject: Subject) -> dict[str, Any]:
    """Lists and dictionaries for the arguments of the constructor that take such."""
    return {
        name: values_like(name, model, subject.folder)[1]
        for name, model in models(subject, subject.build()).items()
        if isinstance(model, list | tuple | dict)
    }


def furniture(subject: Subject) -> dict[str, Any]:
    """Those of `containers_for` that the constructor takes, all at once."""
    accepted: dict[str, Any] = {}
    for name, value in containers_for(subject).items():
        with contextlib.suppress(Exception):
            subject.construct(**accepted, **{name: value})
            accepted[name] = value
    return accepted


def furnished(subject: Subject) -> Any:
    """An executor with something mutable in it, where its constructor takes such a thing."""
    accepted = furniture(subject)
    return subject.construct(**accepted) if accepted else subject.build()


def furnishing(subject: Subject) -> str:
    """The line of Python that makes `executor` what `furnished` returns."""
    accepted = furniture(subject)
    return f"executor = {constructing(subject, **accepted)}\n" if accepted else ""


# ---- the instance --------------------------------------------------------------------------


def _get(executor: Any, name: str) -> Any:
    try:
        return getattr(executor, name, MISSING)
    except Exception:
        return MISSING


def state(executor: Any) -> dict[str, Any]:
    """What the instance itself holds, by name: its dictionary and its slots."""
    held = dict(getattr(executor, "__dict__", {}))
    for cls in type(executor).__mro__:
        slots = vars(cls).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name.startswith("__") and not name.endswith("__"):
                name = f"_{cls.__name__.lstrip('_')}{name}"
            if name not in ("__dict__", "__weakref__") and hasattr(executor, name):
                held[name] = getattr(executor, name)
    return held


def mutable_parts(value: Any, path: str) -> dict[int, tuple[str, Any]]:
    """The lists, dictionaries and sets in `value`, at any depth, by identity."""
    return {id(part): (where, part) for where, part in _parts(value, path, set())}


def _parts(value: Any, path: str, above: set[int]) -> Iterator[tuple[str, Any]]:
    if id(value) in above:
        return
    if isinstance(value, _MUTABLE):
        yield path, value
    below = above | {id(value)}
    if isinstance(value, dict):
        for key, item in list(value.items()):
            yield from _parts(item, f"{path}[{key!r}]", below)
    elif isinstance(value, list | tuple | deque):
        for index, item in enumerate(list(value)):
            yield from _parts(item, f"{path}[{index}]", below)


def mutable_state(executor: Any, also: Iterable[str] = ()) -> dict[int, tuple[str, Any]]:
    """The mutable parts of an executor's attributes, by identity: (path, object)."""
    held = state(executor)
    for name in also:
        if (value := _get(executor, name)) is not MISSING:
            held.setdefault(name, value)
    found: dict[int, tuple[str, Any]] = {}
    for name, value in held.items():
        found = mutable_parts(value, name) | found
    return found


def spoil(value: Any) -> None:
    """Change every list and dictionary in `value` in place, at every depth."""
    for _, part in mutable_parts(value, "").values():
        if isinstance(part, dict):
            for key, item in list(part.items()):
                if not isinstance(item, _MUTABLE):
                    part[key] = "changed by the suite"
            part["added by the suite"] = "changed by the suite"
        elif isinstance(part, list | deque):
            part.append("changed by the suite")
        elif isinstance(part, set):
            part.add("changed by the suite")
        elif isinstance(part, bytearray):
            part.extend(b"changed by the suite")


def shown(value: Any, limit: int = 200) -> str:
    """`short`, without the memory addresses that are others in every run."""
    return re.sub(r"\b0x[0-9a-fA-F]{4,}", "0x...", short(value, limit))


def difference(expected: Any, found: Any, path: str = "") -> str:
    """Where two values first differ, in words; empty if they are equal.

    A bool is no number, an int and a float of one value are equal, as they are in JSON.
    """
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in expected:
            if key not in found:
                return f"{path}[{key!r}] is missing, it was {shown(expected[key])}"
            if inner := difference(expected[key], found[key], f"{path}[{key!r}]"):
                return inner
        for key in found:
            if key not in expected:
                return f"{path}[{key!r}] is {shown(found[key])}, and was not there"
        return ""
    if isinstance(expected, list | tuple) and type(expected) is type(found):
        for index, (one, other) in enumerate(zip(expected, found, strict=False)):
            if inner := difference(one, other, f"{path}[{index}]"):
                return inner
        if len(expected) == len(found):
            return ""
    elif _equal(expected, found):
        return ""
    return f"{path} is {shown(found)}, it was {shown(expected)}"


def _equal(left: Any, right: Any) -> bool:
    if isinstance(left, bool) != isinstance(right, bool):
        return False
    try:
        return bool(left is right or left == right)
    except Exception:
        return False
