"""`matrix DIR...`: the reports of many executors, beside each other."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..evidence.record import FILE, RecordError
from . import Commands, command, told
from .reading import file_of, read_all

_EXAMPLES = """\
examples:
  python -m pytest_asyncexec matrix reports/dask reports/slurm reports/ssh
  python -m pytest_asyncexec matrix reports/* --html plugins.html
  python -m pytest_asyncexec matrix reports/* >> "$GITHUB_STEP_SUMMARY"

exit status: 0 compared, whatever the verdicts are; 2 there is nothing that could be compared: a
report that is missing or was changed, given twice, or of another contract; or a page that cannot
be written
"""


def add_to(commands: Commands[Any]) -> None:
    """Add the command to the command line."""
    parser = command(
        commands,
        "matrix",
        short="compare the reports of many executors",
        description="Print a table, in Markdown, of what many executors fulfil.",
        examples=_EXAMPLES,
    )
    parser.add_argument(
        "reports",
        metavar="DIR",
        nargs="+",
        type=Path,
        help="a folder that --asyncexec-report=DIR wrote, or the report.json in it",
    )
    parser.add_argument("--html", metavar="FILE", type=Path, help="write a page, too")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Compare, print, and return the exit status."""
    # Only here: this takes a template engine.
    from ..report.columns import columns
    from ..report.folder import write_whole
    from ..report.matrix import markdown, page

    page_file: Path | None = arguments.html
    try:
        places = [_place(path) for path in arguments.reports]
        _refuse_twice(arguments.reports, places)
        compared = columns(zip(places, read_all(arguments.reports), strict=True))
    except RecordError as error:
        return told(error)
    if page_file is not None:
        if page_file.resolve() in {file_of(path).resolve() for path in arguments.reports}:
            return told(f"--html {page_file} is one of the reports.\n  Name another file.")
        try:
            write_whole(page_file, page(compared))
        except OSError as error:
            return told(
                f"--html {page_file} cannot be written: {error.strerror}.\n  Expected is a file "
                "in a folder that is there."
            )
    print("\n".join(markdown(compared, sys.stdout.encoding or "utf-8")))
    return 0


def _place(path: Path) -> Path:
    """Where a report lies, whatever way it was named: its folder, or a file of another name."""
    file = file_of(path).resolve()
    return file.parent if file.name == FILE else file


def _refuse_twice(given: Sequence[Path], places: Sequence[Path]) -> None:
    for number, place in enumerate(places):
        first = places.index(place)
        if first != number:
            raise RecordError(
                f"one report is given twice: {given[first]} and {given[number]}.\n  Name each "
                "report once."
            )
