"""The commands of `python -m pytest_asyncexec`, one module each.

Each has `add_to`, which adds its parser, and `run`, which returns the exit status.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from ..contract.wording import printable

Commands = argparse._SubParsersAction  # what add_subparsers returns has no public name


def command(
    commands: Commands[Any], name: str, *, short: str, description: str, examples: str
) -> argparse.ArgumentParser:
    """Add a command: what it does in the list of all, in its own help, and examples of it."""
    return commands.add_parser(  # type: ignore[no-any-return]
        name,
        help=short,
        description=description,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def told(problem: object) -> int:
    """Print what the user has to know, and return the exit status that stands for it."""
    print(f"error: {printable(str(problem))}", file=sys.stderr)
    return 2
