"""Ordinary things that a function does, and that do not always work within a task.

The functions here are sent to tasks, as those of `probes`.
"""

from __future__ import annotations

from typing import Any, Final

#: What writes below Python, and how; neighbours are done by one task in `quick`.
WRITES: Final = (
    ("bytes that are no text, without a line end", "what looks like an answer"),
    ("by a child process", "by C code"),
    ("a megabyte to each", "lines from a thread that goes on"),
)

#: The start methods of multiprocessing.
METHODS: Final = ("fork", "forkserver", "spawn")

_MUCH: Final = 1 << 20


def write_below(word: str, *ways: str) -> str:
    """Write to the descriptors 1 and 2 in these ways, and return the word."""
    import os
    import sys

    def write(data: bytes) -> None:
        for descriptor in (2, 1):
            rest = data
            while rest:
                rest = rest[os.write(descriptor, rest) :]

    for way in ways:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        if way == "bytes that are no text, without a line end":
            write(b"\xff\xfe\x00 no text \x80\x04")
        elif way == "what looks like an answer":
            import pickle

            forged = "forged"
            for answer in (forged, ("ok", forged, None), ("result", forged), (True, forged)):
                data = pickle.dumps(answer)
                write(data)
                write(len(data).to_bytes(8, "little") + data)
                write(len(data).to_bytes(4, "big") + data)
            write(b'\n{"status": "COMPLETED", "result": "forged", "ok": true}\n')
            write(b"\nSTDOUT\nRESULT: forged\n---END---\n\x00\x00\x00\x00\x00\x00\x00\x00RESULT")
        elif way == "by a child process":
            os.system("echo words of a child process")
            os.system("echo words of a child process 1>&2")
        elif way == "by C code":
            _write_in_c()
        elif way == "a megabyte to each":
            write(b"much " * (_MUCH // 5))
        elif way == "lines from a thread that goes on":
            import threading
            import time

            def go_on() -> None:
                for number in range(200):
                    write(f"line {number}\n".encode())
                    time.sleep(0.001)

            threading.Thread(target=go_on, daemon=True).start()
    return word


def _write_in_c() -> None:
    import os

    if os.name != "posix":
        return
    try:
        import ctypes

        library = ctypes.CDLL(None)
        library.puts(b"words of C code")
        library.fflush(None)
    except (ImportError, OSError, AttributeError):
        pass


def use_asyncio(word: str) -> str:
    """Return the word, by way of an event loop of the task's own."""
    import asyncio

    async def later() -> str:
        await asyncio.sleep(0)
        return await asyncio.to_thread(str, word)

    return asyncio.run(later())


#: What a child process does; a function that travels by value could not be sent to one.
_CHILD: Final = """
from importlib.machinery import PathFinder

found = {}
for name in names:
    spec = PathFinder.find_spec(name)
    if spec is not None:
        found[name] = spec.origin or str(list(spec.submodule_search_locations or ()))
send(found)
"""


def start_child(method: str, patience: float) -> str:
    """Start a child process by this method; returns what is wrong with it, or nothing.

    It imports what the task imports: modules that the task has, and those that lie beside the
    script of the worker, are looked up in both. Where the system has no such method, or none that
    is safe, nothing is wrong.
    """
    import multiprocessing
    import os
    import sys
    import tempfile

    note = os.environ.get("ASYNCEXEC_STARTS_CHILD")
    if note and getattr(multiprocessing.current_process(), "_inheriting", False):
        # This is such a child, which loads the script of the worker, which runs the task.
        with open(note, "a", encoding="utf-8") as file:
            file.write("again")
        return ""
    known = multiprocessing.get_all_start_methods()
    if method not in known or (method, sys.platform) == ("fork", "darwin"):
        return ""
    names = [
        name
        for name, module in list(sys.modules.items())
        if "." not in name and not name.startswith("_") and getattr(module, "__file__", None)
    ]
    script = getattr(sys.modules.get("__main__"), "__file__", None) or ""
    try:
        beside = os.listdir(os.path.dirname(os.path.abspath(script))) if script else []
    except OSError:
        beside = []
    names += [entry.removesuffix(".py") for entry in beside if entry.endswith(".py")]
    context: Any = multiprocessing.get_context(method)
    ours, its = context.Pipe(duplex=False)
    child = context.Process(
        target=exec, args=(_CHILD.replace("send(", "say.send("), {"say": its, "names": names})
    )
    descriptor, note = tempfile.mkstemp()
    os.environ["ASYNCEXEC_STARTS_CHILD"] = note
    try:
        child.start()
        its.close()
        if not ours.poll(patience):
            child.kill()
            return f"it had not begun after {patience:g} s"
        there = ours.recv()
    except EOFError:
        child.join()
        return f"it ended with the exit code {child.exitcode} before it began"
    finally:
        ours.close()
        os.environ.pop("ASYNCEXEC_STARTS_CHILD", None)
        is_run_again = os.fstat(descriptor).st_size > 0
        os.close(descriptor)
        os.unlink(note)
    child.join(patience)
    if is_run_again:
        return "it ran the whole task again, when it loaded the script of the worker"
    here: dict[str, str] = {}
    exec(_CHILD, {"send": here.update, "names": names})
    for name, place in here.items():
        if there.get(name) != place:
            return f"`import {name}` is {place} in the task, and {there.get(name)} in its child"
    return ""


def read_input(patience: float) -> str:
    """Read the standard input in every way there is; returns what is wrong, or nothing."""
    import os
    import sys
    import threading

    late = f"had come to no end after {patience:g} s"
    if os.name == "posix":
        import select

        # Nobody must be left waiting in a read that never ends.
        try:
            ready = select.select([0], [], [], patience)[0]
            data = os.read(0, 1 << 16) if ready else b""
        except (OSError, ValueError) as error:
            return f"its descriptor 0 cannot be read: {error!r}"
        if not ready:
            return f"`os.read(0, 1)` {late}"
        if data:
            return f"`os.read(0, 65536)` gave {len(data)} bytes, which nobody has sent to it"
    ends: list[str] = []

    def read() -> None:
        for name in ("read", "input"):
            try:
                ends.append(repr(sys.stdin.read() if name == "read" else input()))
            except BaseException as error:
                ends.append(repr(error))

    reading = threading.Thread(target=read, daemon=True)
    reading.start()
    reading.join(patience)
    if len(ends) < 2:
        return f"`{('sys.stdin.read()', 'input()')[len(ends)]}` {late}"
    if ends[0] != "''":
        return f"`sys.stdin.read()` ended in {ends[0]}"
    return "" if ends[1].startswith("EOFError") else f"`input()` ended in {ends[1]}"
