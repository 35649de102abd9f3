"""How functions of this suite travel: by value, to workers that have never heard of it.

In plain pickle where that is possible: to import cloudpickle takes a fresh worker longer than all
the rest of its start, and every task of the suite may have a worker of its own.
"""

from __future__ import annotations

import contextlib
import dis
import functools
import marshal
import pickle
import platform
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

import cloudpickle

from ...base.pickling import dumps

#: The package of the suite, whose functions may use each other.
_SUITE = __name__.rpartition(".")[0].rpartition(".")[0]

#: What a worker evaluates: see `_made`, whose code is `maker`.
_MADE = (
    "__import__('types').FunctionType(__import__('marshal').loads(maker), "
    "{'__builtins__': __import__('builtins')})(code, modules, names)"
)


class ByValue:
    """A callable that every pickler carries by value, and that is a plain function on arrival.

    Published executors pickle what they are given with cloudpickle, with plain pickle, or ask it
    for `python_version` as Covalent's own transportable objects have it. All of them can take
    this; the worker needs nothing but cloudpickle, and mostly not even that.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self.__name__ = getattr(function, "__name__", type(function).__name__)
        self.__doc__ = getattr(function, "__doc__", None)
        self.python_version = platform.python_version()

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        return self._function(*args, **kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        # What holds values of its own is not plain, and not to be remembered either.
        holds = not isinstance(self._function, types.FunctionType) or self._function.__closure__
        parts = None if holds else _parts(self._function)
        return (pickle.loads, (_dumped(self._function),)) if parts is None else (eval, parts)

    def __repr__(self) -> str:
        return f"<task {self.__name__}>"


class _NotPlain(Exception):
    """What a function needs is more than functions and constants."""


@functools.lru_cache
def _parts(function: types.FunctionType) -> tuple[str, dict[str, Any]] | None:
    """What is evaluated, and in what globals, to have a function; None if it needs cloudpickle."""
    functions: list[types.FunctionType] = []
    modules: dict[str, dict[str, Any]] = {}
    names: list[tuple[str, str, int]] = []
    try:
        _add(function, functions, modules, names)
        code = marshal.dumps(
            [(each.__module__, each.__code__, each.__defaults__) for each in functions]
        )
    except (_NotPlain, ValueError):  # or a default that is no constant
        return None
    maker = marshal.dumps(_made.__code__)
    return _MADE, {"maker": maker, "code": code, "modules": modules, "names": names}


def _made(
    code: bytes, modules: dict[str, dict[str, Any]], names: list[tuple[str, str, int]]
) -> Any:
    """Make the functions, in globals like those of their modules; return the first."""
    import builtins
    import marshal
    import types

    made = []
    for home, body, defaults in marshal.loads(code):
        own = modules[home]
        own.update(__builtins__=builtins, __name__=home)
        made.append(types.FunctionType(body, own, body.co_name, defaults))
    for home, name, number in names:
        modules[home][name] = made[number]
    return made[0]


def _add(
    function: types.FunctionType,
    functions: list[types.FunctionType],
    modules: dict[str, dict[str, Any]],
    names: list[tuple[str, str, int]],
) -> None:
    """Add a function and what it calls, the constants of their modules, and what names what."""
    if function.__closure__ or function.__kwdefaults__ or vars(function):
        raise _NotPlain
    functions.append(function)
    home = function.__module__
    own = modules.setdefault(home, {})
    for name in _globals_of(function.__code__):
        value = function.__globals__.get(name)
        if name not in function.__globals__ or name == "__name__":
            continue  # one of the builtins, or what every module has
        if isinstance(value, types.FunctionType):
            if value not in functions:
                _add(value, functions, modules, names)
            names.append((home, name, functions.index(value)))
        elif _is_constant(value):
            own[name] = value
        else:
            raise _NotPlain


def _is_constant(value: Any) -> bool:
    if isinstance(value, tuple | frozenset):
        return all(map(_is_constant, value))
    return value is None or type(value) in (bool, int, float, str, bytes)


def _globals_of(code: types.CodeType) -> Iterator[str]:
    """The names that code looks up in the globals, in the code within it too."""
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"):
            yield instruction.argval
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _globals_of(constant)


def _dumped(function: Callable[..., Any]) -> bytes:
    """Pickle a function of this suite so that a worker with cloudpickle need not have the suite.

    With the name of its file, whatever an executor's own pickler makes of that.
    """
    suite = sys.modules[_SUITE]
    with contextlib.ExitStack() as stack:
        if _SUITE not in cloudpickle.list_registry_pickle_by_value():
            cloudpickle.register_pickle_by_value(suite)
            stack.callback(cloudpickle.unregister_pickle_by_value, suite)
        return dumps(function)
