"""`diff OLD NEW`: what became worse between two reports, and what else is not as it was."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..evidence.record import RecordError
from ..report.comparison import Difference, Kind, compare
from . import Commands, command, told
from .reading import read_all

_EXAMPLES = """\
examples:
  python -m pytest_asyncexec diff reports/last reports/now
  python -m pytest_asyncexec diff last/report.json now/report.json

A regression is a rule that fails now and did not before, or that passed, was not applicable or was
waived, and is worse now; or an executor that is not judged any more. From the best to the worst:
passed, not applicable, waived, could not run, not run, failed.

exit status: 0 no regressions; 1 regressions; 2 there is nothing that could be compared: no such
report, one that was changed, another contract, a run of a selection
"""

_NUMBERED: dict[Kind, tuple[str, str]] = {
    "regression": ("regression", "regressions"),
    "improvement": ("improvement", "improvements"),
    "changed": ("other change", "other changes"),
}


def add_to(commands: Commands[Any]) -> None:
    """Add the command to the command line."""
    parser = command(
        commands,
        "diff",
        short="show the regressions between two reports",
        description="Show what became worse between two reports, and what else is not as it was. "
        "Executors are compared that have the same name.",
        examples=_EXAMPLES,
    )
    what = "a folder that --asyncexec-report=DIR wrote, or the report.json in it"
    parser.add_argument("old", metavar="OLD", type=Path, help=what)
    parser.add_argument("new", metavar="NEW", type=Path, help="likewise, of the later run")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Compare, say what differs, and return the exit status."""
    try:
        old, new = read_all([arguments.old, arguments.new])
    except RecordError as error:
        return told(error)
    for name, path, record in (("OLD", arguments.old, old), ("NEW", arguments.new, new)):
        if record.selection:
            return told(
                f"{name}, {path}, is of a run of a selection: of the other rules nothing is "
                "known.\n  Run the whole suite, without -k, -m, ids and the like, and compare that."
            )
    differences = compare(old, new)
    for difference in differences:
        print(difference)
    print(_total(differences))
    return 1 if any(difference.kind == "regression" for difference in differences) else 0


def _total(differences: Sequence[Difference]) -> str:
    if not differences:
        return "no differences"
    kinds = [difference.kind for difference in differences]
    counts = [
        f"{kinds.count(kind)} {one if kinds.count(kind) == 1 else many}"
        for kind, (one, many) in _NUMBERED.items()
        if kind in kinds
    ]
    return ", ".join(counts if "regression" in kinds else ["no regressions", *counts])
