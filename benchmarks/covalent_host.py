"""Plays Covalent's dispatcher towards its executors, with as little as that can be done.

What the dispatcher does besides (its database, its own wrapper around the task) is left out, in
favour of Covalent.
"""

from __future__ import annotations

import asyncio
import copy
import functools
import os
import platform
from typing import Any

from . import tasks
from .peers import peer

__all__ = ["Dispatcher", "in_process", "load"]

_REPLIES = {
    "cancel_requested": False,
    "version_info": {"python": platform.python_version(), "covalent": "0"},
}


def load(module: str) -> Any:
    """Import a module of Covalent's, which writes to the user's home as soon as it is imported."""
    for name in ("HOME", "COVALENT_CONFIG_DIR", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        os.environ[name] = os.getcwd()
    peer("covalent")
    return peer(module)


def in_process(log_stdout: str, log_stderr: str, line: str) -> Any:
    """Covalent's counterpart of `in_process.InProcess`."""
    base: Any = load("covalent.executor.base").AsyncBaseExecutor

    class InProcess(base):  # type: ignore[misc]
        async def run(self, function: Any, args: Any, kwargs: Any, task_metadata: Any) -> Any:
            if line:
                self.task_stdout.write(line)
                self.task_stderr.write(line)
            return function(*args, **kwargs)

    executor = InProcess(log_stdout, log_stderr)
    executor._init_runtime()
    return executor


class Dispatcher:
    """Gives every task an executor of its own, as the dispatcher does, and answers it."""

    def __init__(self, executor: Any) -> None:
        self._executor = executor
        transport = load("covalent._workflow.transport")
        self._function = functools.partial(tasks.transported, transport.TransportableObject(1))
        self._watchers: set[asyncio.Task[None]] = set()

    async def dispatch(self, value: int) -> Any:
        """Run the trivial task; return its result."""
        executor = copy.copy(self._executor)
        executor._init_runtime(loop=asyncio.get_running_loop(), cancel_pool=None)
        watcher = asyncio.ensure_future(_answer(executor))
        self._watchers.add(watcher)
        watcher.add_done_callback(self._watchers.discard)
        result, _, stderr, status = await executor._execute(
            self._function, [value], {}, "dispatch", os.getcwd(), value
        )
        if str(status) != "COMPLETED":
            raise RuntimeError(f"Covalent's executor ended as {status}: {stderr[-500:]}")
        return result


async def _answer(executor: Any) -> None:
    while True:
        action, body = await executor._send_queue.get()
        if action.name == "EXIT":
            return
        answer = _REPLIES[body] if action.name == "GET" else None
        executor._recv_queue.put_nowait((True, answer))
