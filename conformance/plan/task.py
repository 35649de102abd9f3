"""The one function that all tasks of the plan are; it does what its orders say."""

from __future__ import annotations

from typing import Any, Final, NoReturn

from ..instruments.probes import report_home
from .values import (
    arguments,
    difference,
    ends_attempt,
    make,
    message,
    named,
    printed,
    to_stderr,
)

#: The beginning of the error of a task that was not given what was sent to it.
GIVEN: Final = "what the task was given"


def act(address: Any, orders: dict[str, Any], /, *given: Any, **names: Any) -> Any:
    """Print, report to the suite, and end as the conditions say.

    Args:
        address: of a beacon, which answers `{"do": "return", "value": number}` with the number of
            the attempt, or holds it; None where tasks cannot reach one.
        orders: the conditions of the task, `errors`, which are the names of the classes that its
            failing attempts raise, and `own`, a text that no other task has.
        given: the positional arguments that the conditions name.
        names: the keyword arguments, likewise.
    """
    import builtins
    import sys

    own = orders["own"]
    text, errors = printed(orders["prints"], own), to_stderr(orders["prints"], own)
    say(orders["prints"], text, errors)
    number = 1 if address is None else report_home(address, own)
    wrong = difference(arguments(orders["arguments"], own), list(given), "args") or difference(
        named(orders["names"], own), names, "kwargs"
    )
    if wrong:
        raise AssertionError(f"{GIVEN}: {wrong}")
    # Whoever sees them after this task, another attempt or the host, sees it at once.
    for value in (*given, *names.values()):
        change(value)
    if orders["fails"]:
        # By this the output of one attempt is told from that of another.
        sys.stdout.write(text and ends_attempt(number, own))
        sys.stderr.write(errors and ends_attempt(number, own))
    if number <= orders["fails"]:
        kind = orders["errors"][(number - 1) % len(orders["errors"])]
        fail_in_a_known_line(f"{own} fails in attempt {number}", getattr(builtins, kind))
    end_as(orders["end"], message(orders["end"], own))
    return make(orders["result"], own)


def say(way: str, stdout: str, stderr: str) -> None:
    """Print to both streams, in the way that the condition names."""
    # What few tasks need is imported by them alone: each has an interpreter to itself, perhaps.
    import os
    import sys

    if way == "to the descriptor":
        os.write(1, stdout.encode())
        os.write(2, stderr.encode())
    elif way == "by a child process":
        import subprocess

        code = "import sys; sys.stdout.write(sys.argv[1]); sys.stderr.write(sys.argv[2])"
        subprocess.run([sys.executable, "-c", code, stdout, stderr], check=True)
    elif way == "by C code":
        import ctypes

        libc = ctypes.CDLL(None)
        libc.puts(stdout.removesuffix("\n").encode())
        libc.fflush(None)
        libc.write(2, stderr.encode(), len(stderr.encode()))
    elif stdout or stderr:
        sys.stdout.write(stdout)
        sys.stderr.write(stderr)
        sys.stdout.flush()
        sys.stderr.flush()


def change(value: Any) -> None:
    """Change everything in a value that can be changed, however deep."""
    if isinstance(value, dict):
        for inner in list(value.values()):
            change(inner)
        value["changed by the task"] = True
    elif isinstance(value, list | tuple):
        for inner in value:
            change(inner)
        if isinstance(value, list):
            value.append("changed by the task")
    elif isinstance(value, set):
        value.add("changed by the task")
    elif isinstance(value, bytearray):
        value.extend(b"changed by the task")
    elif type(value).__name__ == "SimpleNamespace":
        change(vars(value))


def fail_in_a_known_line(what_went_wrong: str, kind: type[Exception]) -> NoReturn:
    """Raise an error in the one line that is looked for in its traceback."""
    raise kind(what_went_wrong)


def end_as(end: str, message: str) -> None:
    """Raise, exit or die, where the end is none that returns."""
    import os
    import sys

    class TakesTwo(Exception):
        """Passes one of its two arguments on, so that it cannot be unpickled."""

        def __init__(self, message: str, code: int) -> None:
            super().__init__(message)
            self.code = code

    if end == "calls sys.exit(3)":
        sys.exit(3)
    if end == "ends its process":
        os._exit(3)
    if end == "raises an error of a class that cannot be unpickled":
        raise TakesTwo(message, 2)
    if end == "raises an error with a cause and a note":
        error = ValueError(message)
        error.add_note("a note")
        raise error from KeyError("the cause")
    if end == "raises a group of errors":
        raise ExceptionGroup(message, [ValueError("one"), KeyError("another")])
    if end == "raises an error without a message":
        raise ValueError
    if end == "raises a TimeoutError":
        raise TimeoutError(message)
    if end == "raises a ConnectionError":
        raise ConnectionError(message)
    if end == "raises an EOFError":
        raise EOFError(message)
    if end.startswith("raises"):
        fail_in_a_known_line(message, ValueError)
