"""Where a task failed, and whether that is told."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class FailingLine:
    """The line in which a function raises."""

    text: str
    number: int
    function: str
    file: str

    def shown_in(self, told: str) -> bool:
        """Whether it is found: a worker may have no source to quote, and the number will do."""
        return self.text in told or self.numbered_in(told, self.file)

    def numbered_in(self, told: str, file: str = "") -> bool:
        """Whether a line of what was told has its number and function, and the file."""
        number = re.compile(rf"\b{self.number}\b")
        return any(
            self.function in line and file in line and number.search(line)
            for line in told.splitlines()
        )


def failing_line(function: Callable[..., Any]) -> FailingLine:
    """The last line of a function, which is the one that raises."""
    code = function.__code__
    number = max(line for _, _, line in code.co_lines() if line is not None)
    file = os.path.basename(code.co_filename)
    return FailingLine("raise kind(what_went_wrong)", number, code.co_name, file)
