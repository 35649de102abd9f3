"""The thread in which everything of distributed happens, on an event loop of its own.

A client of distributed keeps tasks and callbacks on the event loop it is made on. On a host's
loop they would outlive the host's tasks, and end in the middle when that loop is closed. Here it
has one loop for as long as this process lives, and serves all event loops of its hosts.
"""

import asyncio
import atexit
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

__all__ = ["call_soon", "in_dask", "on_exit"]

T = TypeVar("T")

_guard = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
_thread: threading.Thread | None = None
_at_exit: list[Callable[[], Coroutine[Any, Any, None]]] = []

#: How many seconds the end of this process waits for goodbyes to schedulers.
PATIENCE = 5


def call_soon(function: Callable[..., object], *args: Any) -> None:
    """Have the thread call `function` soon."""
    _running_loop().call_soon_threadsafe(function, *args)


def in_dask(work: Coroutine[Any, Any, T]) -> "Future[T]":
    """Have the thread run a coroutine."""
    return asyncio.run_coroutine_threadsafe(work, _running_loop())


def on_exit(close: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Have the thread run `close` before this process ends, and before what is at hand does so."""
    if close not in _at_exit:
        _at_exit.append(close)
        # What was registered last is called first: distributed has functions of its own there.
        atexit.unregister(_end)
        atexit.register(_end)


def _running_loop() -> asyncio.AbstractEventLoop:
    global _loop, _thread
    if _loop is None:
        with _guard:
            if _loop is None:
                # Of this kind on Windows too, where the other one watches no sockets for tornado.
                loop = asyncio.SelectorEventLoop()
                _thread = threading.Thread(
                    target=_run, args=[loop], name="pytest-asyncexec-dask", daemon=True
                )
                _thread.start()
                _loop = loop
    return _loop


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    loop.run_forever()


def _end() -> None:
    if _loop is None or _thread is None or not _thread.is_alive():
        return
    ended = in_dask(_close_all(_loop))
    try:
        ended.result(PATIENCE)
    except Exception:
        return
    _loop.call_soon_threadsafe(_loop.stop)
    _thread.join(PATIENCE)
    if not _thread.is_alive():
        _loop.close()


async def _close_all(loop: asyncio.AbstractEventLoop) -> None:
    # Nobody is left for whom the errors of what is cut short here could mean anything.
    loop.set_exception_handler(lambda *_: None)
    for close in _at_exit:
        await close()
    rest = [task for task in asyncio.all_tasks(loop) if task is not asyncio.current_task()]
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)


def _forget() -> None:
    """Leave the thread to the process that this one was forked from."""
    global _loop, _thread, _guard
    _loop, _thread, _guard = None, None, threading.Lock()
    _at_exit.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
