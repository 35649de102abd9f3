"""Finds what blocks the event loop: calls on its thread, for something that only it can bring.

Within `deadlocks()`, what the well-known blocking calls wait for is made to depend on the event
loop: a function that is handed to a pool of threads begins when the loop has had a turn, and a
call that sleeps, or waits for a process or a connection, would go on when it has. On other threads
that is at once. On the loop's own thread nobody is left to give that turn: it is a deadlock, and
the rescue from it is the verdict.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import functools
import inspect
import ipaddress
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import FrameType
from typing import Any
from unittest import mock

from . import patience
from .audit import audited, line_outside_the_library
from .history import Method, Replacement

_inside: ContextVar[str] = ContextVar("asyncexec_inside", default="")
_of_task: ContextVar[str] = ContextVar("asyncexec_of_task", default="")
_host_loop: ContextVar[asyncio.AbstractEventLoop | None] = ContextVar(
    "asyncexec_host_loop", default=None
)

#: Bytes that are worth a thread: whoever writes as many keeps the loop waiting for a disk.
LARGE = 1 << 20

_LOOK_UPS = {
    "socket.getaddrinfo": 0,
    "socket.gethostbyname": 0,
    "socket.gethostbyaddr": 0,
}


def task_of_this_call() -> str:
    """How the task ends for which this line runs, as `Deadlocks.calling` was told; or nothing."""
    return _of_task.get()


@dataclass(frozen=True, slots=True)
class Deadlock:
    """One wait of a method on the event loop's thread."""

    method: str
    call: str
    where: str
    #: How the task ends, where several run at once.
    task: str = ""

    def __str__(self) -> str:
        return f"in {self.method} the event loop is blocked at {self.where}; it calls {self.call}"


@dataclass(slots=True)
class Deadlocks:
    """What was found within one block."""

    found: list[Deadlock] = field(default_factory=list)

    @contextlib.contextmanager
    def calling(self, method: str, task: str = "") -> Iterator[None]:
        """Within this block of a coroutine, whatever blocks this very loop is done by `method`.

        Args:
            task: how the task ends that it is about.
        """
        former = _of_task.get(), _host_loop.get()
        _of_task.set(task)
        _host_loop.set(asyncio.get_running_loop())
        try:
            with _in(method):
                yield
        finally:
            _of_task.set(former[0])
            _host_loop.set(former[1])

    def within(self, method: Method) -> Replacement:
        """A replacement that calls the method itself, and looks at what it waits for."""

        def replacement(original: Callable[..., Any], _executor: Any, *args: Any, **kw: Any) -> Any:
            with _in(method):
                value = original(*args, **kw)
            if not inspect.isawaitable(value):
                return value

            async def awaited() -> Any:
                with _in(method):
                    return await value

            return awaited()

        return replacement

    def note(self, call: str, frame: FrameType | None) -> None:
        """Keep that `call` was made on the loop's thread."""
        where = line_outside_the_library(frame)
        self.found.append(Deadlock(_inside.get(), call, where, _of_task.get()))

    def hear(self, event: str, args: tuple[Any, ...]) -> None:
        """Look at what the interpreter tells of: names that are looked up, files that are written.

        It is called on the thread that does so.
        """
        if event in _LOOK_UPS:
            name = args[_LOOK_UPS[event]]
            if _blocks_a_loop() and _is_a_name(name):
                self.note(f"{event}({name!r})", sys._getframe(2))
        elif event == "open" and isinstance(args[0], str | bytes | os.PathLike):
            flags = args[2] if isinstance(args[2], int) else 0
            if flags & (os.O_WRONLY | os.O_RDWR) and _blocks_a_loop():
                path = os.path.abspath(os.fsdecode(args[0]))
                before = 0 if flags & os.O_TRUNC else _size(path)
                self._measure(path, before, sys._getframe(2))

    def _measure(self, path: str, before: int, frame: FrameType | None) -> None:
        """See in the loop's next turn whether much was written to a file that is opened now.

        A small one is no matter, and who leaves the writing to a thread has not begun by then.
        """
        method, task, where = _inside.get(), _of_task.get(), line_outside_the_library(frame)

        def look() -> None:
            written = _size(path) - before
            if written >= LARGE:
                call = f"open, and writes {written:,} bytes to that file"
                self.found.append(Deadlock(method, call, where, task))

        asyncio.get_running_loop().call_soon(look)


