#!/usr/bin/env bash
# distributed runs a task that ends its worker four times, whatever `retries` says.
#
# Versions:  dask and distributed 2026.8.0, CPython 3.11.
# Input:     a cluster of one worker on the loopback interface. A task that adds a line to a file
#            and raises, and one that adds a line and ends its process, each submitted with `retries`
#            0, 2 and 5. The lines are counted.
# Expected:  with `retries` 0 a task runs once however it fails, and with n it runs n + 1 times.
# Seen:      it holds for one that raises. One whose worker dies runs four times in each case, by
#            the setting distributed.scheduler.allowed-failures, which is 3.
#
#                retries   raises   worker dies
#                0         1        4
#                2         3        4
#                5         6        4
#
# Here:      an executor that leaves its tasks to the process of the Dask worker has them run again
#            unasked (RET-10): docs/backends.md. `DaskExecutor` runs them in a process beside it.
#
# Exits with 0 if it is still so, and otherwise with 1.
set -euo pipefail
export PIP_DISABLE_PIP_VERSION_CHECK=1

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -q "dask==2026.8.0" "distributed==2026.8.0"

cat >"$work/script.py" <<'PYTHON'
import os
import sys
from pathlib import Path

from distributed import Client, LocalCluster


def note(file):
    with open(file, "a") as opened:
        opened.write("ran\n")


def raises(file):
    note(file)
    raise ValueError


def dies(file):
    note(file)
    os._exit(1)


def runs(client, task, retries):
    file = Path(sys.argv[1], f"{task.__name__}-{retries}")
    client.submit(task, str(file), retries=retries).exception(timeout=120)
    return len(file.read_text().splitlines())


if __name__ == "__main__":
    with (
        LocalCluster(
            n_workers=1, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
        ) as cluster,
        Client(cluster) as client,
    ):
        for retries in (0, 2, 5):
            print(retries, runs(client, raises, retries), runs(client, dies, retries))
PYTHON

seen=$(cd "$work" && "$work/venv/bin/python" "$work/script.py" "$work" 2>/dev/null)
printf '%s\n' "$seen"
[[ $seen == $'0 1 4\n2 3 4\n5 6 4' ]]
