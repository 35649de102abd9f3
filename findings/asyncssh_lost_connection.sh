#!/usr/bin/env bash
# asyncssh's `run(..., check=True)` returns, and raises nothing, when the connection is lost.
#
# Versions:  asyncssh 2.24.1, CPython 3.11.
# Input:     a server and a client in one process, on the loopback interface. A command prints a
#            line and works on; then the server drops the connection without a goodbye. The client
#            awaits the command with `check=True`. Beside it, a command that exits with 3.
# Expected:  `check=True` returns only where the command exited with 0: a lost connection raises
#            ConnectionLost or ProcessError, as the exit with 3 does, and as the next `run` on the
#            same connection does.
# Seen:      the lost command returns as one that is done, with the line that it had printed;
#            exit_status, exit_signal and returncode are None.
#
#                command exits with 3    ProcessError
#                connection lost         returned, exit_status None, 'working\n'
#                the next command        ChannelOpenError
#
# Here:      who reads the exit status as `if result.exit_status: failed` takes a lost machine for
#            success: docs/backends.md, and RES-09 finds those who take no result for success.
#
# Exits with 0 if it is still so, and otherwise with 1.
set -euo pipefail
export PIP_DISABLE_PIP_VERSION_CHECK=1

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -q "asyncssh==2.24.1"

cat >"$work/script.py" <<'PYTHON'
import asyncio

import asyncssh


class Server(asyncssh.SSHServer):
    def connection_made(self, connection):
        Server.connection = connection

    def begin_auth(self, username):
        return False


async def command(process):
    if process.command == "fail":
        process.exit(3)
        return
    process.stdout.write("working\n")
    await process.stdout.drain()
    Server.connection.abort()


async def told(running):
    try:
        result = await asyncio.wait_for(running, 60)
    except Exception as error:
        return type(error).__name__
    ended = (result.exit_status, result.exit_signal, result.returncode)
    return f"returned {ended} {result.stdout!r}"


async def main():
    key = asyncssh.generate_private_key("ssh-ed25519")
    server = await asyncssh.listen(
        "127.0.0.1", 0, server_factory=Server, server_host_keys=[key], process_factory=command
    )
    async with server:
        client = await asyncssh.connect(
            "127.0.0.1", server.get_port(), username="user", known_hosts=None, client_keys=None,
            config=None,
        )
        print(await told(client.run("fail", check=True)))
        print(await told(client.run("work", check=True)))
        print(await told(client.run("fail", check=True)))


asyncio.run(main())
PYTHON

seen=$("$work/venv/bin/python" "$work/script.py")
printf '%s\n' "$seen"
[[ $seen == $'ProcessError\nreturned (None, None, None) \'working\\n\'\nChannelOpenError' ]]
