"""What a host sees of one task, and the wait for it."""

from __future__ import annotations

import asyncio
import traceback
from dataclasses import dataclass
from typing import Any

from ...base.outcome import TaskTimeoutError
from ...contract.wording import short, short_error, short_text


@dataclass(frozen=True, slots=True)
class Seen:
    """What a host saw of one `execute`: an outcome, an error, or something that is neither."""

    result: Any = None
    stdout: str = ""
    stderr: str = ""
    status: str = ""
    error: BaseException | None = None
    malformed: str = ""
    #: Which stream of an outcome is no text, in words.
    no_text: str = ""

    @property
    def completed(self) -> bool:
        """Whether the task was reported as COMPLETED."""
        return self.status == "COMPLETED"

    @property
    def timed_out(self) -> bool:
        """Whether the outcome is one that the contract allows for a task over its limit."""
        return isinstance(self.error, TimeoutError) or self.status == "FAILED"

    @property
    def over_its_limit(self) -> bool:
        """Whether the error is of the class by which the template says that the limit was over."""
        return isinstance(self.error, TaskTimeoutError)

    @property
    def everything_said(self) -> str:
        """The error with its causes, notes and traceback, and what was printed: all its text."""
        said = [self.stdout, self.stderr, self.malformed]
        if self.error is not None:
            said += [*traceback.format_exception(self.error), repr(self.error)]
        return "\n".join(said)

    def __str__(self) -> str:
        if self.malformed:
            return self.malformed
        if self.error is not None:
            return f"execute raised {short_error(self.error)}"
        streams = "".join(
            f", {name} {short_text(text)}"
            for name, text in (("stdout", self.stdout), ("stderr", self.stderr))
            if text
        )
        return f"execute returned status {self.status}, result {short(self.result)}{streams}"


async def finish(executing: asyncio.Future[Seen], limit: float = 60.0) -> Seen | None:
    """Wait for the end of a task that nothing holds any more; None if it does not come.

    The limit is a guard far away, for executors that hang.
    """
    done, _ = await asyncio.wait({executing}, timeout=limit)
    return executing.result() if done else None
