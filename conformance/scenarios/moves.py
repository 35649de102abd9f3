"""Waiting for what happens in a story, for as long as anything does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Moves:
    """That something has happened, of a story on one event loop."""

    def __init__(self) -> None:
        self._moved = asyncio.Event()

    def note(self) -> None:
        """Wake whoever waits; on the thread of the loop."""
        self._moved.set()

    async def until(self, holds: Callable[[], object], limit: float) -> bool:
        """Wait until it holds; False if it does not, and nothing happens for `limit` seconds."""
        while not holds():
            self._moved.clear()
            waiting = asyncio.ensure_future(self._moved.wait())
            done, _ = await asyncio.wait({waiting}, timeout=limit)
            waiting.cancel()
            if not done:
                return bool(holds())
        return True
