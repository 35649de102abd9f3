#!/usr/bin/env python3
"""Mutate the executors of this package, and let the conformance suite find every mutant.

Needs cosmic-ray in the environment. The mutants are made in copies of the package in its installed
layout; this checkout stays as it is.
"""

from __future__ import annotations

import argparse
import ast
import collections
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path

from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import OPERATOR_PROVIDERS, get_operator
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import TestOutcome, WorkerOutcome, WorkResult
from operators import Provider

# The processes of cosmic-ray find them by themselves, see `Workshop.lay_out`.
OPERATOR_PROVIDERS["asyncexec"] = Provider()

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TARGET = "pytest_asyncexec.reference_executor:LocalExecutor"
MODULES = (
    "pytest_asyncexec/base/executor.py",
    "pytest_asyncexec/base/common.py",
    "pytest_asyncexec/base/template.py",
    "pytest_asyncexec/base/streams.py",
    "pytest_asyncexec/base/appending.py",
    "pytest_asyncexec/base/context.py",
    "pytest_asyncexec/reference_executor/local.py",
)

_NOISE = WorkResult(worker_outcome=WorkerOutcome.SKIPPED, output="no mutant of interest")
_SOMEBODY_ELSES = WorkResult(worker_outcome=WorkerOutcome.SKIPPED, output="another worker's")

_EXAMPLE = """\
  python scripts/mutation/run.py
  python scripts/mutation/run.py --work=/tmp/mutation pytest_asyncexec/base/context.py
Interrupted, and begun again with the same --work, it goes on where it was.
"""


class Workshop:
    """A folder with a copy of the package, and a session of cosmic-ray, for each worker."""

    def __init__(self, folder: Path, workers: int, judge: Sequence[str]) -> None:
        self.folder = folder
        self.copies = [folder / f"copy-{number}" for number in range(workers)]
        self.judge = [sys.executable, str(HERE / "judge.py"), *judge]

    def lay_out(self) -> None:
        """Copy the package into each worker's folder, as it is installed."""
        pristine, now = self.folder / "pristine", self.folder / "now"
        shutil.rmtree(now, ignore_errors=True)
        settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
        layout: dict[str, str] = settings["tool"]["setuptools"]["package-dir"]
        for package, source in layout.items():
            place = now / package.replace(".", "/")
            cache = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / source, place, ignore=cache, dirs_exist_ok=True)
        if not pristine.exists():
            now.rename(pristine)
        elif contents(now) != contents(pristine):
            sys.exit(f"The package has changed since {self.folder} was begun; remove that folder.")
        for copy in self.copies:
            # Whoever was interrupted may have left a mutant there.
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(pristine, copy)
            copy.with_suffix(".tmp").mkdir(exist_ok=True)
        # cosmic-ray finds operators through the metadata of an installed distribution.
        info = self.folder / "operators" / "asyncexec_operators-0.dist-info"
        info.mkdir(parents=True, exist_ok=True)
        (info / "METADATA").write_text("Name: asyncexec-operators\nVersion: 0\n")
        (info / "entry_points.txt").write_text(
            "[cosmic_ray.operator_providers]\nasyncexec = operators:Provider\n"
        )

    def environment(self, copy: Path) -> dict[str, str]:
        """In which the copy is imported, and no other."""
        path = [str(copy), str(HERE), str(self.folder / "operators")]
        return os.environ | {
            "PYTHONPATH": os.pathsep.join(path),
            "PYTHONDONTWRITEBYTECODE": "1",
            "TMPDIR": str(copy.with_suffix(".tmp")),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
        }

    def run(self, command: Sequence[str], copy: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=copy,
            env=self.environment(copy),
            capture_output=True,
            text=True,
            check=False,
        )

    def prove(self, modules: Sequence[str]) -> float:
        """See that the unchanged copy passes, and that what is changed there is what is judged.

        Returns:
            how many seconds the judgement of the unchanged copy takes.
        """
        copy = self.copies[0]
        begin = time.monotonic()
        passed = self.run(self.judge, copy)
        seconds = time.monotonic() - begin
        if passed.returncode:
            sys.exit(f"The unchanged executor does not pass:\n{passed.stdout}{passed.stderr}")
        for module in modules:
            path = copy / module
            original = path.read_text(encoding="utf-8")
            path.write_text("raise RuntimeError('the copy was imported')\n", encoding="utf-8")
            spoilt = self.run(self.judge, copy)
            path.write_text(original, encoding="utf-8")
            output = spoilt.stdout + spoilt.stderr
            if not spoilt.returncode or "the copy was imported" not in output:
                sys.exit(f"{path} is not what is judged:\n{output}")
        return seconds

    def mutate(self, modules: Sequence[str], timeout: float) -> list[Path]:
        """Judge every mutant that has not been judged yet; the sessions with the results."""
        config = self.folder / "cosmic-ray.toml"
        config.write_text(
            "[cosmic-ray]\n"
            f"module-path = {list(modules)!r}\n"
            f"timeout = {timeout}\n"
            "excluded-modules = []\n"
            f"test-command = {shlex.join(self.judge)!r}\n"
            '[cosmic-ray.distributor]\nname = "local"\n',
            encoding="utf-8",
        )
        sessions = [copy.with_suffix(".sqlite") for copy in self.copies]
        if not sessions[-1].exists():
            self._cosmic_ray(self.copies[0], "init", config, sessions[0]).wait()
            skip_noise(sessions[0], self.copies[0])
            share_out(sessions)
        started = [
            self._cosmic_ray(copy, "exec", config, session)
            for copy, session in zip(self.copies, sessions, strict=True)
        ]
        try:
            for process in started:
                process.wait()
        finally:
            for process in started:
                process.kill()
        return sessions

    def _cosmic_ray(self, copy: Path, command: str, *paths: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "cosmic_ray.cli", command, *map(str, paths)],
            cwd=copy,
            env=self.environment(copy),
        )


