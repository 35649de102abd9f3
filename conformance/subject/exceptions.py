"""How a check ends that the subject does not pass."""

from __future__ import annotations

from collections.abc import Iterable

from ...contract.finding import Finding
from ...contract.rule import Rule


class RuleViolation(AssertionError):
    """The subject broke the rule; the message is the whole explanation for its author."""

    def __init__(self, rule: Rule | None, finding: Finding) -> None:
        super().__init__(f"{rule}\n{finding}")
        self.finding = finding


class NotApplicable(Exception):
    """The subject honestly lacks what the rule speaks of; never a pass."""

    def __init__(self, reason: str, lacking: Iterable[str] = ()) -> None:
        """Say which needs of the rule it lacks; where none is said, all that it does."""
        super().__init__(reason)
        self.lacking = tuple(lacking)


class CouldNotRun(Exception):
    """What the rule needs could not be had, or not be found out; never a pass."""
