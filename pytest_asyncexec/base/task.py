"""What belongs to one running task, kept where concurrent tasks cannot see each other's."""

import asyncio
import inspect
import io
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from weakref import ref

from .attributes import json_copy

__all__ = ["RunningTask", "TaskStreams", "get_running_task"]


@dataclass(eq=False, slots=True)
class RunningTask:
    """The state of one task, from before `setup` until its outcome is known."""

    dispatch_id: str
    node_id: int
    results_dir: str
    cancel_requested: Callable[[], bool | Awaitable[bool]] | None = None
    on_job_handle: Callable[[Any], object] | None = None
    #: What asks the host whether it wants the task no more; None where nobody can be asked.
    question: Callable[[], Awaitable[Any]] | None = None
    job_handle: Any = None
    #: Whether the host has cancelled the asyncio task that awaits the outcome.
    stopped: bool = False

    #: The event loop of this task, and the asyncio task in which everything is done for it: weak,
    #: since the context of that one holds this object.
    loop: asyncio.AbstractEventLoop | None = None
    home: ref[asyncio.Task[Any]] | None = None
    #: The same task, while a cancellation by the host may cut it short.
    working: asyncio.Task[Any] | None = None
    #: Whether the attempt that runs is to end, since nobody will look at its result.
    attempt_is_over: bool = False

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
        self.loop = asyncio.get_running_loop()
        home = asyncio.current_task()
        self.home = None if home is None else ref(home)
        self.check()
        self.working = home

    def is_thrown_away_by(self, error: BaseException) -> bool:
        """Whether `error` says that the work is thrown away, with its event loop for example.

        The same exception may come from the task's own code, in a step of its asyncio task.
        """
        if not isinstance(error, GeneratorExit):
            return False
        current = _current_asyncio_task()
        return current is None or self.home is None or current is not self.home()

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


def _current_asyncio_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # outside of any event loop
        return None


class TaskStreams:
    """The streams of whatever task the calling code runs for, which never lie on `self`."""

    @property
    def task_stdout(self) -> io.StringIO | None:
        """The standard output of the task that the calling code runs for, or None outside of one.

        A thread that you start yourself does not inherit it (`asyncio.to_thread` does): take the
        stream into a local variable first.
        """
        task = get_running_task()
        return None if task is None else task.stdout

    @property
    def task_stderr(self) -> io.StringIO | None:
        """The standard error of the current task, or None outside of one; see `task_stdout`."""
        task = get_running_task()
        return None if task is None else task.stderr
