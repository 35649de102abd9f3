"""The attributes of an executor: what they may be, and how they travel as JSON."""

import math
from collections.abc import Mapping
from typing import Any, TypeVar

__all__ = [
    "PATHS",
    "check_attribute",
    "check_retries",
    "check_time_limit",
    "effective_time_limit",
    "json_copy",
    "read_attributes",
    "rehydrate",
    "type_name",
]

PATHS = ("log_stdout", "log_stderr", "cache_dir")
SETTINGS = (*PATHS, "time_limit", "retries")

#: JSON values of these types are their own copies.
_ATOMS = frozenset({str, int, bool, type(None)})

_Executor = TypeVar("_Executor")
_MISSING = object()


def type_name(cls: type) -> str:
    """Return the dotted name of a class: no path, no repr."""
    return f"{cls.__module__}.{cls.__qualname__}"


def check_attribute(name: str, value: Any, owner: type) -> Any:
    """Return `value` if attribute `name` may have it, else raise TypeError or ValueError.

    Only the five documented attributes are judged; any other value is returned as it is.
    """
    if name in PATHS:
        return _check_path(name, value, owner)
    if name == "time_limit":
        return check_time_limit(value, owner)
    if name == "retries":
        return check_retries(value, owner)
    return value


def effective_time_limit(value: float) -> float | None:
    """Return the seconds an attempt may take, or None where `value` means no limit."""
    try:
        seconds = float(value)
    except OverflowError:
        return None
    return seconds if 0 < seconds < math.inf else None


def _check_path(name: str, value: Any, owner: type) -> str:
    if isinstance(value, str):
        return value
    raise TypeError(
        f"{owner.__name__}.{name} must be a str, not {value!r}: "
        f"pass str(path) for a path, and '' for none"
    )


def check_time_limit(value: Any, owner: type) -> float:
    """Return a time limit in seconds, -1 for None; TypeError or ValueError for what can be none."""
    if value is None:
        return -1
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(
            f"{owner.__name__}.time_limit must be a number of seconds, not {value!r}: "
            f"pass an int or a float, and -1 for no limit"
        )
    if isinstance(value, float) and math.isnan(value):
        raise ValueError(
            f"{owner.__name__}.time_limit must be a number of seconds, not nan: "
            f"pass -1 for no limit"
        )
    return value


