"""Wrong by RET."""

from __future__ import annotations

from pytest_asyncexec.reference_executor import ThreadExecutor

from . import breaks


@breaks("RET-01", "with retries=0 was attempted 2 times")
class AttemptsOnceMore(ThreadExecutor):
    """Takes `retries` for what comes on top of a second chance."""

    async def run(self, function, args, kwargs, task_metadata):
        try:
            return await super().run(function, args, kwargs, task_metadata)
        except ValueError:
            return await super().run(function, args, kwargs, task_metadata)


@breaks("RET-02", "with retries=1 a task that fails 1 times first was attempted 1 times")
class NeverRetries(ThreadExecutor):
    """Stores `retries`, says that its backend makes them, and forgets to tell the backend."""

    enforces = frozenset({"retries"})


@breaks("RET-03", "failure of attempt 1")
class ShowsTheFirstError(ThreadExecutor):
    """Keeps the first error and raises it at the end."""

    enforces = frozenset({"retries"})

    async def run(self, function, args, kwargs, task_metadata):
        first = None
        for _ in range(self.retries + 1):
            try:
                return await super().run(function, args, kwargs, task_metadata)
            except ValueError as error:
                first = first or error
        raise first


@breaks("RET-03", "execute raised ValueError: failure of attempt 1")
class ShowsTheFirstErrorWhileHandlingTheLast(ThreadExecutor):
    """Raises the first error where it gives up, so that the last one is merely its context."""

    enforces = frozenset({"retries"})

    async def run(self, function, args, kwargs, task_metadata):
        first = None
        for left in reversed(range(self.retries + 1)):
            try:
                return await super().run(function, args, kwargs, task_metadata)
            except ValueError as error:
                first = first or error
                if not left:
                    raise first  # noqa: B904
        return None
