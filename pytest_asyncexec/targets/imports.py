"""Importing what a user named, with an explanation of whatever goes wrong."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import pkgutil
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from ..contract.spelling import near
from .foreign import stand_by
from .target import TargetError


def make_findable(name: str, folders: Sequence[Path]) -> None:
    """See to it that the top-level module `name` is found, in `folders` if nowhere else.

    They go to the end of `sys.path`: what is installed stays in force, so that a verdict on an
    installed plugin is never one on a folder that happens to lie near.
    """
    with contextlib.suppress(ValueError):
        if name in sys.modules or importlib.util.find_spec(name) is not None:
            return
    for folder in map(str, folders):
        if folder not in sys.path:
            sys.path.append(folder)
    importlib.invalidate_caches()


def import_module(name: str, given: str) -> ModuleType:
    """Import the module `name` of the target `given`.

    Raises:
        TargetError: there is no such module, or its body ended in an error.
    """
    stand_by()
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise TargetError(_missing(error.name, given)) from None
        raise TargetError(_broken(name, given, error)) from None
    except (Exception, SystemExit) as error:
        raise TargetError(_broken(name, given, error)) from None
    except BaseException as error:
        # pytest.skip() and its kind at module level derive from BaseException.
        if isinstance(error, KeyboardInterrupt):
            raise
        raise TargetError(_broken(name, given, error)) from None


def is_submodule(module: ModuleType, name: str) -> bool:
    """Whether the package `module` has a submodule `name`, imported or not."""
    if not hasattr(module, "__path__"):
        return False
    return importlib.util.find_spec(f"{module.__name__}.{name}") is not None


def _missing(name: str, given: str) -> str:
    parent, _, last = name.rpartition(".")
    if parent:
        package = sys.modules.get(parent)
        path = getattr(package, "__path__", None)
        if path is None:
            return (
                f"{given!r}: {parent!r} is a module and no package, so there is no module "
                f"{name!r} in it.\n  Write {parent}:{last} if {last} is a class or function there."
            )
        known = [module.name for module in pkgutil.iter_modules(path)]
        hint = near(last, known) or f"Modules there: {', '.join(known) or 'none'}."
        return f"{given!r}: the package {parent!r} has no module {last!r}.\n  {hint}"
    hint = near(name, {module.name for module in pkgutil.iter_modules()})
    advice = (
        "Expected is an importable module: install the package into the environment that runs "
        "pytest, or run pytest in the folder where the module lies."
    )
    return f"{given!r}: there is no module {name!r}.\n  {hint + ' ' if hint else ''}{advice}"


def _broken(name: str, given: str, error: BaseException) -> str:
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    lines = [f"{given!r}: the module {name!r} was found, but importing it fails.", f"  {what}"]
    frames = _frames(error)
    if isinstance(error, SyntaxError) and error.filename:
        lines = [lines[0], f"  SyntaxError: {error.msg}"]
        lines.append(f"  at {error.filename}:{error.lineno}: {(error.text or '').strip()}")
    elif frames:
        lines.append(f"  at {frames[-1].filename}:{frames[-1].lineno}: {frames[-1].line}")
        if frames[0].filename != frames[-1].filename:
            lines.append(f"  from {frames[0].filename}:{frames[0].lineno}: {frames[0].line}")
    if isinstance(error, ModuleNotFoundError):
        lines.append(f"  Install what provides {error.name!r} into this environment.")
    else:
        lines.append(f'  Make this work first: python -c "import {name}"')
    return "\n".join(lines)


def _frames(error: BaseException) -> list[traceback.FrameSummary]:
    ours = (__file__, importlib.__file__, str(Path(__file__).with_name("foreign.py")))
    return [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename not in ours and not frame.filename.startswith("<frozen importlib")
    ]
