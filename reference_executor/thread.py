"""An executor that runs its tasks in threads of the host's own process."""

from collections.abc import Callable
from typing import Any

from ..base import waiting
from ..base.attributes import effective_time_limit
from ..base.executor import AsyncBaseExecutor
from ..base.failures import failure_of

__all__ = ["ThreadExecutor"]


class ThreadExecutor(AsyncBaseExecutor):
    """Run every task in a thread of this process: quick, and honest about what that cannot do.

    Python cannot stop a thread. A cancelled `execute` ends at once, and the function runs on in
    its thread until it returns; its result is dropped. A time limit would have to leave work
    running likewise, so one greater than zero is refused with ValueError. What tasks print goes
    to the host's own output, since all threads share it. Use `LocalExecutor` where any of this
    matters, and this one for short functions that can be trusted.

    Arguments are copied for each attempt; the result is the very object that the function
    returned. What else than an Exception a task raises (`SystemExit`, `KeyboardInterrupt`,
    `CancelledError` ...) is a failure of that task.
    """

    cannot = frozenset({"stop", "streams"})

    def __init__(
        self,
        log_stdout: str = "",
        log_stderr: str = "",
        cache_dir: str = "",
        time_limit: float | None = -1,
        retries: int = 0,
    ) -> None:
        super().__init__(log_stdout, log_stderr, cache_dir, time_limit, retries)
        self._refuse_time_limit()

    async def run(
        self,
        function: Callable[..., Any],
        args: list[Any],
        kwargs: dict[str, Any],
        task_metadata: dict[str, Any],
    ) -> Any:
        """Call the function in a thread, with the context variables of the caller."""
        return await waiting.in_thread(_called, function, args, kwargs)

    def _refuse_time_limit(self) -> None:
        if effective_time_limit(self.time_limit) is not None:
            raise ValueError(
                f"ThreadExecutor cannot keep time_limit={self.time_limit!r}, since a thread "
                f"cannot be stopped: use LocalExecutor, or time_limit=-1 for no limit"
            )


def _called(function: Callable[..., Any], args: list[Any], kwargs: dict[str, Any]) -> Any:
    try:
        return function(*args, **kwargs)
    except (Exception, SystemExit):
        raise
    except BaseException as error:
        # Nobody pressed a key, and nobody cancelled anything: this is the task's own, which the
        # template could not know.
        raise failure_of(error) from error
