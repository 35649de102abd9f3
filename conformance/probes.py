"""The functions that checks send to `run`, and how they travel.

Every function here stands alone: it imports what it needs inside, for it is carried by value to
workers that have never heard of this package.
"""

from __future__ import annotations

import contextlib
import inspect
import pickle
import platform
import sys
from collections.abc import Callable
from typing import Any

import cloudpickle


class ByValue:
    """A callable that every pickler carries by value, and that is a plain function on arrival.

    Published executors pickle what they are given with cloudpickle, with plain pickle, or ask it
    for `python_version` as Covalent's own transportable objects have it. All of them can take
    this; the worker needs nothing but cloudpickle.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self.__name__ = getattr(function, "__name__", type(function).__name__)
        self.__doc__ = getattr(function, "__doc__", None)
        self.python_version = platform.python_version()

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        return self._function(*args, **kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        return pickle.loads, (dumps_by_value(self._function),)

    def __repr__(self) -> str:
        return f"<task {self.__name__}>"


def dumps_by_value(function: Callable[..., Any]) -> bytes:
    """Pickle a function of this suite so that the worker need not have the suite."""
    module = sys.modules.get(getattr(function, "__module__", None) or "")
    if module is None or module.__name__.partition(".")[0] != __name__.partition(".")[0]:
        return bytes(cloudpickle.dumps(function))
    with contextlib.ExitStack() as stack:
        if module.__name__ not in cloudpickle.list_registry_pickle_by_value():
            cloudpickle.register_pickle_by_value(module)
            stack.callback(cloudpickle.unregister_pickle_by_value, module)
        return bytes(cloudpickle.dumps(function))


def call(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Call it: the worker's half of Covalent's partial."""
    return function(*args, **kwargs)


def echo(value: Any) -> Any:
    """Give back what was given."""
    return value


def look_around(folder: str, marker: str, address: tuple[str, int, str]) -> dict[str, Any]:
    """Find out where this task runs and what it can reach."""
    import json
    import os
    import socket
    import sys

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
            connection.sendall(json.dumps({"token": address[2]}).encode() + b"\n")
            connection.settimeout(60)
            connection.recv(1)
    except OSError:
        reaches_beacon = False
    return {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "shares_files": shares_files,
        "reaches_beacon": reaches_beacon,
    }


def report_home(address: tuple[str, int, str], label: str = "", *values: Any) -> Any:
    """Connect to a beacon and do what it says, command by command, until one ends the task.

    Commands: `{"do": "return", "value": json}`, `{"do": "raise", "type": "ValueError",
    "message": str}`, `{"do": "print", "text": str, "to": "stdout" | "stderr"}`,
    `{"do": "exit", "code": int}` (the worker dies), `{"do": "answer"}` (nothing but a sign of
    life, with "ack"), `{"do": "spin"}` (pure CPU work until the next command), `{"do":
    "ignore_sigterm"}` (never where the task runs in the suite's own process; undone when the task
    ends), and `{"do": "spawn", "code": str}` (a child process, see `grandchild`).

    Between commands it is held in a blocking C call. A command with `"ack": true` is answered with
    a line `{"did": ..., "failed": str}` when it is done, `spin` when it begins; "failed" says why
    it could not be done, or is empty.
    """
    import builtins
    import contextlib
    import json
    import os
    import select
    import signal
    import socket
    import subprocess
    import sys

    line = socket.create_connection((address[0], address[1]), timeout=60)
    line.settimeout(None)
    with (
        contextlib.ExitStack() as undo,
        line,
        # Not one file for both: to write to it throws away the commands that it has read ahead.
        line.makefile("r", encoding="utf-8", newline="\n") as orders,
        line.makefile("w", encoding="utf-8", newline="\n") as wire,
    ):
        wire.write(json.dumps({"token": address[2], "pid": os.getpid(), "label": label}) + "\n")
        wire.flush()
        while True:
            failed = ""
            order = orders.readline()
            if not order:
                raise ConnectionError("the suite hung up")
            command = json.loads(order)
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
                try:
                    former = signal.signal(signal.SIGTERM, signal.SIG_IGN)
                    undo.callback(signal.signal, signal.SIGTERM, former)
                except ValueError as error:  # not the main thread of its process
                    failed = str(error)
            if command["do"] == "spawn":
                nowhere = subprocess.DEVNULL
                subprocess.Popen(
                    [sys.executable, "-c", command["code"]],
                    stdin=nowhere,
                    stdout=nowhere,
                    stderr=nowhere,
                )
            if command.get("ack"):
                wire.write(json.dumps({"did": command["do"], "failed": failed}) + "\n")
                wire.flush()
            if command["do"] == "spin":
                while not select.select([line], [], [], 0)[0]:
                    pass


def grandchild(address: tuple[str, int, str], label: str) -> dict[str, str]:
    """The command by which a task starts a child process that reports to the beacon itself.

    To the beacon it is one more attempt, with this label, and obeys the same commands.
    """
    code = f"{inspect.getsource(report_home)}\nreport_home({tuple(address)!r}, {label!r})\n"
    return {"do": "spawn", "code": f"from __future__ import annotations\n{code}"}
