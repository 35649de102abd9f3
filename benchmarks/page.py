"""Results as a page of Markdown; nothing here measures anything."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from .measure import Measure
from .ratios import Bound, Ratio, Results, Spread

__all__ = ["bounds_table", "figures_table", "machine_table", "page", "ratios_table"]

_INTRODUCTION = Path(__file__).with_name("introduction.md")


def page(
    machine: Mapping[str, str], rounds: int, measured: Sequence[tuple[Measure, Results]]
) -> str:
    """The whole page: what must be reached first, then every figure behind it."""
    introduction = _INTRODUCTION.read_text(encoding="utf-8").format(rounds=rounds)
    parts = [introduction.rstrip()]
    if any(ratio.bound for measure, _ in measured for ratio in measure.ratios):
        parts += ["## What must be reached", bounds_table(measured)]
    for measure, results in measured:
        parts += [f"## {measure.title}", measure.method, figures_table(measure, results)]
        if measure.ratios:
            parts.append(ratios_table(measure, results))
    parts += ["## The machine", machine_table(machine)]
    return "\n\n".join(parts) + "\n"


def bounds_table(measured: Iterable[tuple[Measure, Results]]) -> str:
    """Every bound beside what was measured."""
    rows = []
    for measure, results in measured:
        for ratio in measure.ratios:
            if ratio.bound is not None:
                rows.append(_bound_row(ratio, ratio.bound, results))
    return _table(["ratio", "must be", "median", "middle half", "all rounds", ""], rows)


def _bound_row(ratio: Ratio, bound: Bound, results: Results) -> list[str]:
    spread = ratio.of(results)
    if isinstance(spread, str):
        return [ratio.label, str(bound), f"not measured: {spread}", "", "", "**not measured**"]
    verdict = "met" if bound.is_met(spread) else "**missed**"
    return [ratio.label, str(bound), *_columns(spread, _ratio), verdict]


def figures_table(measure: Measure, results: Results) -> str:
    """Every figure of every contender, and those who have none with the reason."""
    rows = []
    for contender in measure.contenders:
        if contender.name in results.missing:
            why = f"not measured: {results.missing[contender.name]}"
            rows.append([contender.name, why, "", "", "", ""])
        for name, values in results.figures.get(contender.name, {}).items():
            columns = _columns(Spread(tuple(values)), _figure)
            rows.append([contender.name, name, *columns, str(len(values))])
    header = ["contender", "figure", "median", "middle half", "all rounds", "rounds"]
    return _table(header, rows)


def ratios_table(measure: Measure, results: Results) -> str:
    """Every ratio, those without a bound too."""
    rows = []
    for ratio in measure.ratios:
        spread = ratio.of(results)
        if isinstance(spread, str):
            rows.append([ratio.label, f"not measured: {spread}", "", ""])
        else:
            rows.append([ratio.label, *_columns(spread, _ratio)])
    return _table(["ratio", "median", "middle half", "all rounds"], rows)


def machine_table(machine: Mapping[str, str]) -> str:
    """What is known of the machine."""
    return _table(["", ""], [[name, value] for name, value in machine.items()])


def _columns(spread: Spread, write: Callable[[float], str]) -> list[str]:
    if len(spread.values) == 1:
        return [write(spread.median), "", ""]
    ranges = (spread.quartiles, spread.extremes)
    return [write(spread.median), *(f"{write(low)} to {write(high)}" for low, high in ranges)]


def _ratio(value: float) -> str:
    return f"{value:.3f}"


def _figure(value: float) -> str:
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f}"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