def check_retries(value: Any, owner: type) -> int:
    """Return `value` if it can be a number of retries; TypeError or ValueError else."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(
            f"{owner.__name__}.retries must be an int, not {value!r}: "
            f"pass how often a failed task is tried again, and 0 for never"
        )
    if value < 0:
        raise ValueError(
            f"{owner.__name__}.retries must not be negative, got {value!r}: pass 0 for no retries"
        )
    return value


def json_copy(value: Any, path: str, _above: tuple[int, ...] = ()) -> Any:
    """Return a deep copy of `value` made of plain JSON types, tuples as lists.

    Raises ValueError for NaN, infinity and a value that contains itself, and TypeError for
    anything else that JSON cannot hold; the message names the place, as in `attributes.host[2]`.
    """
    if type(value) in _ATOMS:
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if math.isfinite(value):
            return float(value)
        raise ValueError(f"{path} is {value!r}, which JSON cannot hold: use a finite number")
    if id(value) in _above:
        raise ValueError(f"{path} contains itself, which JSON cannot hold")
    above = (*_above, id(value))
    # What is its own copy is left to no further call, which would first have its place put down.
    if isinstance(value, dict):
        return {
            _json_key(key, path): (
                item if type(item) in _ATOMS else json_copy(item, f"{path}[{key!r}]", above)
            )
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [
            item if type(item) in _ATOMS else json_copy(item, f"{path}[{i}]", above)
            for i, item in enumerate(value)
        ]
    raise TypeError(
        f"{path} is {value!r} of type {type(value).__qualname__}, which JSON cannot hold: "
        f"keep it in an attribute whose name starts with an underscore, or store it as JSON values"
    )


def _json_key(key: Any, path: str) -> str:
    if isinstance(key, str):
        return str.__str__(key)
    raise TypeError(f"{path} has the key {key!r}, which JSON cannot hold: use a str")


def read_attributes(executor: object) -> dict[str, Any]:
    """Return the public attributes of an executor as a deep JSON copy.

    Public are the five documented settings and every name without a leading underscore in the
    instance's `__dict__`, in a `__slots__`, or of a property that can be set.
    """
    names = dict.fromkeys((*SETTINGS, *getattr(executor, "__dict__", ()), *_settable(executor)))
    found = {name: getattr(executor, name, _MISSING) for name in names if name[0] != "_"}
    return {
        name: json_copy(value, f"attributes.{name}")
        for name, value in found.items()
        if value is not _MISSING
    }


def _settable(executor: object) -> list[str]:
    names = dict.fromkeys(name for cls in type(executor).__mro__ for name in vars(cls))
    return [
        name
        for name in names
        if hasattr(type(_on_class(executor, name)), "__set__")
        and not _is_read_only(_on_class(executor, name))
    ]


def _on_class(executor: object, name: str) -> Any:
    for cls in type(executor).__mro__:
        if name in vars(cls):
            return vars(cls)[name]
    return _MISSING


def _is_read_only(found: Any) -> bool:
    return isinstance(found, property) and found.fset is None


def rehydrate(executor: _Executor, object_dict: Any) -> _Executor:
    """Overwrite the attributes of `executor` with those of `object_dict`, or leave it untouched.

    The dictionary is judged as a whole before anything is set. It is data: nothing named in it
    is imported or called.
    """
    attributes = _checked_attributes(executor, object_dict)
    undo: list[tuple[str, Any]] = []
    try:
        for name, value in attributes.items():
            undo.append((name, _current(executor, name)))
            setattr(executor, name, value)
    except BaseException:
        for name, value in reversed(undo):
            _restore(executor, name, value)
        raise
    return executor


def _checked_attributes(executor: object, object_dict: Any) -> dict[str, Any]:
    if not isinstance(object_dict, Mapping):
        raise TypeError(f"from_dict needs a dictionary as to_dict returns it, not {object_dict!r}")
    if not object_dict:
        return {}
    _check_type(executor, object_dict)
    if "attributes" not in object_dict:
        raise ValueError("from_dict: the dictionary has no 'attributes'")
    attributes = object_dict["attributes"]
    if not isinstance(attributes, Mapping):
        raise TypeError(f"from_dict: 'attributes' must be a dictionary, not {attributes!r}")
    copied: dict[str, Any] = json_copy(dict(attributes), "attributes")
    for name in copied:
        _check_name(executor, name)
    return {name: check_attribute(name, value, type(executor)) for name, value in copied.items()}


def _check_type(executor: object, object_dict: Mapping[Any, Any]) -> None:
    for key in ("type", "short_name"):
        if not isinstance(object_dict.get(key, ""), str):
            raise TypeError(f"from_dict: {key!r} must be a str, not {object_dict[key]!r}")
    named = object_dict.get("type", "")
    cls = type(executor)
    own = type_name(cls)
    if "type" in object_dict and named not in (
        own,
        f"{cls.__module__}:{cls.__qualname__}",
        f"<class '{own}'>",
    ):
        raise ValueError(
            f"from_dict: the dictionary is of the executor class {named!r}, "
            f"and this executor is a {own!r}: rehydrate it into an instance of its own class"
        )


def _check_name(executor: object, name: str) -> None:
    if name.startswith("_") or not name.isidentifier():
        raise ValueError(
            f"from_dict: {name!r} is not the name of a public attribute, and is never overwritten"
        )
    found = _on_class(executor, name)
    if found is _MISSING or (hasattr(type(found), "__set__") and not _is_read_only(found)):
        return
    if isinstance(found, str | int | float | list | tuple | dict | None):
        return
    raise ValueError(
        f"from_dict: {name!r} is a part of the class {type(executor).__qualname__} itself "
        f"({type(found).__name__}), not an attribute, and is never overwritten"
    )


def _current(executor: object, name: str) -> Any:
    if hasattr(type(_on_class(executor, name)), "__set__"):
        return getattr(executor, name, _MISSING)
    return getattr(executor, "__dict__", {}).get(name, _MISSING)


def _restore(executor: object, name: str, value: Any) -> None:
    if value is not _MISSING:
        setattr(executor, name, value)
    elif _current(executor, name) is not _MISSING:
        delattr(executor, name)
