"""One worker process: its private folder, its start, its death, and what it left."""

import asyncio
import contextlib
import os
import pickle
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import cloudpickle

from ..outcome import TaskRuntimeError
from ..streams import expand_home

__all__ = ["Worker"]

WORKER = str(Path(__file__).with_name("_worker.py"))
TAIL = 2000

Answer = tuple[Any, ...]


class Worker:
    """A fresh interpreter for one attempt.

    The methods that are no coroutine functions touch files: call them in a thread. `stopped` is
    set by whoever stops the task from outside; `ended` by whoever runs it, once everything is gone:
    True if the task was cancelled that way.
    """

    def __init__(self) -> None:
        self.stopped = False
        self.ended: Future[bool] = Future()
        # A caller that stops waiting for the end must not be able to cancel it for everybody.
        self.ended.set_running_or_notify_cancel()
        self.process: asyncio.subprocess.Process | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._stdout: BinaryIO | None = None
        self._stderr: BinaryIO | None = None

    def prepare(
        self,
        cache_dir: str,
        function: Callable[..., Any],
        args: list[Any],
        kwargs: dict[str, Any],
    ) -> None:
        """Make the folder and put the task into it."""
        task = _pickled(function, args, kwargs)
        above = os.path.abspath(expand_home(cache_dir)) if cache_dir else None
        if above is not None:
            os.makedirs(above, exist_ok=True)
        self._folder = tempfile.TemporaryDirectory(
            prefix="asyncexec-", dir=above, ignore_cleanup_errors=True
        )
        for name, content in (("sys_path", pickle.dumps(sys.path)), ("task", task)):
            with self._open(name) as file:
                file.write(content)
        self._stdout = self._open("stdout")
        self._stderr = self._open("stderr")

    async def start(self) -> None:
        """Start the interpreter, in a session and process group of its own."""
        own_group: dict[str, Any] = (
            {"start_new_session": True}
            if os.name == "posix"
            else {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}  # type: ignore[attr-defined,unused-ignore]
        )
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-u",
            WORKER,
            str(self._path("")),
            stdin=subprocess.DEVNULL,
            stdout=self._stdout,
            stderr=self._stderr,
            **own_group,
        )

    def kill(self) -> None:
        """Kill the worker and all processes of its group, without asking them."""
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.name == "posix":
                os.killpg(self.process.pid, signal.SIGKILL)
            else:
                self.process.kill()

    async def end(self) -> None:
        """Kill what is left of the worker, and wait until it is gone."""
        self.kill()
        if self.process is not None:
            await self.process.wait()

    def printed(self) -> tuple[str, str]:
        """Return what the attempt has written to its standard output and error."""
        return _text(self._stdout), _text(self._stderr)

    def answer(self) -> Answer | None:
        """Return what the worker has to tell, or None if it died first."""
        try:
            data = self._path("result").read_bytes()
        except FileNotFoundError:
            return None
        answer: Answer = pickle.loads(data)
        return answer

    def last_words(self) -> str:
        """Say how the worker died, as far as that can be seen from outside."""
        code = self.process.returncode if self.process is not None else None
        how = f"exit code {code}"
        if code is not None and code < 0:
            with contextlib.suppress(ValueError):
                how = f"signal {signal.Signals(-code).name}"
        hint = ". Did the system run out of memory?" if how == "signal SIGKILL" else ""
        tail = _text(self._stderr)[-TAIL:].strip()
        wrote = f"\nIts standard error ends with:\n{tail}" if tail else ""
        return f"The worker process died without a result ({how}){hint}{wrote}"

    def remove(self) -> None:
        """Remove the folder and everything in it."""
        for file in (self._stdout, self._stderr):
            if file is not None:
                file.close()
        if self._folder is not None:
            self._folder.cleanup()

    def _open(self, name: str) -> BinaryIO:
        return open(self._path(name), "a+b", opener=partial(os.open, mode=0o600))

    def _path(self, name: str) -> Path:
        assert self._folder is not None
        return Path(self._folder.name, name)


def _text(file: BinaryIO | None) -> str:
    if file is None:
        return ""
    file.seek(0)
    return file.read().decode("utf-8", errors="backslashreplace")


def _pickled(function: Callable[..., Any], args: list[Any], kwargs: dict[str, Any]) -> bytes:
    try:
        data: bytes = cloudpickle.dumps((function, args, kwargs))
    except Exception as error:
        raise TaskRuntimeError(
            f"{_culprit(function, args, kwargs)} cannot be sent to a worker process: "
            f"{type(error).__qualname__}: {error}"
        ) from error
    return data


def _culprit(function: Callable[..., Any], args: list[Any], kwargs: dict[str, Any]) -> str:
    parts = {"The function": function}
    parts |= {f"Argument {position}": value for position, value in enumerate(args)}
    parts |= {f"Keyword argument {name!r}": value for name, value in kwargs.items()}
    for name, value in parts.items():
        try:
            cloudpickle.dumps(value)
        except Exception:
            return f"{name}, of type {type(value).__qualname__},"
    return "The task"
