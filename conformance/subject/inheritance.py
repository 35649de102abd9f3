"""What a class inherits from somebody else's base, and what it is like with that mended.

A fault of an inherited method is told as such; and it hides none of the subject's own: where the
method is mended and the check still fails, that is the subject's.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from unittest import mock

from ...base.executor import AsyncBaseExecutor
from ...base.plain import BaseExecutor
from ...contract.rule import Rule
from ..instruments.guard import guarded
from ..instruments.loop import Hang
from .exceptions import RuleViolation
from .subject import Subject

#: The methods that the static rules of a chapter are about. Every rule that runs tasks is about
#: `execute`, too.
_METHODS = {
    "SER": ("to_dict", "from_dict"),
    "SEC": ("to_dict", "from_dict"),
    "STR": ("write_streams_to_file",),
    "CTX": ("get_dispatch_context",),
}


@dataclass(frozen=True, slots=True)
class SecondLook:
    """What became of a check when the inherited methods that it judges were mended."""

    #: By whom they are defined, in words.
    inherited: str
    #: What is still broken then; None where nothing is.
    own: RuleViolation | None

    def __str__(self) -> str:
        return (
            f"the same check passes with this package's own; the fault is in {self.inherited}, "
            "which the class inherits."
        )


def second_look(
    subject: Subject, rule: Rule, function: Callable[[Subject], None]
) -> SecondLook | None:
    """Run a check again with mended methods; None where the subject inherits none that it judges.

    None, too, where the check then ends in neither of the two ways.
    """
    foreign = {
        name: base
        for name in _METHODS.get(rule.chapter, ())
        if (base := foreign_definer(subject.cls, name)) is not None
    }
    under_template = subject.building.execute_is_foreign and "run" in rule.needs
    if subject.template_host or not (foreign or under_template):
        return None
    names = {name: f"`{name}` of {base.__module__}" for name, base in foreign.items()}
    if under_template:
        names["execute"] = "`execute`"
    with _mended(subject, list(foreign), under_template=under_template), guarded():
        try:
            error = subject.driving.call(lambda: function(subject))
        except Hang:
            return None
    if error is not None and not isinstance(error, RuleViolation):
        return None
    return SecondLook(" and ".join(names.values()), error)


@contextlib.contextmanager
def _mended(subject: Subject, methods: list[str], *, under_template: bool) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for name in methods:
            awaited = inspect.iscoroutinefunction(getattr(subject.cls, name))
            ours = inspect.getattr_static(AsyncBaseExecutor if awaited else BaseExecutor, name)
            stack.enter_context(mock.patch.object(subject.cls, name, ours))
        for owner, name, value in (
            (subject.tasks, "under_template", under_template),
            (subject.building, "mends", True),
        ):
            stack.callback(setattr, owner, name, getattr(owner, name))
            setattr(owner, name, value)
        yield


def foreign_definer(cls: type, name: str) -> type | None:
    """The base class that defines a method, where it is neither the subject's nor this package's.

    Args:
        cls: the class that is judged; what its own module defines is its own.
        name: of the method.
    """
    definer = next((base for base in cls.__mro__ if name in vars(base)), None)
    kit = AsyncBaseExecutor.__module__.partition(".")[0]
    if definer is None or definer.__module__.partition(".")[0] == kit:
        return None
    return None if definer.__module__ == cls.__module__ else definer
