"""The other end of a contender's process: its start, its answers, its end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any, BinaryIO

from .measure import Contender

__all__ = ["ContenderFailed", "ContenderProcess"]

ROOT = Path(__file__).parents[1]
#: Longer than any batch: a contender that hangs is to cost a figure, not the run.
PATIENCE = 600


class ContenderFailed(Exception):
    """Why a contender has no figures."""


class ContenderProcess:
    """One contender in a process and a folder of its own."""

    def __init__(self, contender: Contender) -> None:
        self._contender = contender
        self._folder = tempfile.TemporaryDirectory(prefix="benchmark-", ignore_cleanup_errors=True)
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, *more: Any) -> Any:
        """Start it; return what its factory gives where that is no batch."""
        arguments = json.dumps([*self._contender.arguments, *more])
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        command = ["-m", f"{__package__}.contender", self._contender.factory, arguments]
        with self._stderr() as stderr:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
                cwd=self._folder.name,
                env=os.environ | {"PYTHONPATH": path},
            )
        return (await self._answer())["ready"]

    async def batch(self) -> dict[str, float]:
        """Have one batch run; return its figures."""
        assert self._process is not None
        assert self._process.stdin is not None
        with contextlib.suppress(ConnectionError):
            self._process.stdin.write(b"batch\n")
            await self._process.stdin.drain()
        figures: dict[str, float] = (await self._answer())["figures"]
        return figures

    async def end(self) -> None:
        """Let it clean up, or kill it where it does not."""
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            try:
                await asyncio.wait_for(self._process.wait(), 30)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        self._folder.cleanup()

    async def _answer(self) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        line = asyncio.ensure_future(self._process.stdout.readline())
        # Its pool may hold the pipe open after it has died.
        death = asyncio.ensure_future(self._process.wait())
        await asyncio.wait({line, death}, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        if not line.done() and death.done():
            await asyncio.wait({line}, timeout=1)
        text = line.result() if line.done() else b""
        for future in (line, death):
            future.cancel()
        if not text:
            raise ContenderFailed(self._silence())
        answer: dict[str, Any] = json.loads(text)
        if "failed" in answer:
            raise ContenderFailed(answer["failed"])
        return answer

    def _stderr(self) -> BinaryIO:
        return Path(self._folder.name, "stderr").open("wb")

    def _silence(self) -> str:
        assert self._process is not None
        if self._process.returncode is None:
            return f"no answer within {PATIENCE} s"
        said = Path(self._folder.name, "stderr").read_text("utf-8", "replace").split("\n")
        last = next((line.strip() for line in reversed(said) if line.strip()), "nothing")
        return f"its process ended with code {self._process.returncode} and said: {last}"
