"""Functions that no worker can import: lambdas, closures, and those of `__main__`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..instruments.seen import Seen
from .at_once import Errand

#: A script as users write them: its functions belong to `__main__`, which no worker can import.
_SCRIPT = """
import math

class Scale:
    def __init__(self, factor):
        self.factor = factor

    def __call__(self, value):
        return value * self.factor

def halve(value):
    return math.floor(value / 2)

def task(value):
    return Scale(4)(halve(value))
"""


def _homeless_functions() -> dict[str, Callable[[int], int]]:
    """Functions that no worker can import, each of which makes 42 of 21, by what they are."""
    script: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(_SCRIPT, "<script>", "exec"), script)
    doubled = 2

    def closure(value: int) -> int:
        return value * doubled

    def recursion(value: int) -> int:
        class Pair:
            def __init__(self, left: int, right: int) -> None:
                self.sum = left + right

        return Pair(2, recursion(value - 1)).sum if value else 0

    def of_main(value: int) -> int:
        return int(script_task(value)) + 2

    script_task = script["task"]
    return {
        "a lambda": lambda value: value * 2,
        "a closure": closure,
        "a closure that calls itself and makes a class of its own": recursion,
        "a function of __main__, which uses another, a class and an import": script_task,
        "a closure over a function of __main__": of_main,
    }


def homeless_errands() -> list[Errand]:
    """A task for each of them, which is to return 42."""
    # As they are, not by value: carrying them is what is judged.
    return [
        Errand(function, [21], _makes(function(21), kind), by_value=False)
        for kind, function in _homeless_functions().items()
    ]


def _makes(expected: int, kind: str) -> Callable[[Seen], str]:
    def judge(seen: Seen) -> str:
        return "" if seen.completed and seen.result == expected else f"{kind}: {seen}"

    return judge
