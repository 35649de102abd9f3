"""What a task can change in its process and the next one would notice.

Beside `_worker.py`, and like it without imports of its own package.
"""

import _signal  # type: ignore[import-not-found]
import _thread
import os
import sys
from typing import Any

from _worker_messages import SHORT  # type: ignore[import-not-found]


class State:
    """What a task can change in its process and the next one would notice."""

    def __init__(self) -> None:
        make_subreaper()
        self.streams = streams()
        self.files = [os.fstat(fd).st_ino for fd in (0, 1, 2)]
        self.signals = signal_handlers()
        self.environment = environment()
        self.directory = os.getcwd()
        self.umask = os.umask(0o077)
        os.umask(self.umask)
        self.threads = _thread._count()
        self.limits = resource_limits()
        # From here on they are the modules of some task, which can have changed something.
        for name in ("resource", "signal"):
            sys.modules.pop(name, None)
        self.descriptor = lowest_free_descriptor()
        self.sizes = [0, 0]

    def is_restored(self) -> bool:
        """Undo what can be undone, and return whether that was all there was to undo."""
        try:
            status = os.fstat(0), os.fstat(1), os.fstat(2)
            os.umask(self.umask)
            if environment() != self.environment:
                os.environ.clear()
                for name, value in self.environment.items():
                    os.environ[os.fsdecode(name)] = os.fsdecode(value)
            if os.getcwd() != self.directory:
                os.chdir(self.directory)
            self.sizes = [entry.st_size for entry in status[1:]]
            for stream in (sys.stdout, sys.stderr):
                stream.reconfigure(newline="\n")  # type: ignore[union-attr]
            if (faulthandler := sys.modules.get("faulthandler")) is not None:
                faulthandler.cancel_dump_traceback_later()
            return (
                streams() == self.streams
                and [entry.st_ino for entry in status] == self.files
                and _thread._count() == self.threads
                and not has_children()
                and ("signal" not in sys.modules or self.has_its_signals())
                and lowest_free_descriptor() - self.descriptor < 64
                and ("resource" not in sys.modules or resource_limits() == self.limits)
            )
        except BaseException:
            return False

    def has_its_signals(self) -> bool:
        return signal_handlers() == self.signals and not any(
            sum(_signal.getitimer(timer)) for timer in TIMERS
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
    ]


def signal_handlers() -> list[Any]:
    """Return what the signals of this process lead to, and which are blocked."""
    blocked = _signal.pthread_sigmask(_signal.SIG_BLOCK, ()) if os.name == "posix" else None
    return [blocked, *(_signal.getsignal(number) for number in range(1, _signal.NSIG))]


def environment() -> dict[Any, Any]:
    # The mapping behind os.environ, since asking os.environ itself decodes each value anew.
    return dict(getattr(os.environ, "_data", os.environ))


def resource_limits() -> list[tuple[int, int]]:
    try:
        import resource
    except ImportError:  # on Windows
        return []
    names = [name for name in dir(resource) if name.startswith("RLIMIT_")]
    return [resource.getrlimit(getattr(resource, name)) for name in names]


def lowest_free_descriptor() -> int:
    fd = os.dup(0)
    os.close(fd)
    return fd


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