@contextlib.contextmanager
def deadlocks(executor: Any) -> Iterator[Deadlocks]:
    """Within this block, look at what methods wait for that are called through `within`."""
    seen = Deadlocks()
    gates: list[threading.Event] = []

    def rescue() -> None:
        for gate in gates:
            gate.set()

    with contextlib.ExitStack() as stack:
        replace = functools.partial(_replace, stack, executor)
        sleep, system = time.sleep, os.system

        def sleeping(seconds: float) -> None:
            if not _blocks_a_loop() or not seconds > 0:
                return sleep(seconds)
            return seen.note("time.sleep", sys._getframe(1))

        def calling(command: Any) -> int:
            if _blocks_a_loop():
                seen.note("os.system", sys._getframe(1))
            return system(command)

        replace(time, "sleep", sleeping)
        replace(os, "system", calling)
        for name in ("wait", "communicate"):
            replace(subprocess.Popen, name, _waiting_for_a_process(seen, name))
        replace(socket.socket, "connect", _connecting(seen))
        for name in ("recv", "recv_into", "accept"):
            replace(socket.socket, name, _reading(seen, name))
        for name in ("result", "exception"):
            replace(concurrent.futures.Future, name, _waiting_for_a_future(seen, name, rescue))
        replace(concurrent.futures, "wait", _waiting_for_futures(seen, rescue))
        pool = concurrent.futures.ThreadPoolExecutor
        replace(pool, "submit", _submitting(seen, gates))
        if hasattr(os, "waitid"):
            replace(os, "waitpid", _waiting_for_a_child(seen))
        stack.enter_context(audited(seen.hear))
        try:
            yield seen
        finally:
            rescue()


@contextlib.contextmanager
def nobody_sleeps_on_a_loop(executor: Any) -> Iterator[None]:
    """Within this block, who sleeps on the thread of an event loop is awake again at once.

    A rule of its own tells of that; the others need not wait for it, nor all tasks at once.
    """
    sleep = time.sleep

    def sleeping(seconds: float) -> None:
        sleep(0 if asyncio._get_running_loop() is not None and seconds > 0 else seconds)

    with contextlib.ExitStack() as stack:
        _replace(stack, executor, time, "sleep", sleeping)
        yield


def _replace(
    stack: contextlib.ExitStack, executor: Any, owner: Any, name: str, wrapper: Any
) -> None:
    original = getattr(owner, name)
    wrapper = functools.wraps(original)(wrapper)
    stack.enter_context(mock.patch.object(owner, name, wrapper))
    # Who has imported the name has it in a module of its own.
    for module in {sys.modules.get(cls.__module__) for cls in type(executor).__mro__}:
        for own, value in list(vars(module or object).items()):
            if value is original and module is not owner:
                stack.enter_context(mock.patch.object(module, own, wrapper))


def _waiting_for_a_process(seen: Deadlocks, name: str) -> Callable[..., Any]:
    original = getattr(subprocess.Popen, name)

    def wrapper(process: Any, *args: Any, **kwargs: Any) -> Any:
        limit = kwargs.get("timeout", args[-1] if args and name == "wait" else None)
        if process.returncode is None and limit != 0 and _blocks_a_loop():
            seen.note(f"subprocess.Popen.{name}", sys._getframe(1))
        return original(process, *args, **kwargs)

    return wrapper


def _waiting_for_a_child(seen: Deadlocks) -> Callable[..., Any]:
    original = os.waitpid

    def wrapper(pid: int, options: int) -> Any:
        frame = sys._getframe(1)
        # A child that could not even be executed is waited for by its own module.
        ours = frame.f_globals.get("__name__") != "subprocess"
        if ours and not options & os.WNOHANG and _blocks_a_loop() and not _has_ended(pid):
            seen.note("os.waitpid", frame)
        return original(pid, options)

    return wrapper


