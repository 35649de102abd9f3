"""The functions that checks send to `run`.

Every function here imports what it needs inside, for it is carried by value to workers that have
never heard of this package: see `by_value`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any


def call(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Call it: the worker's half of Covalent's partial."""
    return function(*args, **kwargs)


def echo(value: Any) -> Any:
    """Give back what was given."""
    return value


def look_around(
    folder: str, marker: str, address: tuple[str, int, str], mailbox: str
) -> dict[str, Any]:
    """Find out where this task runs and what it can reach.

    Args:
        folder: where the suite has left a file with this marker.
        address: of a `NetworkBeacon`.
        mailbox: the address of a `Mailbox`, tried where the other is out of reach; "" for none.
    """
    import json
    import os
    import socket
    import sys
    import threading

    print(f"{marker} out", flush=True)
    print(f"{marker} err", file=sys.stderr, flush=True)
    shares_files = False
    try:
        with open(os.path.join(folder, "from-suite"), encoding="utf-8") as file:
            shares_files = file.read() == marker
        with open(os.path.join(folder, "from-task"), "w", encoding="utf-8") as file:
            file.write(marker)
    except OSError:
        pass
    reaches_beacon = True
    try:
        with socket.create_connection((address[0], address[1]), timeout=10) as connection:
            hello = {"token": address[2], "pid": os.getpid(), "thread": threading.get_ident()}
            connection.sendall(json.dumps(hello).encode() + b"\n")
            connection.settimeout(60)
            connection.recv(1)
    except OSError:
        reaches_beacon = False
    reaches_mailbox = bool(mailbox) and shares_files and not reaches_beacon
    if reaches_mailbox:
        try:
            report_home(mailbox)
        except (OSError, ImportError):
            reaches_mailbox = False
    return {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "shares_files": shares_files,
        "reaches_beacon": reaches_beacon,
        "reaches_mailbox": reaches_mailbox,
    }


def report_home(address: tuple[str, int, str] | str, label: str = "", *values: Any) -> Any:
    """Report to a beacon and do what it says, command by command, until one ends the task.

    Commands: `{"do": "return", "value": 1}`, `{"do": "raise", "type": "ValueError",
    "message": str}`, `{"do": "print", "text": str, "to": "stdout" | "stderr"}`,
    `{"do": "exit", "code": int}` (the worker dies), `{"do": "answer"}` (nothing but a sign of
    life, with "ack"), `{"do": "spin"}` (pure CPU work until the next command), `{"do":
    "ignore_sigterm"}` (never where the task runs in the suite's own process; undone when the task
    ends), and `{"do": "spawn", "code": str}` (a child process, see `grandchild`).

    Between commands it is held in a blocking C call. A command with `"ack": true` is answered with
    a line `{"did": ..., "failed": str}` when it is done, `spin` when it begins; "failed" says why
    it could not be done, or is empty.

    The address says over which wire: that of a `NetworkBeacon`, or of a `Mailbox`, which see. It
    is told literals of Python and says JSON, made by hand: to import `json`, `socket` and
    `threading` takes a fresh worker half as long again as all of its start.
    """
    import _socket
    import _thread
    import builtins
    import contextlib
    import os
    import select
    import sys
    import time

    hello = {"pid": os.getpid(), "thread": _thread.get_ident(), "label": label}

    def written(message: dict[str, Any]) -> bytes:
        parts = []
        for name, value in message.items():
            if isinstance(value, str):
                units = value.encode("utf-16-be", "surrogatepass").hex()
                value = "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
                value = f'"{value}"'
            parts.append(f'"{name}": {value}')
        return f"{{{', '.join(parts)}}}\n".encode()

    # Of a wire: how to say something, how to wait for a command, and whether one has come.
    def connected(host: str, port: int, token: str) -> Any:
        line = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
        undo.callback(line.close)
        line.settimeout(60)
        line.connect((host, port))
        line.settimeout(None)
        ahead = b""

        def say(message: dict[str, Any]) -> None:
            line.sendall(written(message))

        def hear() -> bytes:
            nonlocal ahead
            while b"\n" not in ahead:
                came = line.recv(1 << 16)
                if not came:
                    return b""
                ahead += came
            order, _, ahead = ahead.partition(b"\n")
            return order

        say({**hello, "token": token})
        return say, hear, lambda: ahead or select.select([line], [], [], 0)[0]

    def posted(folder: str) -> Any:
        import fcntl

        name, number, letter = os.urandom(8).hex(), 0, None
        path = os.path.join(folder, name)
        said = undo.enter_context(open(f"{path}.new", "xb", buffering=0))  # noqa: SIM115
        fcntl.flock(said, fcntl.LOCK_EX)
        # Not by closing it alone: a process that is just being forked holds it, too.
        undo.callback(fcntl.flock, said, fcntl.LOCK_UN)

        def say(message: dict[str, Any]) -> None:
            said.write(written(message))

        def delivered(how: int) -> Any:
            nonlocal letter
            if letter is None:
                letter = open(f"{path}.{number}", "rb", buffering=0)  # noqa: SIM115
            try:
                fcntl.flock(letter, fcntl.LOCK_SH | how)
            except BlockingIOError:
                return None
            return letter

        def hear() -> Any:
            nonlocal number, letter
            with delivered(0) as written:
                order = written.read()
            number, letter = number + 1, None
            return order

        say(hello)
        os.rename(f"{path}.new", f"{path}.said")
        with open(os.path.join(folder, "open"), "rb", buffering=0) as suite:
            # Only a listing shows what somebody else has put there, where the folder is a network's
            while f"{name}.0" not in os.listdir(folder):
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(suite, fcntl.LOCK_SH | fcntl.LOCK_NB)
                    raise ConnectionRefusedError("the suite does not listen any more")
                time.sleep(0.002)
        return say, hear, lambda: delivered(fcntl.LOCK_NB)

    with contextlib.ExitStack() as undo:
        say, hear, called = posted(address) if isinstance(address, str) else connected(*address)
        while True:
            failed = ""
            order = hear()
            if not order:
                raise ConnectionError("the suite hung up")
            command = eval(order, {"__builtins__": {}})
            if command["do"] == "return":
                return command["value"]
            if command["do"] == "raise":
                raise getattr(builtins, command["type"])(command["message"])
            if command["do"] == "print":
                stream = sys.stderr if command.get("to") == "stderr" else sys.stdout
                print(command["text"], end="", file=stream, flush=True)
            if command["do"] == "exit":
                os._exit(command["code"])
            if command["do"] == "ignore_sigterm":
                import signal

                try:
                    former = signal.signal(signal.SIGTERM, signal.SIG_IGN)
                    undo.callback(signal.signal, signal.SIGTERM, former)
                except ValueError as error:  # not the main thread of its process
                    failed = str(error)
            if command["do"] == "spawn":
                import subprocess

                nowhere = subprocess.DEVNULL
                subprocess.Popen(
                    [sys.executable, "-c", command["code"]],
                    stdin=nowhere,
                    stdout=nowhere,
                    stderr=nowhere,
                )
            if command.get("ack"):
                say({"did": command["do"], "failed": failed})
            if command["do"] == "spin":
                while not called():
                    pass


def grandchild(address: tuple[str, int, str] | str, label: str) -> dict[str, str]:
    """The command by which a task starts a child process that reports to the beacon itself.

    To the beacon it is one more attempt, with this label, and obeys the same commands.
    """
    code = f"{inspect.getsource(report_home)}\nreport_home({address!r}, {label!r})\n"
    return {"do": "spawn", "code": f"from __future__ import annotations\n{code}"}
