"""Executors that are wrong on purpose: two for each rule that MUST hold, one for each that SHOULD.

Each class breaks one rule, and says which, and what its author is told:

    @breaks("RET-01", "was attempted 2 times")
    class AttemptsTwice(ThreadExecutor): ...

`python -m pytest_asyncexec.broken` judges them all, and shows that the suite can say no.
"""

from __future__ import annotations

import importlib
import inspect
import itertools
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from pytest_asyncexec.targets.target import Target

T = TypeVar("T")


@dataclass(frozen=True)
class Wrong:
    """One wrong executor (a class or a factory), the rule it breaks and words of the finding."""

    executor: Callable[[], Any]
    rule: str
    says: str

    @property
    def name(self) -> str:
        """What the class or factory is called."""
        return self.executor.__name__

    @property
    def spec(self) -> str:
        """What `--asyncexec-plugin` takes for it."""
        return f"{self.executor.__module__}:{self.executor.__qualname__}"

    @property
    def target(self) -> Target:
        """What a subject is made of."""
        is_class = isinstance(self.executor, type)
        return Target(self.spec, self.name, self.executor, is_class)

    @property
    def mistake(self) -> str:
        """What its author did wrong, in one paragraph."""
        return " ".join((self.executor.__doc__ or "").split())

    @property
    def source(self) -> str:
        """Its code without the decorators, or nothing where the source is not installed."""
        try:
            lines = inspect.getsource(self.executor).splitlines()
        except (OSError, TypeError):
            return ""
        begins = ("class ", "def ", "async def ")
        return "\n".join(itertools.dropwhile(lambda line: not line.startswith(begins), lines))


_WRONG: list[Wrong] = []


def breaks(rule: str, says: str) -> Callable[[T], T]:
    """Register a class or a factory as wrong by `rule`, with a finding that contains `says`."""

    def register(executor: T) -> T:
        _WRONG.append(Wrong(executor, rule, says))
        return executor

    return register


def all_wrong() -> list[Wrong]:
    """Every wrong executor of this package, in one order whatever was imported before."""
    for module in pkgutil.iter_modules(__path__):
        if module.name != "__main__":
            importlib.import_module(f"{__name__}.{module.name}")
    return sorted(_WRONG, key=lambda wrong: wrong.executor.__module__)
