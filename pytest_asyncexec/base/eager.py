"""Starting an asyncio task at once, and not in the next turn of the event loop.

What ends without waiting for anything then costs no turn, and thousands of tasks that are started
together do not all have to exist before the first of them runs. Since Python 3.12 asyncio can do
that itself.
"""

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["started"]

T = TypeVar("T")

if sys.version_info >= (3, 12):

    def started(work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start `work` in a task of its own, and return once it waits for something or has ended.

        To be called in an asyncio task.
        """
        loop = asyncio.get_running_loop()
        if loop.get_task_factory() is not None:
            return loop.create_task(work)  # the host wants to know of every task
        return asyncio.Task(work, loop=loop, eager_start=True)

else:

    def started(work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start `work` in a task of its own, and return once it waits for something or has ended.

        To be called in an asyncio task.
        """
        loop = asyncio.get_running_loop()
        task = loop.create_task(work)
        ready = getattr(loop, "_ready", None)  # not on loops made by others
        caller = asyncio.current_task(loop)
        if caller and ready and getattr(ready[-1]._callback, "__self__", None) is task:
            _run_within(caller, loop, ready.pop())
        return task

    def _run_within(
        caller: asyncio.Task[Any], loop: asyncio.AbstractEventLoop, first_step: asyncio.Handle
    ) -> None:
        asyncio.tasks._leave_task(loop, caller)
        try:
            first_step._run()
        finally:
            asyncio.tasks._enter_task(loop, caller)
