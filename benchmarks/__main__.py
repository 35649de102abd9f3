"""Measures the executors beside their peers: `python -m benchmarks [MEASURE ...]`."""

from __future__ import annotations

import argparse
import asyncio
import sys
from functools import partial
from importlib import import_module
from pathlib import Path

from . import machine, page
from .driver import run
from .measure import Measure

ROOT = Path(__file__).parents[1]
MEASURES = (
    "execute",
    "local",
    "fresh",
    "dask",
    "streams",
    "growth",
    "stop",
    "scale",
    "tax",
    "chapters",
    "latency",
)


def main() -> None:
    """Read the command line, measure, print the page, and write it."""
    options = parse(sys.argv[1:])
    rounds = 2 if options.quick else options.rounds
    described = machine.describe()
    measured = []
    for name in options.measures or MEASURES:
        measure: Measure = import_module(f".{name}", __package__).measure(options.quick)
        results = asyncio.run(run(measure, rounds, partial(say, name)))
        measured.append((measure, results))
    text = page.page(described, rounds, measured)
    # Written first: a terminal may not know every character.
    if options.output is not None:
        options.output.write_text(text, encoding="utf-8")
        say("written", str(options.output))
    print(text)


def parse(words: list[str]) -> argparse.Namespace:
    """Understand the command line; `output` is None where nothing is to be written."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=(__doc__ or "").partition(":")[0]
    )
    # Not `choices`: with them an empty list of names is refused.
    parser.add_argument("measures", nargs="*", metavar="MEASURE", help=", ".join(MEASURES))
    parser.add_argument("--rounds", type=int, default=7, metavar="N", help="default: 7")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="default: docs/performance.md, and nothing where measures are named",
    )
    parser.add_argument("--quick", action="store_true", help="try everything, write nothing")
    options = parser.parse_args(words)
    for name in options.measures:
        if name not in MEASURES:
            parser.error(f"there is no measure {name!r}: they are {', '.join(MEASURES)}")
    if options.rounds < 1:
        parser.error(f"--rounds is {options.rounds}: there must be at least one")
    if options.quick and options.output is not None:
        parser.error("--quick is too short to be written to --output")
    if options.output is not None and not options.output.parent.is_dir():
        parser.error(f"--output is {options.output}: there is no folder {options.output.parent}")
    if options.output is None and not options.quick and not options.measures:
        options.output = ROOT / "docs" / "performance.md"
    return options


def say(about: str, text: str) -> None:
    """Tell whoever waits how far it has come."""
    print(f"{about}: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
