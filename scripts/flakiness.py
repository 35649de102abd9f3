#!/usr/bin/env python3
"""Judge one executor many times over, and say which rules did not always end the same.

It is also the pytest plugin that shuffles the checks of the runs of the second kind.
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import contextlib
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest

from pytest_asyncexec.contract.verdict import RuleOutcome, judge

_SEED = "ASYNCEXEC_SHUFFLE"

_EXAMPLE = """\
100 runs while all cores are busy, and 20 on two workers in random order, one after the other:
  python scripts/flakiness.py pytest_asyncexec.reference_executor:LocalExecutor
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bring the checks into the order of this run's seed, the same one in each worker."""
    if _SEED in os.environ:
        random.Random(os.environ[_SEED]).shuffle(items)


@dataclass(frozen=True)
class Run:
    """What one run of the suite found."""

    name: str
    seconds: float
    outcomes: dict[str, str]
    messages: dict[str, str]
    exit_code: int

    @property
    def verdict(self) -> str:
        """Verdict and level, computed from the outcomes, and the exit code beside them."""
        known = [RuleOutcome(rule, outcome) for rule, outcome in self.outcomes.items()]  # type: ignore[arg-type]
        said = judge(known)
        return f"{said.verdict}, level {said.level or 'none'}, exit code {self.exit_code}"


def run_once(name: str, target: str, options: Sequence[str], seed: int | None) -> Run:
    """Judge the target in a process of its own, in an empty folder."""
    here = str(Path(__file__).parent)
    path = [here, os.getcwd(), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, path))}
    command = [sys.executable, "-m", "pytest", "asyncexec", f"--asyncexec-plugin={target}", "-q"]
    command += ["-p", "no:cacheprovider", "--junit-xml=report.xml", *options]
    if seed is not None:
        environment[_SEED] = str(seed)
        command += ["-p", Path(__file__).stem, "-n", "2"]
    with tempfile.TemporaryDirectory() as folder:
        begin = time.monotonic()
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        seconds = time.monotonic() - begin
        report = Path(folder, "report.xml")
        if not report.exists():
            sys.exit(f"{name}: no report, exit code {done.returncode}\n{done.stdout}{done.stderr}")
        outcomes, messages = read(report)
    return Run(name, seconds, outcomes, messages, done.returncode)


def read(report: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Outcome and message of every rule in a report in JUnit's form."""
    outcomes, messages = {}, {}
    for case in ElementTree.parse(report).iter("testcase"):
        said = {p.get("name", ""): p.get("value", "") for p in case.iter("property")}
        rule = said.get("asyncexec_rule")
        if rule is not None:
            outcomes[rule] = said.get("asyncexec_outcome", "not_run")
            messages[rule] = said.get("asyncexec_message", "")
    return outcomes, messages


@contextlib.contextmanager
def busy_cores(wanted: bool) -> Iterator[None]:
    """Keep every core busy."""
    count = (os.cpu_count() or 1) if wanted else 0
    spinning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()


def report(runs: Sequence[Run]) -> bool:
    """Print what was found; whether it was the same every time."""
    for kind, those in collections.Counter(run.name.split()[0] for run in runs).items():
        seconds = [run.seconds for run in runs if run.name.startswith(kind)]
        print(
            f"{kind:9} {those:4} runs, seconds: min {min(seconds):.1f}, "
            f"median {statistics.median(seconds):.1f}, max {max(seconds):.1f}"
        )
    verdicts = collections.Counter(run.verdict for run in runs)
    for verdict, count in verdicts.items():
        print(f"{count:4} x {verdict}")
    rules = sorted({rule for run in runs for rule in run.outcomes})
    changed = 0
    for rule in rules:
        counts = collections.Counter(run.outcomes.get(rule, "absent") for run in runs)
        if len(counts) > 1:
            changed += 1
            print(f"{rule}: {', '.join(f'{n} {outcome}' for outcome, n in counts.most_common())}")
            usual = counts.most_common(1)[0][0]
            odd = next(run for run in runs if run.outcomes.get(rule, "absent") != usual)
            print(f"  in {odd.name}: {odd.messages.get(rule, '')}")
    print(f"{len(rules)} rules, {changed} with changed outcomes in {len(runs)} runs")
    return changed == 0 and len(verdicts) <= 1


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=_EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("target", help="what to judge, as for --asyncexec-plugin")
    parser.add_argument("--busy", type=int, default=100, help="runs while all cores are busy")
    parser.add_argument("--shuffled", type=int, default=20, help="runs with -n 2, in random order")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("options", nargs="*", help="further options for pytest, after --")
    given = parser.parse_args()

    runs: list[Run] = []
    for kind, count in (("busy", given.busy), ("shuffled", given.shuffled)):
        with (
            busy_cores(kind == "busy" and count > 0),
            concurrent.futures.ThreadPoolExecutor(given.jobs) as pool,
        ):
            futures = [
                pool.submit(
                    run_once,
                    f"{kind} {number}",
                    given.target,
                    given.options,
                    None if kind == "busy" else number,
                )
                for number in range(1, count + 1)
            ]
            for future in concurrent.futures.as_completed(futures):
                runs.append(future.result())
                print(f"{runs[-1].name}: {runs[-1].seconds:.1f} s", file=sys.stderr)
    return 0 if report(runs) else 1


if __name__ == "__main__":
    sys.exit(main())
