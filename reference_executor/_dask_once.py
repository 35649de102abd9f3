"""Seeing to it that Dask runs no attempt twice: that is for `retries` to decide.

When a Dask worker is lost, the scheduler gives all that it had to others, and what it had finished
too, if nobody has fetched it. Nobody knows then what of that had begun. So the scheduler marks what
it is about to give away once more, and whoever is given that refuses it. Where a Dask worker has
died, the scheduler itself ends what it had, at once.
"""

from typing import Any

from distributed import SchedulerPlugin, get_worker

from ._dask_job import PREFIX

__all__ = ["AGAIN", "Once", "is_given_again"]

AGAIN = (
    "The Dask worker that had the task was lost before it answered. Dask would run the task "
    "elsewhere now; how often it may be attempted is said by `retries`"
)

MARK = "pytest-asyncexec-again"

#: Where an attempt has been, when it is about to be given away once more.
GIVEN = ("processing", "memory")
NOT_GIVEN_AWAY = ("processing", "memory", "erred", "forgotten")


class Once(SchedulerPlugin):  # type: ignore[misc,unused-ignore]
    """At the scheduler: have no attempt begun a second time."""

    name = "pytest-asyncexec-once"
    idempotent = True

    async def start(self, scheduler: Any) -> None:
        """Take the scheduler that this is registered at."""
        self.scheduler = scheduler

    def transition(self, key: Any, start: str, finish: str, *args: Any, **kwargs: Any) -> None:
        """Mark an attempt that leaves its Dask worker without an ending."""
        if not isinstance(key, str) or not key.startswith(PREFIX):
            return
        task = self.scheduler.tasks.get(key)
        if task is None:
            return
        if finish == "processing":
            # As if the Dask workers that it had before had died too.
            task.suspicious = max(task.suspicious, self.scheduler.allowed_failures)
        elif start in GIVEN and finish not in NOT_GIVEN_AWAY:
            task.annotations = {**(task.annotations or {}), MARK: True}


def is_given_again(token: str) -> bool:
    """Say, in a thread of a Dask worker, whether the attempt was given to another one before."""
    task = get_worker().state.tasks.get(token)
    return task is not None and bool((task.annotations or {}).get(MARK))
