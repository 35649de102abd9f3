#!/usr/bin/env bash
# distributed's LocalCluster changes the environment of the process that starts it, for good.
#
# Versions:  dask and distributed 2026.8.0, CPython 3.11.
# Input:     a LocalCluster of one worker, started and closed again in a `with` block; then a child
#            process that has nothing to do with Dask.
# Expected:  what the workers need in their environment is given to them, and the process that
#            started them has the environment that it had before, after closing at the latest.
# Seen:      OMP_NUM_THREADS, MKL_NUM_THREADS, OPENBLAS_NUM_THREADS, MALLOC_TRIM_THRESHOLD_,
#            PYTHONHASHSEED and __DASK_PARENT_PID are set in os.environ, and stay. A numerical
#            library that is imported later, and every later child, works with one thread; each
#            later Python child gives a text the same hash.
#
#                                  before     within     after closing
#                OMP_NUM_THREADS   not set    1          1
#                PYTHONHASHSEED    not set    6640       6640
#                hash("a") in two children    equal in both
#
# Here:      the embedded cluster of `DaskExecutor` has a worker in a thread, and no nanny, which is
#            who sets them. The conformance suite takes the environment for right that a factory
#            leaves behind, as each new worker of such a cluster sets it so again (HYG-03).
#
# Exits with 0 if it is still so, and otherwise with 1.
set -euo pipefail
export PIP_DISABLE_PIP_VERSION_CHECK=1
unset OMP_NUM_THREADS PYTHONHASHSEED

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -q "dask==2026.8.0" "distributed==2026.8.0"

cat >"$work/script.py" <<'PYTHON'
import os
import subprocess
import sys

from distributed import LocalCluster


def variables():
    return [os.environ.get(name, "not set") for name in ("OMP_NUM_THREADS", "PYTHONHASHSEED")]


def hash_in_a_child():
    command = [sys.executable, "-c", "print(hash('a'))"]
    return subprocess.run(command, capture_output=True, check=True).stdout


if __name__ == "__main__":
    print(*variables())
    with LocalCluster(n_workers=1, threads_per_worker=1, host="127.0.0.1", dashboard_address=None):
        print(*variables())
    print(*variables())
    print(hash_in_a_child() == hash_in_a_child())
PYTHON

seen=$("$work/venv/bin/python" "$work/script.py" 2>/dev/null)
printf '%s\n' "$seen"
[[ $seen == $'not set not set\n1 6640\n1 6640\nTrue' ]]
