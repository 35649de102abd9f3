#!/usr/bin/env bash
# cloudpickle 3.1.3 leaves the names of files out of the code that it carries by value.
#
# Versions:  cloudpickle 3.1.2 and 3.1.3, CPython 3.11.
# Input:     a function of `__main__`, in a script that is a file. It divides by zero in line 5, is
#            carried by value, loaded, and called.
# Expected:  a patch release changes nothing that its users see: the traceback names the script
#            and shows line 5, and `inspect.getsource` finds the function. So it is with 3.1.2.
# Seen:      with 3.1.3 the file is called "<dynamic-code>", whatever it was. The number of the
#            line and the function are kept. No line of the source can be shown, and
#            `inspect.getsource` raises OSError.
#
#                3.1.2   File "script.py", line 5, in divide | source shown | getsource works
#                3.1.3   File "<dynamic-code>", line 5, in divide | no source | getsource fails
#
#            Meant so, says a comment there: the bytes do not depend on where code was written.
# Here:      `pytest_asyncexec/pickling.py` puts the name back.
#
# Exits with 0 if it is still so, and otherwise with 1.
set -euo pipefail
export PIP_DISABLE_PIP_VERSION_CHECK=1

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cat >"$work/script.py" <<'PYTHON'
import inspect, os, pickle, traceback, cloudpickle


def divide(by):
    return 1_234_567 / by


carried = pickle.loads(cloudpickle.dumps(divide))
try:
    carried(0)
except ZeroDivisionError as error:
    told = traceback.format_exc()
    frame = traceback.extract_tb(error.__traceback__)[-1]
print(f'File "{os.path.basename(frame.filename)}", line {frame.lineno}, in {frame.name}', end=" | ")
print("source shown" if "1_234_567 / by" in told else "no source", end=" | ")
try:
    print("getsource works" if "1_234_567" in inspect.getsource(carried) else "getsource is wrong")
except OSError:
    print("getsource fails")
PYTHON

as_before=true
look() {
    python3 -m pip install -q --no-deps --target "$work/$1" "cloudpickle==$1"
    seen=$(PYTHONPATH="$work/$1" python3 "$work/script.py")
    printf '%s   %s\n' "$1" "$seen"
    [[ $seen == "$2" ]] || { printf '        expected: %s\n' "$2"; as_before=false; }
}

look 3.1.2 'File "script.py", line 5, in divide | source shown | getsource works'
look 3.1.3 'File "<dynamic-code>", line 5, in divide | no source | getsource fails'
$as_before
