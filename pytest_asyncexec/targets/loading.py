"""From "pkg.mod:Name" to something that builds executors, or an error that helps."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeGuard

from ..contract.spelling import near
from .imports import import_module, is_submodule, make_findable
from .target import Target, TargetError

_EXPECTED = "Expected is pkg.mod:Class, pkg.mod.Class, or pkg.mod:function for a factory."


def load_targets(specs: Iterable[str], folders: Sequence[Path] = ()) -> list[Target]:
    """Load every target of a run; those that share a name go by what the user wrote.

    Raises:
        TargetError: one of them cannot be judged, or two of them are the same.
    """
    targets: list[Target] = []
    for spec in specs:
        target = load_target(spec, folders)
        for other in targets:
            if other.build is target.build or other.build == target.build:
                again = "" if other.spec == target.spec else f" (it is {other.spec!r} again)"
                raise TargetError(
                    f"{target.spec!r} is given twice{again}.\n"
                    "  Name each executor once; for two configurations of one class write two "
                    "factories."
                )
        targets.append(target)
    names = [target.name for target in targets]
    return [replace(t, name=t.spec) if names.count(t.name) > 1 else t for t in targets]


def load_target(spec: str, folders: Sequence[Path] = ()) -> Target:
    """Import what `spec` names and see that it can build executors.

    Modules that are not found otherwise are looked for in `folders`.

    Raises:
        TargetError: with one explanation of what is wrong and what to do.
    """
    spec = spec.strip()
    _refuse_malformed(spec)
    make_findable(spec.partition(":")[0].partition(".")[0], folders)
    found = _resolve(spec)
    if isinstance(found, type):
        _refuse_class(spec, found)
    else:
        _refuse_factory(spec, found)
    name = spec.rpartition(":" if ":" in spec else ".")[2].rpartition(".")[2]
    return Target(spec, name, found, isinstance(found, type))


def _refuse_malformed(spec: str) -> None:
    module, colon, attributes = spec.partition(":")
    if "/" in module or "\\" in module or module.endswith(".py"):
        dotted = module.removesuffix(".py").replace("\\", "/").strip("./").replace("/", ".")
        raise TargetError(
            f"{spec!r} names a file.\n  {_EXPECTED} Perhaps {dotted}:{attributes or 'Class'}."
        )
    names = module.split(".") + (attributes.split(".") if colon else [])
    if not all(name.isidentifier() for name in names):
        raise TargetError(f"{spec!r} is no name of a class or function.\n  {_EXPECTED}")
    if len(names) == 1:
        raise TargetError(f"{spec!r} does not say what to take from a module.\n  {_EXPECTED}")


def _resolve(spec: str) -> Any:
    """The object that `spec` names."""
    module_name, colon, path = spec.partition(":")
    if colon:
        found: Any = import_module(module_name, spec)
        rest = path.split(".")
    else:
        first, *rest = module_name.split(".")
        found = import_module(first, spec)
        while len(rest) > 1 and is_submodule(found, rest[0]):
            found = import_module(f"{found.__name__}.{rest.pop(0)}", spec)
    for name in rest:
        if not hasattr(found, name):
            if inspect.ismodule(found) and is_submodule(found, name):
                raise TargetError(
                    f"{spec!r} is a module and does not say what to take from it.\n  {_EXPECTED}"
                )
            raise TargetError(_no_attribute(spec, found, name))
        found = getattr(found, name)
    return found


def _no_attribute(spec: str, holder: Any, name: str) -> str:
    where = getattr(holder, "__file__", None)
    kind = "module" if inspect.ismodule(holder) else "class"
    title = f"{kind} {holder.__name__!r}" if hasattr(holder, "__name__") else repr(holder)
    public = [known for known in dir(holder) if not known.startswith("__")]
    lines = [f"{spec!r}: the {title} has no {name!r}.", f"  {near(name, public)}"]
    values = {known: getattr(holder, known, None) for known in public}
    alike = [
        known
        for known, value in values.items()
        if _looks_like_executor(value) and value.__name__ == known
    ]
    lines.append(f"  Classes there that look like executors: {', '.join(alike) or 'none'}.")
    if where:
        lines.append(f"  It was loaded from {where}.")
    return "\n".join(line for line in lines if line.strip())


def _looks_like_executor(value: Any) -> TypeGuard[type]:
    return (
        isinstance(value, type)
        and callable(getattr(value, "run", None))
        and not inspect.isabstract(value)
    )


def _refuse_class(spec: str, cls: type) -> None:
    if inspect.isabstract(cls):
        missing = ", ".join(sorted(getattr(cls, "__abstractmethods__", ())))
        raise TargetError(
            f"{spec!r} is an abstract class: it does not define {missing}.\n"
            "  Expected is a class that can be built. Define the missing methods, or name a "
            "subclass that does."
        )
    if not hasattr(cls, "run") and not hasattr(cls, "__getattr__"):
        raise TargetError(
            f"{spec!r} is no executor class: it has no method `run`.\n"
            "  Expected is a class with `async def run(self, function, args, kwargs, "
            "task_metadata)`. If it builds executors, name a function that returns one."
        )
    demanded = _demanded(cls)
    if demanded:
        module, name = cls.__module__, cls.__qualname__
        given = ", ".join(f"{argument}=..." for argument in demanded)
        raise TargetError(
            f"{spec!r} cannot be built without arguments: {', '.join(demanded)}.\n"
            "  Put a factory that supplies them into a module, say my_target.py:\n\n"
            f"      from {module} import {name.partition('.')[0]}\n\n"
            f"      def make_executor():\n          return {name}({given})\n\n"
            "  and name it instead: --asyncexec-plugin=my_target:make_executor"
        )


def _refuse_factory(spec: str, found: Any) -> None:
    kind = type(found)
    if kind.__module__.startswith("_pytest") and "ixture" in kind.__name__:
        raise TargetError(
            f"{spec!r} is a pytest fixture, which nobody but pytest can call.\n"
            "  Name a plain function; the fixture may call it too."
        )
    if not callable(found):
        what = "a module" if inspect.ismodule(found) else f"an object of type {kind.__name__}"
        raise TargetError(
            f"{spec!r} is {what}, neither a class nor callable.\n  {_EXPECTED} "
            "For an executor that is already built, write a function that builds one."
        )
    call = found if inspect.isroutine(found) else getattr(found, "__call__", found)  # noqa: B004
    if any(
        test(function)
        for test in (inspect.iscoroutinefunction, inspect.isasyncgenfunction)
        for function in (found, call)
    ):
        raise TargetError(
            f"{spec!r} is a coroutine function; executors are built outside of an event loop.\n"
            "  Make the factory a plain `def`, and what has to be awaited part of `setup`."
        )
    demanded = _demanded(found)
    if demanded:
        raise TargetError(
            f"{spec!r} is a factory that needs arguments: {', '.join(demanded)}.\n"
            "  A factory is called without any. Give them defaults, or name another function "
            "that supplies them."
        )


def _demanded(found: Callable[..., Any]) -> list[str]:
    """The names of the arguments without which `found` cannot be called."""
    try:
        parameters = inspect.signature(found).parameters.values()
    except (TypeError, ValueError):
        return []
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.default is p.empty and p.kind not in variadic]
