#!/usr/bin/env bash
# distributed's Client.submit refuses an int of more than 4300 digits, unless it is given a key.
#
# Versions:  dask and distributed 2026.8.0, CPython 3.11.
# Input:     `abs` of 10**4000 and of 10**5000, submitted to a client in this process: once as it
#            is, once with `pure=False`, once with a `key`.
# Expected:  what pickle carries can be an argument: all of them return the number. The limit of
#            4300 digits is one for int from and to *text*, and nothing here is text.
# Seen:      submit(abs, 10**5000) raises ValueError before anything is sent. By default the key of
#            a task is made of its arguments, which are turned into text for that. With a key of
#            its own, or with pure=False, the same number arrives.
#
#                digits   as it is     pure=False   key=...
#                4001     returned     returned     returned
#                5001     ValueError   returned     returned
#
# Here:      `DaskExecutor` gives each task a key of its own. The conformance suite sends such an
#            int ("arguments of many types"), and finds executors that do not (RES-01).
#
# Exits with 0 if it is still so, and otherwise with 1.
set -euo pipefail
export PIP_DISABLE_PIP_VERSION_CHECK=1

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -q "dask==2026.8.0" "distributed==2026.8.0"

cat >"$work/script.py" <<'PYTHON'
from distributed import Client

if __name__ == "__main__":
    with Client(processes=False, n_workers=1, threads_per_worker=1, dashboard_address=None) as client:
        for number, key in ((10**4000, "shorter"), (10**5000, "longer")):
            row = []
            for options in ({}, {"pure": False}, {"key": key}):
                try:
                    result = client.submit(abs, number, **options).result()
                    row.append("returned" if result == number else "wrong")
                except ValueError:
                    row.append("ValueError")
            print(*row)
PYTHON

seen=$("$work/venv/bin/python" "$work/script.py" 2>/dev/null)
printf '%s\n' "$seen"
[[ $seen == $'returned returned returned\nValueError returned returned' ]]
