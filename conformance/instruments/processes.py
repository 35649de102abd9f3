"""The processes of this machine, and which one has started which."""

from __future__ import annotations

import contextlib
import importlib
import os
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path


def is_started_by(pid: int, others: Collection[int]) -> bool:
    """Whether one of `others` has started a process, or whoever did.

    Those above this process do not count, nor the first process of all: they take in orphans.
    """
    known = parents() or {}
    adopting = {1, *_above(os.getpid(), known)}
    return any(each in others and each not in adopting for each in _above(pid, known))


def _above(pid: int, known: Mapping[int, tuple[int, str]]) -> Iterator[int]:
    while pid in known and known[pid][0]:
        pid = known[pid][0]
        yield pid


def parents() -> Mapping[int, tuple[int, str]] | None:
    """The parent and the name of every process, by its number; None where nobody tells."""
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
