"""How a check ends that the subject does not pass."""

from __future__ import annotations

from ...contract.finding import Finding
from ...contract.rule import Rule


class RuleViolation(AssertionError):
    """The subject broke the rule; the message is the whole explanation for its author."""

    def __init__(self, rule: Rule | None, finding: Finding) -> None:
        super().__init__(f"{rule}\n{finding}")
        self.finding = finding


class NotApplicable(Exception):
    """The subject honestly lacks what the rule speaks of; never a pass."""


class CouldNotRun(Exception):
    """What the rule needs could not be had, or not be found out; never a pass."""
