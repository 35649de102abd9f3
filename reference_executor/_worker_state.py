"""What a task can change in its process and the next one would notice.

Beside `_worker.py`, and like it without imports of its own package.
"""

import _signal  # type: ignore[import-not-found]
import _thread
import atexit
import os
import sys
from typing import Any

from _worker_messages import SHORT  # type: ignore[import-not-found]
from _worker_settings import Settings  # type: ignore[import-not-found]


class State:
    """What a task can change in its process and the next one would notice."""

    def __init__(self) -> None:
        make_subreaper()
        self.streams = streams()
        self.files = [identity(os.fstat(fd)) for fd in (0, 1, 2)]
        self.signals = signal_handlers()
        self.threads = _thread._count()
        self.limits = resource_limits()
        self.share = share_of_processors()
        self.settings = Settings()
        # From here on they are the modules of some task, which can have changed something.
        for name in ("resource", "signal"):
            sys.modules.pop(name, None)
        self.descriptor = lowest_free_descriptor()
        self.sizes = [0, 0]
        self.callbacks = -1
        self.begin()

    def begin(self) -> None:
        """From here on words for the end of the interpreter belong to the next task alone."""
        # Callbacks are called in reverse: first those of the task that ends it.
        if (count := _callbacks()) != self.callbacks or count < 0:
            atexit.register(silence)
            self.callbacks = _callbacks()

    def is_restored(self) -> bool:
        """Undo what can be undone, and return whether that was all there was to undo."""
        try:
            is_whole = self.settings.put_back()
            status = os.fstat(0), os.fstat(1), os.fstat(2)
            self.sizes = [entry.st_size for entry in status[1:]]
            for stream in (sys.stdout, sys.stderr):
                stream.reconfigure(newline="\n")  # type: ignore[union-attr]
            if (faulthandler := sys.modules.get("faulthandler")) is not None:
                faulthandler.cancel_dump_traceback_later()
            return (
                is_whole
                and streams() == self.streams
                and [identity(entry) for entry in status] == self.files
                and _thread._count() == self.threads
                and not has_children()
                and ("signal" not in sys.modules or self.has_its_signals())
                and self.has_its_descriptors()
                and share_of_processors() == self.share
                and ("resource" not in sys.modules or resource_limits() == self.limits)
            )
        except BaseException:
            return False

    def has_its_descriptors(self) -> bool:
        """Return False for many more than before, and for those of the output: others use it."""
        lowest = lowest_free_descriptor()
        return lowest == self.descriptor or (
            lowest - self.descriptor < 64
            and not any(is_output(fd, self.files) for fd in range(3, lowest))
        )

    def has_its_signals(self) -> bool:
        return (
            signal_handlers() == self.signals
            and _signal.set_wakeup_fd(-1) == -1
            and not any(sum(_signal.getitimer(timer)) for timer in TIMERS)
        )

    def printed(self) -> tuple[bytes, bytes] | None:
        """Take what the task has printed out of the files, or None where it is too much."""
        if not any(self.sizes):
            return b"", b""
        if sum(self.sizes) > SHORT:
            return None
        stdout, stderr = (taken(fd, size) for fd, size in zip((1, 2), self.sizes, strict=True))
        return stdout, stderr


def taken(fd: int, size: int) -> bytes:
    os.lseek(fd, 0, os.SEEK_SET)
    data = os.read(fd, size)
    os.ftruncate(fd, 0)
    os.lseek(fd, 0, os.SEEK_SET)
    return data


TIMERS = [
    getattr(_signal, name)
    for name in ("ITIMER_REAL", "ITIMER_VIRTUAL", "ITIMER_PROF")
    if hasattr(_signal, name)
]


def streams() -> list[tuple[Any, ...]]:
    """Return the standard streams, and what can be changed in them."""
    return [
        (
            stream,
            stream.closed,
            stream.encoding,
            stream.errors,
            stream.line_buffering,
            *vars(stream),
        )
        for stream in (sys.stdin, sys.stdout, sys.stderr)
    ] + [(sys.__stdin__, sys.__stdout__, sys.__stderr__)]


def signal_handlers() -> list[Any]:
    """Return what the signals of this process lead to, and which are blocked."""
    blocked = _signal.pthread_sigmask(_signal.SIG_BLOCK, ()) if os.name == "posix" else None
    return [blocked, *(_signal.getsignal(number) for number in range(1, _signal.NSIG))]


def resource_limits() -> list[tuple[int, int]]:
    try:
        import resource
    except ImportError:  # on Windows
        return []
    names = [name for name in dir(resource) if name.startswith("RLIMIT_")]
    return [resource.getrlimit(getattr(resource, name)) for name in names]


def share_of_processors() -> tuple[Any, ...]:
    """Return how nice this process is, and where it may run."""
    return (
        os.getpriority(os.PRIO_PROCESS, 0) if hasattr(os, "getpriority") else 0,
        os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None,
    )


def identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def is_output(fd: int, files: list[tuple[int, int]]) -> bool:
    try:
        return identity(os.fstat(fd)) in files[1:]
    except OSError:
        return False


def lowest_free_descriptor() -> int:
    fd = os.dup(0)
    os.close(fd)
    return fd


#: How many functions wait for the end of the interpreter, or else a negative number.
_callbacks = getattr(atexit, "_ncallbacks", lambda: -1)


def silence() -> None:
    """From here on what is printed is nobody's: the host has it from files that tasks share."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)


def has_children() -> bool:
    if os.name == "nt":
        return False
    try:
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
    except ChildProcessError:
        return False
    return True


def make_subreaper() -> None:
    """Become the parent of what a task's children leave behind, where the system knows of that."""
    if sys.platform == "linux":
        import ctypes

        set_child_subreaper = 36
        ctypes.CDLL(None).prctl(set_child_subreaper, 1, 0, 0, 0)
