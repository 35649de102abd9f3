"""Whether the source of a module can make a class of some name, as far as can be read in it."""

from __future__ import annotations

import ast
import warnings

#: What makes names that stand nowhere.
_MAKERS = {"__getattr__", "exec", "eval", "globals", "setattr", "vars"}


def may_make(source: str, qualname: str) -> bool:
    """Whether a class may come out of a module; False where its name stands nowhere in the code.

    Args:
        source: of the module.
        qualname: of the class, as `Outer.Inner` or `make.<locals>.Inner`.
    """
    try:
        with warnings.catch_warnings():
            # What its author was told by Python is nothing to who verifies.
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return True  # of another Python than this one, or deeper than this one goes
    named = {name for node in ast.walk(tree) for name in _names_in(node)}
    wanted = {part for part in qualname.split(".") if part != "<locals>"}
    return bool(named & _MAKERS) or "*" in named or wanted <= named


def _names_in(node: ast.AST) -> list[str]:
    match node:
        case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            return [name]
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return [name]
        case ast.alias(name=name, asname=other):
            return [other or name]
        # The name that a class is given by `type` or `dataclasses.make_dataclass`.
        case ast.Constant(value=str(name)):
            return [name]
    return []
