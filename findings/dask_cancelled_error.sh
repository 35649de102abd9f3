#!/usr/bin/env bash
# A task's own CancelledError arrives as UnboundLocalError from distributed's client.
#
# Versions:  dask and distributed 2026.8.0, CPython 3.11.
# Input:     a task that raises asyncio.CancelledError("reason"), and one that raises
#            ValueError("reason"), in a client that is asked for the result in the usual way, and in
#            one that is awaited.
# Expected:  `Future.result` raises the error of the task, or one that has its text.
# Seen:      the usual client raises UnboundLocalError: "cannot access local variable 'result'",
#            without cause or context, and without the task's text. The awaited one raises a bare
#            CancelledError, as if the host's own coroutine had been cancelled. The future says
#            "error", and not "cancelled"; `Future.exception` has the task's own.
#
#                                  ValueError   CancelledError
#                result()          ValueError   UnboundLocalError
#                await             ValueError   CancelledError, though nobody cancelled
#                exception()       ValueError   CancelledError
#
# Here:      an executor that passes it on loses the message of the task, or takes it for its own
#            cancellation: docs/backends.md, RES-19.
#
# Exits with 0 if it is still so, and otherwise with 1.
set -euo pipefail
export PIP_DISABLE_PIP_VERSION_CHECK=1

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -q "dask==2026.8.0" "distributed==2026.8.0"

cat >"$work/script.py" <<'PYTHON'
import asyncio

from distributed import Client

OPTIONS = dict(processes=False, n_workers=1, threads_per_worker=1, dashboard_address=None)


def fails():
    raise ValueError("reason")


def cancels():
    raise asyncio.CancelledError("reason")


def told(error):
    return f"{type(error).__name__} {'reason' in str(error)}"


def asked(client, task):
    future = client.submit(task, pure=False)
    try:
        future.result(timeout=60)
    except BaseException as error:
        return f"{told(error)} {future.status} | {told(future.exception(timeout=60))}"


async def awaited(task):
    async with Client(asynchronous=True, **OPTIONS) as client:
        try:
            await client.submit(task, pure=False)
        except BaseException as error:
            return f"{told(error)} {asyncio.current_task().cancelling()}"


if __name__ == "__main__":
    with Client(**OPTIONS) as client:
        print(asked(client, fails))
        print(asked(client, cancels))
    print(asyncio.run(awaited(fails)))
    print(asyncio.run(awaited(cancels)))
PYTHON

seen=$(cd "$work" && "$work/venv/bin/python" "$work/script.py" 2>/dev/null)
printf '%s\n' "$seen"
[[ $seen == "ValueError True error | ValueError True
UnboundLocalError False error | CancelledError True
ValueError True 0
CancelledError True 0" ]]
