"""An executor like one on a slow backend: every attempt takes longer, any number of them at once.

It is judged by builds of any age, and imports nothing but what all of them have.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from typing import Any

from pytest_asyncexec.reference_executor import LocalExecutor

_DELAY = float(os.environ.get("ASYNCEXEC_DELAY", "1"))
_LOG = os.environ.get("ASYNCEXEC_DELAY_LOG", "")


class Delayed(LocalExecutor):
    """Waits before each attempt, and writes down from when to when."""

    def __init__(self, max_workers: int = 64, **options: Any) -> None:
        super().__init__(max_workers=max_workers, **options)

    async def run(
        self,
        function: Callable[..., Any],
        args: list[Any],
        kwargs: dict[str, Any],
        task_metadata: dict[str, Any],
    ) -> Any:
        begun = time.monotonic()
        try:
            await asyncio.sleep(_DELAY)
        finally:
            if _LOG:
                with open(_LOG, "a", encoding="ascii") as log:  # noqa: ASYNC230 - a few bytes
                    log.write(f"{begun} {time.monotonic()}\n")
        return await super().run(function, args, kwargs, task_metadata)
