"""What the reports add to a run: the same run with and without them, in turns.

    python scripts/report_cost.py [TARGET ...] [--runs N]

Prints the least, the median and the greatest seconds of both, and the difference of the medians.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_TARGETS = ("pytest_asyncexec.broken.retries:NeverRetries",)

#: A run that is short, so that what is added to it shows.
_SELECTION = ("asyncexec/test_retries.py", "asyncexec/test_construction.py")


def main() -> None:
    """Measure, and print what came out."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("targets", nargs="*", default=_TARGETS, metavar="TARGET")
    parser.add_argument("--runs", type=int, default=10, metavar="N", help="pairs of runs")
    options = parser.parse_args()
    plugins = [f"--asyncexec-plugin={target}" for target in options.targets]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *plugins]
    command += _SELECTION
    seconds: dict[str, list[float]] = {"without": [], "with": []}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(options.runs):
            report = f"--asyncexec-report={Path(folder, str(number))}"
            for name, more in (("without", []), ("with", [report])):
                started = time.perf_counter()
                subprocess.run([*command, *more], cwd=folder, capture_output=True, check=False)
                seconds[name].append(time.perf_counter() - started)
            if not Path(folder, str(number), "report.html").exists():
                sys.exit(f"no report was written by: {' '.join([*command, report])}")
    for name, measured in seconds.items():
        spread = f"{min(measured):.3f} {statistics.median(measured):.3f} {max(measured):.3f}"
        print(f"{name:8} {spread} s (least, median, greatest of {len(measured)})")
    added = statistics.median(seconds["with"]) - statistics.median(seconds["without"])
    print(f"added    {added:.3f} s")


if __name__ == "__main__":
    main()
