"""On which threads and event loops a subject's code runs, and for how long it may be silent."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from ..instruments import patience
from ..instruments.loop import Hang, WatchedLoop
from ..instruments.watch import Watch

T = TypeVar("T")


class Driving:
    """Runs what checks ask for, and gives up on what hangs."""

    def __init__(self, now: Callable[[], str]) -> None:
        """Note a call that hangs under what `now` returns: the rule that is judged."""
        self._now = now
        self._loop: WatchedLoop | None = None
        self._watch = Watch()
        self._hangs: list[str] = []

    def sign(self) -> None:
        """Say that there is progress, see `Watch.sign`."""
        self._watch.sign()

    def elsewhere(self) -> contextlib.AbstractContextManager[None]:
        """Within this block somebody else watches over the call."""
        return self._watch.elsewhere()

    def call(self, function: Callable[[], None]) -> BaseException | None:
        """Call `function` on a thread of its own; the error in which it ended.

        Raises:
            Hang: it did not end. Whether that counts is the caller's to say, by `note_hang`.
        """
        return self._watch.call(function, self.patience)

    def drive(
        self,
        story: Callable[[], Coroutine[Any, Any, T]],
        *,
        longer: float = 0.0,
        progress: Callable[[], object] = lambda: None,
    ) -> T:
        """Run a coroutine function on the one loop that lives as long as the subject.

        Raises:
            Hang: it did not end.
        """
        with self.elsewhere():
            if self._loop is None or not self._loop.usable:
                self._loop = WatchedLoop()
            try:
                return self._loop.drive(story, longer + self.patience, progress)
            except Hang:
                self._loop = None
                self.note_hang()
                raise

    def drive_apart(self, story: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine function on a fresh event loop that is closed afterwards.

        Raises:
            Hang: nothing came of it for as long as `drive` waits.
        """

        async def to_the_end() -> T:
            try:
                return await story()
            finally:
                await asyncio.get_running_loop().shutdown_default_executor()

        with self.elsewhere():
            loop = WatchedLoop()
            try:
                return loop.drive(to_the_end, self.patience)
            except Hang:
                self.note_hang()
                raise
            finally:
                loop.close()

    @property
    def patience(self) -> float:
        """Seconds after which a call counts as hung."""
        after_a_hang = min(patience.WATCHDOG, patience.AFTER_A_HANG)
        return after_a_hang if self._hangs else patience.WATCHDOG

    def note_hang(self) -> None:
        """Remember that a call never ended."""
        self._hangs.append(self._now())

    @property
    def hangs(self) -> int:
        """How many calls never ended."""
        return len(self._hangs)

    @property
    def hung_in(self) -> str:
        """The rules in whose checks calls never ended."""
        return ", ".join(dict.fromkeys(self._hangs))

    @property
    def escaped(self) -> list[BaseException]:
        """What left the event loop in a way that would have ended another host's."""
        return [] if self._loop is None else self._loop.escaped

    def where(self) -> str:
        """Where the event loop stands at this moment, in words."""
        return self._loop.where() if self._loop is not None else "no event loop is running"

    @property
    def thread(self) -> int | None:
        """The ident of the thread on which the event loop runs."""
        return None if self._loop is None else self._loop.thread

    def close_loop(self) -> None:
        """End the event loop; whatever is driven after that is driven on a new one."""
        if self._loop is not None:
            self._loop.close()
            self._loop = None
