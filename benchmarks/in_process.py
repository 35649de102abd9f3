"""The executor whose `run` does next to nothing: what is left is the template's own cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pytest_asyncexec import AsyncBaseExecutor

__all__ = ["InProcess"]


class InProcess(AsyncBaseExecutor):
    """Call the function here and now, after writing `line` to both streams."""

    line = ""

    async def run(
        self,
        function: Callable[..., Any],
        args: list[Any],
        kwargs: dict[str, Any],
        task_metadata: dict[str, Any],
    ) -> Any:
        """Do the task."""
        if self.line and self.task_stdout is not None and self.task_stderr is not None:
            self.task_stdout.write(self.line)
            self.task_stderr.write(self.line)
        return function(*args, **kwargs)
