"""What a process holds at one moment: threads, child processes, file descriptors, files."""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from .processes import parents

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
    known = parents()
    if known is None:
        return None
    found: dict[object, str] = {}
    above = {os.getpid()}
    while above:
        above = {pid for pid, (parent, _) in known.items() if parent in above and pid not in found}
        found.update({pid: known[pid][1] for pid in above})
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
