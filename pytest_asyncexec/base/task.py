"""What belongs to one running task, kept where concurrent tasks cannot see each other's."""

import asyncio
import inspect
import io
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from .attributes import json_copy

__all__ = ["RunningTask", "get_running_task"]


@dataclass(eq=False, slots=True)
class RunningTask:
    """The state of one task, from before `setup` until its outcome is known."""

    dispatch_id: str
    node_id: int
    results_dir: str
    cancel_requested: Callable[[], bool | Awaitable[bool]] | None = None
    on_job_handle: Callable[[Any], object] | None = None
    job_handle: Any = None
    #: Whether the host has cancelled the asyncio task that awaits the outcome.
    stopped: bool = False

    #: The asyncio task that does the work, while a cancellation by the host may cut it short.
    working: asyncio.Task[Any] | None = None

    _stdout: io.StringIO | None = None
    _stderr: io.StringIO | None = None

    @property
    def stdout(self) -> io.StringIO:
        """What the task has printed to its standard output."""
        # Made late, since thousands of tasks may wait for their turn.
        self._stdout = self._stdout or io.StringIO()
        return self._stdout

    @property
    def stderr(self) -> io.StringIO:
        """What the task has printed to its standard error."""
        self._stderr = self._stderr or io.StringIO()
        return self._stderr

    def printed(self) -> tuple[str, str]:
        """Return what the task has printed to its standard output and error."""
        stdout, stderr = self._stdout, self._stderr
        return (
            "" if stdout is None else stdout.getvalue(),
            "" if stderr is None else stderr.getvalue(),
        )

    def begin(self) -> None:
        """Begin the work of this task, in the asyncio task and the context of the caller.

        Raises CancelledError where the host has lost interest already.
        """
        _current.set(self)
        self.check()
        self.working = asyncio.current_task()

    def check(self) -> None:
        """Raise CancelledError if the host has lost interest, whoever may have swallowed that."""
        if self.stopped:
            raise asyncio.CancelledError

    def stop(self) -> None:
        """Note that the host no longer waits for the outcome, and cut the work short."""
        self.stopped = True
        if self.working is not None:
            self.working.cancel()

    async def end(self) -> None:
        """End the work: from here on nothing that the host does cuts it short."""
        working, self.working = self.working, None
        if self.stopped or (working is not None and working.cancelling()):
            # Cancelled from inside its own last step, the asyncio task learns of it only when it
            # waits next: here, not in the teardown.
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0)

    def metadata(self) -> dict[str, Any]:
        """Return the `task_metadata` of this task, a fresh copy for each method."""
        return {
            "dispatch_id": self.dispatch_id,
            "node_id": self.node_id,
            "results_dir": self.results_dir,
        }

    def __str__(self) -> str:
        return f"task of dispatch {self.dispatch_id!r}, node {self.node_id}"

    async def is_cancel_requested(self) -> bool:
        """Ask the host whether this task should stop."""
        if self.cancel_requested is None:
            return False
        answer = self.cancel_requested()
        return bool(await answer if inspect.isawaitable(answer) else answer)

    async def keep_job_handle(self, handle: Any) -> None:
        """Store the job handle and tell the host."""
        try:
            self.job_handle = json_copy(handle, "the job handle")
        except ValueError as error:
            raise TypeError(str(error)) from error
        if self.on_job_handle is not None:
            told = self.on_job_handle(json_copy(handle, "the job handle"))
            if inspect.isawaitable(told):
                await told


_current: ContextVar[RunningTask | None] = ContextVar("running_task", default=None)


def get_running_task() -> RunningTask | None:
    """Return the task that this code runs for, or None outside of any."""
    return _current.get()
