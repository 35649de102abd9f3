"""What a user named, or why that cannot be judged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Target:
    """What a user named: a class, or a factory without arguments, that builds executors."""

    spec: str
    name: str
    build: Callable[[], Any]
    is_class: bool


class TargetError(Exception):
    """A target that cannot be judged: what was given, what was expected, and what to do."""
