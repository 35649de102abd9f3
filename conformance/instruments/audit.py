"""What the interpreter does while a check looks on: opens, makes, touches, connects."""

from __future__ import annotations

import contextlib
import os
import sys
import sysconfig
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

Listener = Callable[[str, tuple[Any, ...]], None]

_listeners: list[Listener] = []
_installed = threading.Lock()
_telling = threading.local()


def _hook(event: str, args: tuple[Any, ...]) -> None:
    # What a listener does itself, reading a source line for one, is no event to tell it of.
    if not _listeners or getattr(_telling, "now", False):
        return
    _telling.now = True
    try:
        for listener in tuple(_listeners):
            listener(event, args)
    finally:
        _telling.now = False


@contextlib.contextmanager
def audited(listener: Listener) -> Iterator[None]:
    """Within this block, call `listener(event, args)` for every audit event of this process.

    It is called on the thread that causes the event, before it happens, and must not raise.
    """
    # Python has no way to remove a hook: there is one for good, idle while nobody listens.
    if _installed.acquire(blocking=False):
        sys.addaudithook(_hook)
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def path_in(args: tuple[Any, ...], folder: Path) -> str | None:
    """The path that an event is about, its first argument, if it lies in `folder`."""
    if not args or not isinstance(args[0], str | bytes | os.PathLike):
        return None
    try:
        path = os.path.abspath(os.fsdecode(args[0]))
    except (OSError, ValueError):  # the working directory is gone, or the name is no name
        return None
    inside = path == str(folder) or path.startswith(os.path.join(str(folder), ""))
    return path if inside else None


_LIBRARY = tuple(os.path.join(sysconfig.get_path(name), "") for name in ("stdlib", "platstdlib"))


def line_outside_the_library(frame: FrameType | None) -> str:
    """The innermost line of a stack that is not the standard library's: who asked for it."""
    if frame is None:
        return "a thread that has ended"
    stack = traceback.extract_stack(frame)
    entry = next(
        (
            entry
            for entry in reversed(stack)
            if not entry.filename.startswith("<")
            and (not entry.filename.startswith(_LIBRARY) or "site-packages" in entry.filename)
        ),
        stack[-1],
    )
    return f'{os.path.basename(entry.filename)}:{entry.lineno}, in {entry.name}: "{entry.line}"'
