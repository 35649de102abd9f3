"""`rules [RULE]`: the catalogue, as `pytest --asyncexec-rules` prints it."""

from __future__ import annotations

import argparse
from typing import Any

from ..contract.catalogue import CONTRACT_VERSION, VERSIONS, UnknownRule, contract_of
from ..report.catalogue import catalogue, on_this_terminal
from . import Commands, command, told

_EXAMPLES = """\
examples:
  python -m pytest_asyncexec rules              every rule, by chapter
  python -m pytest_asyncexec rules RET          those on retries
  python -m pytest_asyncexec rules RET-02       all about one, and an executor that breaks it
  python -m pytest_asyncexec rules --contract=1.0
                                                those of an earlier contract

exit status: 0 printed; 2 there is no such rule
"""


def add_to(commands: Commands[Any]) -> None:
    """Add the command to the command line."""
    parser = command(
        commands,
        "rules",
        short="print the rules of the contract",
        description="Print the rules that executors are judged by.",
        examples=_EXAMPLES,
    )
    parser.add_argument(
        "rule",
        nargs="?",
        default="",
        metavar="RULE",
        help="an id such as RET-02, or a chapter such as RET; else all are printed",
    )
    parser.add_argument(
        "--contract",
        choices=VERSIONS,
        default=CONTRACT_VERSION,
        help="the version of the contract; else the newest",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print, and return the exit status."""
    contract = contract_of(arguments.contract)
    try:
        on_this_terminal(lambda width: catalogue(arguments.rule, width, contract))
    except UnknownRule as unknown:
        return told(unknown)
    return 0
