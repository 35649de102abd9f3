"""Samples to spreads, spreads to ratios, ratios to verdicts; nothing here measures anything."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

__all__ = ["AT_LEAST", "AT_MOST", "LESS_THAN", "MORE_THAN", "Bound", "Ratio", "Results", "Spread"]

AT_MOST, AT_LEAST, LESS_THAN, MORE_THAN = "at most", "at least", "less than", "more than"


@dataclass(frozen=True)
class Spread:
    """What several rounds gave for one figure."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one, which a single disturbed round does not move."""
        return statistics.median(self.values)

    @property
    def quartiles(self) -> tuple[float, float]:
        """Between these two lies the middle half of the rounds."""
        if len(self.values) == 1:
            return self.values[0], self.values[0]
        low, _, high = statistics.quantiles(self.values, n=4, method="inclusive")
        return low, high

    @property
    def extremes(self) -> tuple[float, float]:
        """The least and the greatest."""
        return min(self.values), max(self.values)


@dataclass(frozen=True)
class Bound:
    """What a ratio must reach: its median is held against `limit`."""

    relation: str
    limit: float

    def is_met(self, spread: Spread) -> bool:
        """Whether the median reaches the bound."""
        median = spread.median
        return {
            AT_MOST: median <= self.limit,
            AT_LEAST: median >= self.limit,
            LESS_THAN: median < self.limit,
            MORE_THAN: median > self.limit,
        }[self.relation]

    def __str__(self) -> str:
        return f"{self.relation} {self.limit:g}"


@dataclass
class Results:
    """What the contenders of one measure gave: figures by contender, or why there are none."""

    figures: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def add(self, contender: str, figures: Mapping[str, float]) -> None:
        """Take the figures of one round."""
        for name, value in figures.items():
            self.figures.setdefault(contender, {}).setdefault(name, []).append(value)

    def lose(self, contender: str, why: str) -> None:
        """Drop a contender: half of its rounds could not be compared with all of another's."""
        self.figures.pop(contender, None)
        self.missing[contender] = why


@dataclass(frozen=True)
class Ratio:
    """One figure of one contender over a figure of another, round by round.

    Both figures of a round were measured seconds apart, so that a machine which is slower for a
    while is so for both of them.
    """

    label: str
    over: tuple[str, str]
    under: tuple[str, str]
    bound: Bound | None = None

    def of(self, results: Results) -> Spread | str:
        """The ratio of every round, or why there is none."""
        for contender, _ in (self.over, self.under):
            if contender in results.missing:
                return f"{contender}: {results.missing[contender]}"
        samples = [
            results.figures.get(contender, {}).get(figure, [])
            for contender, figure in (self.over, self.under)
        ]
        return paired(*samples) if all(samples) else "no round was measured"


def paired(over: Sequence[float], under: Sequence[float]) -> Spread:
    """Divide the first round by the first, the second by the second, and so on."""
    return Spread(tuple(a / b for a, b in zip(over, under, strict=True)))
