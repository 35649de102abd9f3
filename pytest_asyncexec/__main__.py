"""The command line: `python -m pytest_asyncexec COMMAND`."""

from __future__ import annotations

import argparse
import io
import os
import re
import sys
from collections.abc import Sequence
from typing import NoReturn

from .commands import diff, matrix, rules, told, verify
from .contract.catalogue import CONTRACT_VERSION
from .contract.spelling import near

_COMMANDS = {"verify": verify, "matrix": matrix, "diff": diff, "rules": rules}

_EXAMPLES = """\
examples:
  python -m pytest_asyncexec verify asyncexec-report/MyExecutor.intoto.json
  python -m pytest_asyncexec matrix reports/dask reports/slurm --html plugins.html
  python -m pytest_asyncexec diff reports/last reports/now
  python -m pytest_asyncexec rules RET-02

The reports are those that `pytest --asyncexec-plugin=pkg.mod:Class --asyncexec-report=DIR` writes.
All about a command: python -m pytest_asyncexec COMMAND --help
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that was asked for; the exit status."""
    _survive_any_encoding()
    try:
        try:
            arguments = _parse(sys.argv[1:] if argv is None else list(argv))
            status: int = arguments.run(arguments)
            return status
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `| head` has seen enough
        _drop_output()
        return 141
    except OSError as error:
        _drop_output()
        return told(f"the output cannot be written: {error.strerror}.")


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m pytest_asyncexec",
        description="Work with what the conformance suite for executors has found.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the versions and exit")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for command in _COMMANDS.values():
        command.add_to(commands)
    known = f"The commands are {', '.join(_COMMANDS)}."
    word = next((word for word in words if not word.startswith("-")), "")
    if word and word not in _COMMANDS:
        parser.error(f"there is no command {word!r}. {near(word, _COMMANDS) or known}")
    if not word and not {"-h", "--help", "--version"} & set(words):
        parser.error(f"a command is missing. {known}")
    arguments, unknown = parser.parse_known_args(words)
    if unknown:
        its_parser = commands.choices[word]
        options = re.findall(r"--[\w-]+", its_parser.format_usage())
        hints = [near(one.partition("=")[0], options) for one in unknown if one.startswith("--")]
        its_parser.error(" ".join([f"unknown: {' '.join(unknown)}.", *filter(None, hints)]))
    return arguments


class _Version(argparse.Action):
    """Looked up only where it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object, **__: object) -> NoReturn:
        from . import __version__

        print(f"pytest-asyncexec {__version__}, executor contract {CONTRACT_VERSION}")
        parser.exit()


def _survive_any_encoding() -> None:
    """Escape what the terminal's encoding does not have, instead of failing there."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _drop_output() -> None:
    """What is still to be written goes nowhere: nobody could be told that it cannot be."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