def contents(folder: Path) -> dict[str, bytes]:
    """The text of every module below a folder."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*.py")}


def share_out(sessions: Sequence[Path]) -> None:
    """Make as many sessions of the first as there are workers, each with its share of the work."""
    for session in sessions[1:]:
        shutil.copy(sessions[0], session)
    for number, session in enumerate(sessions):
        with use_db(session, WorkDB.Mode.open) as db:
            # In the same order in each session, which the database does not promise.
            waiting = sorted(item.job_id for item in db.pending_work_items)
            for place, job_id in enumerate(waiting):
                if place % len(sessions) != number:
                    db.set_result(job_id, _SOMEBODY_ELSES)


def skip_noise(session: Path, root: Path) -> None:
    """Leave out mutants that nobody could find, or everybody."""
    with use_db(session, WorkDB.Mode.open) as db:
        for item in list(db.pending_work_items):
            mutation = item.mutations[0]
            source = (root / mutation.module_path).read_text(encoding="utf-8")
            if any(
                begin <= mutation.start_pos < end for begin, end in spans_of_annotations(source)
            ):
                db.set_result(item.job_id, _NOISE)
                continue
            operator = get_operator(mutation.operator_name)()
            try:
                compile(mutate_code(source, operator, mutation.occurrence), "mutant", "exec")
            except SyntaxError:
                db.set_result(item.job_id, _NOISE)


def spans_of_annotations(source: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Where the annotations of a module begin and end: lines from 1, columns from 0."""
    found: list[ast.expr | None] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.append(node.returns)
        elif isinstance(node, ast.arg | ast.AnnAssign):
            found.append(node.annotation)
        elif isinstance(node, ast.Subscript):
            found.append(node.slice if isinstance(node.slice, ast.BinOp) else None)
    return [
        ((node.lineno, node.col_offset), (node.end_lineno or 0, node.end_col_offset or 0))
        for node in found
        if node is not None
    ]


def report(sessions: Sequence[Path]) -> bool:
    """Print the score and every survivor; whether each mutant was judged."""
    names: dict[str, str] = {}
    results: dict[str, WorkResult] = {}
    for session in sessions:
        with use_db(session, WorkDB.Mode.open) as db:
            for item in db.work_items:
                at = item.mutations[0]
                names[item.job_id] = f"{at.module_path}:{at.start_pos[0]} {at.operator_name}"
            for job_id, result in db.results:
                if result.output != _SOMEBODY_ELSES.output:
                    results[job_id] = result
    by: collections.Counter[str] = collections.Counter()
    skipped, survivors, unjudged = 0, [], []
    for job_id, name in names.items():
        result = results.get(job_id)
        if result is None or result.worker_outcome not in ("normal", "skipped"):
            unjudged.append(f"{name}: {result.output if result else 'not begun'}")
        elif result.worker_outcome == WorkerOutcome.SKIPPED:
            skipped += 1
        elif result.test_outcome == TestOutcome.SURVIVED:
            survivors.append(f"{name}\n{result.diff}")
        else:
            by[killer(result.output)] += 1
    for each, count in by.most_common():
        print(f"{count:4} noticed by {each}")
    for survivor in sorted(survivors):
        print(f"\nsurvived: {survivor}")
    for line in unjudged:
        print(f"\nnot judged: {line}")
    judged = by.total() + len(survivors)
    print(
        f"\n{judged} mutants: {by.total()} killed, {len(survivors)} survived "
        f"(score {by.total() / judged if judged else 0:.1%}); {skipped} in annotations or "
        f"without a meaning left out, {len(unjudged)} not judged"
    )
    return not unjudged


def killer(output: str) -> str:
    """Which rule noticed a mutant, or what else did."""
    found = re.search(r"noticed by (\w+-\d+)", output)
    if found:
        return found[1]
    return "the time-out" if "did not end" in output or output == "timeout" else "a crash"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=_EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("modules", nargs="*", default=list(MODULES), help="what to mutate")
    parser.add_argument("--work", type=Path, default=Path("mutation-work"), help="work folder")
    parser.add_argument("--workers", type=int, default=2, help="mutants judged at a time")
    parser.add_argument("--timeout", type=float, default=300, help="seconds for one judgement")
    parser.add_argument("--suite", default="asyncexec", help="what of the suite is to judge")
    given = parser.parse_args()

    options = [f"--asyncexec-plugin={TARGET}", "--asyncexec-profile=quick"]
    judge = [str(given.timeout), *options, *shlex.split(given.suite)]
    shop = Workshop(given.work.resolve(), given.workers, judge)
    shop.lay_out()
    print(f"unchanged: every rule passed in {shop.prove(given.modules):.1f} s", flush=True)
    # The judge ends by itself; should it not, cosmic-ray ends it.
    return 0 if report(shop.mutate(given.modules, given.timeout + 60)) else 2


if __name__ == "__main__":
    sys.exit(main())
