"""Prints the kill matrix: whether the suite finds each executor that is wrong on purpose."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import textwrap
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from pytest_asyncexec.contract.catalogue import CONTRACT_VERSION, UnknownRule, look_up

from . import Wrong
from .matrix import Trial, gaps, in_order, try_out

_EXAMPLES = """\
examples:
  python -m pytest_asyncexec.broken                  every wrong executor
  python -m pytest_asyncexec.broken RET-02 CAN       those of a rule, and of a chapter
  pytest asyncexec --asyncexec-plugin=pytest_asyncexec.broken.retries:NeverRetries
                                                     one of them, judged by every rule

exit codes: 0 all were found, 1 one survived, 2 unknown rule or option
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Judge the wrong executors that were asked for; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m pytest_asyncexec.broken",
        description="Judge executors that are wrong on purpose, each by the rule that it breaks, "
        "to see that the suite can say no.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("rules", nargs="*", metavar="RULE", help="an id, RET-02, or a chapter, RET")
    parser.add_argument(
        "-j", "--jobs", type=_positive, default=1, metavar="N", help="judge in N processes"
    )
    options = parser.parse_args(arguments)
    try:
        rules = {rule.id for word in options.rules for rule in look_up(word)}
    except UnknownRule as unknown:
        parser.exit(2, f"{parser.prog}: {unknown}\n")

    wrongs, began = in_order(rules), time.monotonic()
    print(f"executor contract {CONTRACT_VERSION}: {len(wrongs)} wrong executors", flush=True)
    trials = list(_shown(_tried(wrongs, options.jobs), wrongs))
    survivors = [trial for trial in trials if not trial.killed]
    for gap in [] if rules else gaps(wrongs):
        print(f"missing: {gap}")
    print(
        f"{len(trials) - len(survivors)} killed, {len(survivors)} survived, "
        f"in {time.monotonic() - began:.0f} s"
    )
    return 1 if survivors else 0


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of processes")
    return int(text)


def _tried(wrongs: Sequence[Wrong], jobs: int) -> Iterator[Trial]:
    if jobs == 1:
        yield from map(try_out, wrongs)
    else:
        # Not forked: the threads and loops of wrong executors would come along.
        with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
            yield from pool.map(try_out, wrongs)


def _shown(trials: Iterable[Trial], wrongs: Sequence[Wrong]) -> Iterator[Trial]:
    """Print a line on each trial as it comes in and, on a terminal, which one is under way."""
    width = shutil.get_terminal_size().columns
    following = iter(trials)
    for number, wrong in enumerate(wrongs, 1):
        if sys.stdout.isatty():
            line = f"[{number}/{len(wrongs)}] {wrong.rule} {wrong.name} ..."
            print(line[: width - 1], end="\r", flush=True)
        trial = next(following)
        if sys.stdout.isatty():
            print(" " * (width - 1), end="\r")
        print(*_lines(trial, width), sep="\n", flush=True)
        yield trial


def _lines(trial: Trial, width: int) -> list[str]:
    obligation = trial.finding.rule.obligation
    outcome = "killed" if trial.killed else "SURVIVED"
    head = f"{trial.wrong.rule}  {obligation:6}  {outcome:8}  {trial.wrong.name}: "
    return textwrap.wrap(
        f"{head}{trial.words}",
        max(width - 1, 40),
        subsequent_indent=" " * 8,
        break_on_hyphens=False,
        break_long_words=False,
    )


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
