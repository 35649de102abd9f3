"""Executors that are wrong on purpose: at least one per rule.

Each class breaks one rule, and says which, and what its author is told:

    @breaks("RET-01", "was attempted 2 times")
    class AttemptsTwice(ThreadExecutor): ...
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Wrong:
    """One wrong executor (a class or a factory), the rule it breaks and words of the finding."""

    executor: Callable[[], Any]
    rule: str
    says: str

    @property
    def spec(self) -> str:
        return f"{self.executor.__module__}:{self.executor.__qualname__}"


_WRONG: list[Wrong] = []


def breaks(rule: str, says: str) -> Callable[[T], T]:
    """Register a class or a factory as wrong by `rule`, with a finding that contains `says`."""

    def register(executor: T) -> T:
        _WRONG.append(Wrong(executor, rule, says))
        return executor

    return register


def all_wrong() -> list[Wrong]:
    """Every wrong executor of this package."""
    for module in pkgutil.iter_modules(__path__, f"{__name__}."):
        importlib.import_module(module.name)
    return list(_WRONG)
