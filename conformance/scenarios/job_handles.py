"""What a host knows of a task that it may want to cancel, and how it calls `cancel`."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from ...contract.wording import short, short_error
from ..instruments import patience
from ..instruments.beacon import Attempt
from ..instruments.history import under_way
from ..instruments.seen import Seen
from ..subject.host import call_method


@dataclass(eq=False, slots=True)
class Task:
    """One of the tasks, as its host knows it."""

    number: int
    executor: Any
    metadata: dict[str, Any]
    handles: list[Any] = field(default_factory=list)
    executing: asyncio.Task[Seen] | None = None
    attempt: Attempt | None = None
    #: What came of it.
    seen: Seen | None = None
    #: After which call of `cancel` it was gone, though it was another one's; or nothing.
    gone_after: str = ""

    @property
    def handle(self) -> Any:
        """What its host was told last, as a host keeps it; None where it was told nothing."""
        if not self.handles:
            return None
        handle = self.handles[-1]
        with contextlib.suppress(TypeError, ValueError):
            handle = json.loads(json.dumps(handle))
        return handle

    @property
    def result(self) -> str:
        """What it returns."""
        return f"result of task {self.number}"

    def __str__(self) -> str:
        return f"node {self.metadata['node_id']} of {self.metadata['dispatch_id']}"


async def answer_of(executor: Any, metadata: dict[str, Any], handle: Any) -> Any:
    """What `cancel` returns; a text that says why it returns nothing."""
    cancelling = asyncio.ensure_future(call_method(executor.cancel, dict(metadata), handle))
    await asyncio.wait({cancelling}, timeout=patience.OUTCOME)
    if not cancelling.done():
        cancelling.cancel()
        return f"did not return within {patience.OUTCOME:g} s"
    if cancelling.cancelled():
        return "raised CancelledError"
    error = cancelling.exception()
    answer = cancelling.result() if error is None else f"raised {short_error(error)}"
    return short(answer) if isinstance(answer, str) and error is None else answer


async def until_told(task: Task) -> None:
    """Give the executor the time to tell its host of a job that it has begun; it may never do."""
    end = asyncio.get_running_loop().time() + patience.PAST_LIMIT
    while not task.handles and asyncio.get_running_loop().time() < end:
        if task.executing is None or task.executing.done():
            return
        await asyncio.wait({task.executing}, timeout=0.01)


def name_of(task: Task) -> str:
    """What `under_way` is set to while the task is executed."""
    return f"cancelled by its handle: {task.number}"


@contextlib.contextmanager
def told_handles(tasks: list[Task]) -> Iterator[None]:
    """Within this block each task knows what its host is told of its job."""
    by_name = {name_of(task): task for task in tasks}

    def note(_executor: Any, handle: Any) -> None:
        task = by_name.get(under_way.get())
        if task is not None:
            task.handles.append(handle)

    with hearing(type(tasks[0].executor), note):
        yield


@contextlib.contextmanager
def hearing(cls: type[Any], note: Callable[[Any, Any], None]) -> Iterator[None]:
    """Within this block the host hears of jobs: `note` is called with executor and handle."""
    # The host hears what comes to the method that the others override.
    definers = [each for each in cls.__mro__ if callable(vars(each).get("set_job_handle"))]
    if not definers:
        yield
        return
    original = vars(definers[-1])["set_job_handle"]

    # Whatever the method is, it is called as before: it may be a coroutine function or not.
    @functools.wraps(original)
    def set_job_handle(self: Any, handle: Any, *args: Any, **kwargs: Any) -> Any:
        note(self, handle)
        return original(self, handle, *args, **kwargs)

    with mock.patch.object(definers[-1], "set_job_handle", set_job_handle):
        yield
