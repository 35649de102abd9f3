"""What a process holds at one moment: threads, child processes, file descriptors, files."""

from __future__ import annotations

import contextlib
import gc
import importlib
import itertools
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

#: What is held, by kind: the name of each thing by what tells it from all others.
Held = Mapping[str, Mapping[object, str]]


def held(*, garbage: bool = False) -> Held:
    """What this process holds now, of every kind that can be counted on this system.

    Args:
        garbage: count what nobody refers to any more, too; to collect it takes its time.
    """
    if not garbage:
        gc.collect()
    counted: dict[str, Callable[[], Mapping[object, str] | None]] = {
        "threads": _threads,
        "child processes": _children,
        "file descriptors": _descriptors,
    }
    return {kind: found for kind, look in counted.items() if (found := look()) is not None}


def _threads() -> Mapping[object, str]:
    return {
        thread: thread.name
        for thread in threading.enumerate()
        # The suite's own; and Python's notes on threads that it did not start, which it keeps.
        if thread.is_alive() and not thread.name.startswith(("asyncexec-", "Dummy-"))
    }


def _children() -> Mapping[object, str] | None:
    parents = _parents()
    if parents is None:
        return None
    found: dict[object, str] = {}
    above = {os.getpid()}
    while above:
        above = {
            pid for pid, (parent, _) in parents.items() if parent in above and pid not in found
        }
        found.update({pid: parents[pid][1] for pid in above})
    return found


def _parents() -> Mapping[int, tuple[int, str]] | None:
    """The parent and the name of every process; None where nobody tells."""
    if sys.platform == "linux":
        return dict(_processes_of_linux())
    try:
        psutil = importlib.import_module("psutil")
    except ImportError:
        return None if os.name == "nt" else _processes_by_ps()
    return {
        process.pid: (process.info["ppid"] or 0, process.info["name"] or "")
        for process in psutil.process_iter(["ppid", "name"])
    }


def _processes_of_linux() -> Iterator[tuple[int, tuple[int, str]]]:
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        with contextlib.suppress(OSError):
            # pid (comm) state ppid ...; comm may hold anything.
            head, _, rest = (
                Path("/proc", name, "stat").read_text("utf-8", "replace").rpartition(")")
            )
            state, parent = rest.split()[:2]
            comm = head.partition("(")[2]
            yield int(name), (int(parent), f"{comm}, a zombie" if state == "Z" else comm)


def _processes_by_ps() -> Mapping[int, tuple[int, str]] | None:
    try:
        with subprocess.Popen(
            ["ps", "-A", "-o", "pid=,ppid=,comm="], stdout=subprocess.PIPE, text=True
        ) as ps:
            listed, _ = ps.communicate()
    except OSError:
        return None
    rows = [line.split(None, 2) for line in listed.splitlines()]
    found = {int(row[0]): (int(row[1]), row[2]) for row in rows if len(row) == 3}
    found.pop(ps.pid, None)
    return found


def _descriptors() -> Mapping[object, str] | None:
    # To list the folder takes a descriptor, which is closed again by the time of the look.
    try:
        numbers = os.listdir("/dev/fd")
    except OSError:
        return None
    found: dict[object, str] = {}
    for number in numbers:
        with contextlib.suppress(OSError):
            target = os.readlink(f"/dev/fd/{number}")
            # A number is used again; that of a socket or a pipe is not, and is nobody's business.
            found[number, target] = target.partition(":[")[0]
    return found if found else dict.fromkeys(numbers, "a descriptor")


def files_below(*folders: Path, most: int | None = None) -> set[str]:
    """Every file and folder in these folders, or the first so many."""
    found = (
        os.path.join(above, name)
        for folder in folders
        for above, below, files in os.walk(folder)
        for name in (*below, *files)
    )
    return set(itertools.islice(found, most))
