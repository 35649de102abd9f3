#!/usr/bin/env bash
# The models of kubernetes 37 refuse `cpu: 1` where it is a number, which Kubernetes itself takes.
#
# Versions:  kubernetes 36.0.3 and 37.0.2, CPython 3.11.
# Input:     a request of one processor, V1ResourceRequirements(requests={"cpu": 1}), and the same
#            with the text "1"; beside it a limit of -1 seconds, which is no valid one.
# Expected:  the number is taken, as in every manifest that says `cpu: 1`; if the models check what
#            they are given, they refuse the -1, which must be above 0.
# Seen:      36 takes all three. 37 checks the types of Python and nothing else: the number is
#            refused, and the limit of -1 is taken.
#
#                              36.0.3   37.0.2
#                "cpu": 1      taken    ValidationError
#                "cpu": "1"    taken    taken
#                limit -1      taken    taken
#
# Here:      -1 is what an executor has for "no limit" (TIM-01): docs/backends.md.
#
# Exits with 0 if it is still so, and otherwise with 1.
set -euo pipefail
export PIP_DISABLE_PIP_VERSION_CHECK=1

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cat >"$work/script.py" <<'PYTHON'
from kubernetes import client


def told(make):
    try:
        make()
    except ValueError as error:
        return type(error).__name__
    return "taken"


def resources(cpu):
    return client.V1ResourceRequirements(requests={"cpu": cpu})


def limit(seconds):
    template = client.V1PodTemplateSpec()
    return client.V1JobSpec(template=template, active_deadline_seconds=seconds)


print(told(lambda: resources(1)), told(lambda: resources("1")), told(lambda: limit(-1)))
PYTHON

as_before=true
look() {
    python3 -m venv "$work/$1"
    "$work/$1/bin/python" -m pip install -q "kubernetes==$1"
    seen=$("$work/$1/bin/python" "$work/script.py")
    printf '%s   %s\n' "$1" "$seen"
    [[ $seen == "$2" ]] || as_before=false
}

look 36.0.3 "taken taken taken"
look 37.0.2 "ValidationError taken taken"
$as_before
