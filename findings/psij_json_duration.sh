#!/usr/bin/env bash
# psij's JSON form of a job turns every duration into zero on the way back.
#
# Versions:  psij-python 0.9.11, CPython 3.11.
# Input:     a JobSpec with a duration of 30 seconds, 5 minutes, or 2 hours, written by
#            `JSONSerializer().dumps` and read by `loads` of the same class.
# Expected:  `loads` is the reverse of `dumps`: the same duration, and an equal JobSpec.
# Seen:      the text says "300.0 s", and it is read without an error as a duration of zero: for a
#            batch system, no time at all or no limit at all. `loads` also prints the names of the
#            fields that it reads to standard output.
#
#                written            read
#                "30.0 s"           0:00:00
#                "300.0 s"          0:00:00
#                "7200.0 s"         0:00:00
#
# Here:      an executor that keeps a job's description in this form loses what its user has set:
#            docs/backends.md, and SER-05 finds it.
#
# Exits with 0 if it is still so, and otherwise with 1.
set -euo pipefail
export PIP_DISABLE_PIP_VERSION_CHECK=1

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -q "psij-python==0.9.11"

cat >"$work/script.py" <<'PYTHON'
import contextlib
import io
import json
from datetime import timedelta

from psij import JobAttributes, JobSpec
from psij.serialize import JSONSerializer

for seconds in (30, 300, 7200):
    spec = JobSpec("/bin/true", attributes=JobAttributes(duration=timedelta(seconds=seconds)))
    text = JSONSerializer().dumps(spec)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        back = JSONSerializer().loads(text)
    written = json.loads(text)["attributes"]["duration"]
    print(written, back.attributes.duration, back == spec, "duration" in printed.getvalue())
PYTHON

seen=$(HOME="$work" "$work/venv/bin/python" "$work/script.py")
printf '%s\n' "$seen"
[[ $seen == $'30.0 s 0:00:00 False True\n300.0 s 0:00:00 False True\n7200.0 s 0:00:00 False True' ]]
