"""What ties a worker to its host: the channel they talk by, and a life that ends with the host's.

Beside `_worker.py`, and like it without imports of its own package.
"""

import _signal  # type: ignore[import-not-found]
import _thread
import io
import os


def connected(lifeline: int, control: int, *queue: int) -> tuple[io.RawIOBase, io.RawIOBase]:
    """Take over the descriptors that the host has handed down, and keep them to this process.

    Returns what tasks are read from, and what the host is answered by.
    """
    descriptors = (lifeline, control, *queue)
    for fd in descriptors:
        os.set_inheritable(fd, False)
    os.register_at_fork(after_in_child=lambda: [os.close(fd) for fd in descriptors])  # type: ignore[func-returns-value]
    end_with_host(lifeline)
    # Closed by the end of the process alone: the host takes the one for the other.
    files = [io.FileIO(fd, "r+", closefd=False) for fd in (control, *queue)]
    return files[-1], files[0]


def connected_by_stdin() -> tuple[io.RawIOBase, io.RawIOBase]:
    """Take over the socket whose description comes by standard input, which is the lifeline."""
    import socket

    lifeline = os.dup(0)
    null = os.open(os.devnull, os.O_RDONLY)
    length = int.from_bytes(os.read(lifeline, 8), "little")
    control = socket.fromshare(os.read(lifeline, length))  # type: ignore[attr-defined,unused-ignore]
    os.dup2(null, 0)
    os.close(null)
    _thread.start_new_thread(watch, (lifeline,))
    file = control.makefile("rwb", buffering=0)
    return file, file  # type: ignore[return-value,unused-ignore]


def hear_signals() -> None:
    """Let signals have the effect they have in a script, whatever the host ignores or blocks."""
    for number in _signal.valid_signals():
        # Those two are ignored by Python itself.
        if _signal.getsignal(number) == _signal.SIG_IGN and number not in IGNORED:
            is_interrupt = number == _signal.SIGINT
            _signal.signal(number, _signal.default_int_handler if is_interrupt else _signal.SIG_DFL)
    if os.name == "posix":
        _signal.pthread_sigmask(_signal.SIG_SETMASK, ())


IGNORED = [getattr(_signal, name, None) for name in ("SIGPIPE", "SIGXFSZ")]


def end_with_host(lifeline: int) -> None:
    """Have this process and its group killed when the host ends, however that comes about.

    The host holds the other end of `lifeline`, and nobody else does. Linux sends the signal
    itself, whatever the task is doing; elsewhere a thread waits for the end.
    """
    import fcntl

    if not hasattr(fcntl, "F_SETSIG"):
        _thread.start_new_thread(watch, (lifeline,))
        return
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(lifeline, fcntl.F_SETSIG, _signal.SIGKILL)
    fcntl.fcntl(lifeline, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    try:
        os.read(lifeline, 1)
    except BlockingIOError:
        return
    end_group()  # the host has ended before it could be noticed


def watch(lifeline: int) -> None:
    os.read(lifeline, 1)
    end_group()


def end_group() -> None:
    if os.name == "posix":
        os.killpg(0, _signal.SIGKILL)
    os._exit(1)
