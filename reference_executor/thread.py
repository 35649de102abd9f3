"""An executor that runs its tasks in threads of the host's own process."""

from collections.abc import Callable
from typing import Any

from ..base import waiting
from ..base.executor import AsyncBaseExecutor
from ..base.outcome import TaskRuntimeError

__all__ = ["ThreadExecutor"]


class ThreadExecutor(AsyncBaseExecutor):
    """Run every task in a thread of this process: quick, and honest about what that cannot do.

    Python cannot stop a thread. A cancelled `execute` ends at once, and the function runs on in
    its thread until it returns; its result is dropped. A time limit would have to leave work
    running likewise, so one greater than zero is refused with ValueError. What tasks print goes
    to the host's own output, since all threads share it. Use `LocalExecutor` where any of this
    matters, and this one for short functions that can be trusted.

    Arguments are copied for each attempt; the result is the very object that the function
    returned. `SystemExit` and `KeyboardInterrupt` raised by a task are failures of that task.
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
        self._refuse_time_limit()
        try:
            return await waiting.in_thread(function, *args, **kwargs)
        except KeyboardInterrupt as error:
            # Nobody pressed a key: those are delivered to the main thread only.
            raise TaskRuntimeError(f"The task raised {error!r}") from error

    def _refuse_time_limit(self) -> None:
        if self.time_limit > 0:
            raise ValueError(
                f"ThreadExecutor cannot keep time_limit={self.time_limit!r}, since a thread "
                f"cannot be stopped: use LocalExecutor, or time_limit=-1 for no limit"
            )