def _has_ended(pid: int) -> bool:
    """Whether there is an exit code to be fetched, as when the loop was told of it before."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except (OSError, OverflowError):  # no child of ours, or not a single one
        return True


def _connecting(seen: Deadlocks) -> Callable[..., Any]:
    original = socket.socket.connect

    def wrapper(line: Any, address: Any) -> Any:
        stream = line.type == socket.SOCK_STREAM and line.gettimeout() != 0
        if stream and isinstance(address, tuple) and _blocks_a_loop():
            seen.note(f"socket.connect({address!r})", sys._getframe(1))
        return original(line, address)

    return wrapper


def _reading(seen: Deadlocks, name: str) -> Callable[..., Any]:
    original = getattr(socket.socket, name)

    def wrapper(line: Any, *args: Any, **kwargs: Any) -> Any:
        # Who was told that there is something to read need not wait for it.
        if line.gettimeout() != 0 and _blocks_a_loop() and not _is_readable(line):
            seen.note(f"socket.{name}", sys._getframe(1))
        return original(line, *args, **kwargs)

    return wrapper


def _is_readable(line: Any) -> bool:
    try:
        return bool(select.select([line], [], [], 0)[0])
    except (OSError, ValueError):  # more descriptors than select can tell of
        return True


def _waiting_for_a_future(
    seen: Deadlocks, name: str, rescue: Callable[[], None]
) -> Callable[..., Any]:
    original = getattr(concurrent.futures.Future, name)

    def wrapper(future: Any, timeout: float | None = None) -> Any:
        if timeout != 0 and not future.done() and _blocks_a_loop():
            seen.note(f"concurrent.futures.Future.{name}", sys._getframe(1))
            rescue()
        return original(future, timeout)

    return wrapper


def _waiting_for_futures(seen: Deadlocks, rescue: Callable[[], None]) -> Callable[..., Any]:
    original = concurrent.futures.wait

    def wrapper(futures: Any, timeout: float | None = None, *args: Any, **kwargs: Any) -> Any:
        futures = list(futures)
        if timeout != 0 and not all(one.done() for one in futures) and _blocks_a_loop():
            seen.note("concurrent.futures.wait", sys._getframe(1))
            rescue()
        return original(futures, timeout, *args, **kwargs)

    return wrapper


def _submitting(seen: Deadlocks, gates: list[threading.Event]) -> Callable[..., Any]:
    original = concurrent.futures.ThreadPoolExecutor.submit

    def wrapper(pool: Any, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        if not _blocks_a_loop():
            return original(pool, function, *args, **kwargs)
        method, task = _inside.get(), _of_task.get()
        thread, turn = threading.get_ident(), threading.Event()
        gates.append(turn)
        asyncio.get_running_loop().call_soon(turn.set)

        def gated(*args: Any, **kwargs: Any) -> Any:
            if not turn.wait(patience.RESCUE):
                where = line_outside_the_library(sys._current_frames().get(thread))
                call = "something that another thread has to bring"
                seen.found.append(Deadlock(method, f"and waits for {call}", where, task))
            return function(*args, **kwargs)

        return original(pool, gated, *args, **kwargs)

    return wrapper


def _blocks_a_loop() -> bool:
    """Whether this is a method of the executor's, on the thread of the host's event loop.

    A synchronous executor may have a loop of its own, on a thread that nobody else waits for.
    """
    running = asyncio._get_running_loop()
    if not _inside.get() or running is None:
        return False
    return _host_loop.get() in (None, running)


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _is_a_name(host: Any) -> bool:
    """Whether somebody has to be asked for the address of this host."""
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if not isinstance(host, str) or not host:
        return False
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return True
    return False


@contextlib.contextmanager
def _in(method: str) -> Iterator[None]:
    former = _inside.get()
    _inside.set(method)
    try:
        yield
    finally:
        _inside.set(former)
