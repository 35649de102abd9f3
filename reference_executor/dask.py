"""An executor that runs its tasks on a Dask cluster."""

import asyncio
import re
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from ..base.attributes import check_attribute, effective_time_limit
from ..base.executor import AsyncBaseExecutor
from ..base.outcome import TaskCancelledError, TaskRuntimeError, TaskTimeoutError
from ..base.waiting import in_thread, undisturbed
from ._dask_job import Job, new_token
from ._dask_links import close_link, has_link, link_to
from ._dask_told import ANSWERED, REFUSED, STOPPED, TIMED_OUT, Told, joined
from ._payload import Task, dumped, plainly_dumped, understood

if find_spec("distributed") is None:
    raise ImportError(
        "DaskExecutor needs the package distributed, which is not installed: "
        "pip install 'pytest-asyncexec[dask]'"
    )

__all__ = ["DaskExecutor"]


class DaskExecutor(AsyncBaseExecutor):
    """Run tasks on a Dask cluster, so that each can be stopped at any moment.

    The scheduler and its workers need `pytest-asyncexec[dask]`, and what tasks import. Functions
    and classes of `__main__`, lambdas and closures travel by value.

    A thread of a Dask worker cannot be stopped. So each task runs in a process of its own beside
    the Dask worker, a warm worker of `LocalExecutor` with all of its guarantees: what a task leaves
    behind is undone or ends that process, whatever it writes is returned, and a task fails for the
    same reasons and with the same errors. A time limit or a cancellation kills this process with
    its group, and is reported once they are dead. A task that has not begun never begins.

    The time limit is watched beside the Dask worker, from the moment that the task begins there.
    So waiting at the scheduler is no part of it, whoever else uses the cluster, and thousands of
    tasks can be handed to the scheduler at once. Where no Dask worker comes, they wait on.

    When a Dask worker dies, what it ran dies with it, and all that it had is a failed attempt: how
    often a task is run is said by `retries` and by no setting of Dask's. A plugin of the scheduler
    sees to that. When the scheduler goes away, tasks on their way fail and the Dask workers end
    what they run; the next task looks for the scheduler anew, for as long as
    `distributed.comm.timeouts.connect` says. That is a setting of Dask, as is what an address
    `tls://...` needs.

    A process has one connection to each scheduler, for all of its event loops: on a loop of its
    own, since a client of distributed leaves tasks running on its loop, which a host's loop may
    not have. It ends with the process, or with `close`.

    Args:
        cache_dir: folder, where the Dask workers are, for the output of running tasks; "" is the
            system's for temporary files. The files have no name there, and vanish with the task.
        scheduler_address: that of a Dask scheduler, such as `tcp://host:8786`. "" is a cluster
            embedded in this process, with as many tasks at once as there are processors, which no
            other process can reach. It starts with the first task, and ends with this process.

    The other arguments are those of `AsyncBaseExecutor`. `scheduler_address` is named as in
    Covalent's `DaskExecutor`.
    """

    enforces = frozenset({"time_limit"})

    def __init__(
        self,
        log_stdout: str = "",
        log_stderr: str = "",
        cache_dir: str = "",
        time_limit: float | None = -1,
        retries: int = 0,
        *,
        scheduler_address: str = "",
    ) -> None:
        super().__init__(log_stdout, log_stderr, cache_dir, time_limit, retries)
        self.scheduler_address = _checked(scheduler_address)

    async def setup(self, task_metadata: dict[str, Any]) -> None:
        """Connect to the scheduler, unless this process is connected to it."""
        self._limit()
        await link_to(_checked(self.scheduler_address))

    async def run(
        self,
        function: Callable[..., Any],
        args: list[Any],
        kwargs: dict[str, Any],
        task_metadata: dict[str, Any],
    ) -> Any:
        """Run one attempt on the cluster."""
        limit = self._limit()
        work = (function, args, kwargs)
        head = (new_token(), self.cache_dir, limit)
        task = plainly_dumped(*work)
        message = joined(head, task) if task else await in_thread(_packed, head, work)
        address = _checked(self.scheduler_address)
        link = await link_to(address)
        job = Job(head[0], message)
        link.submit(job)
        try:
            await self.set_job_handle({"address": address, "token": job.token})
            told = await job.told
        except GeneratorExit:
            link.stop(job.token)  # thrown away with its loop: nothing can be awaited
            raise
        except BaseException:
            await undisturbed(_stopped(link, job))
            if job.ending is not None:
                self._print(job.ending)
            raise
        self._print(told)
        if told.ending == ANSWERED and (answer := told.answer) is not None:
            return understood(answer) if answer.is_plain else await in_thread(understood, answer)
        if told.ending == TIMED_OUT:
            raise TaskTimeoutError(
                f"The task of dispatch {task_metadata['dispatch_id']!r}, node "
                f"{task_metadata['node_id']}, took longer than its time_limit of {limit:g} seconds"
            )
        if told.ending in (STOPPED, REFUSED):
            raise TaskCancelledError("The task was stopped by cancel()")
        raise TaskRuntimeError(told.words)

    async def cancel(self, task_metadata: dict[str, Any], job_handle: Any) -> bool:
        """Stop a task; True if that ended it or kept it from beginning, False if it was late.

        It returns once the work is dead; the awaiting `execute` then ends as CANCELLED. Works from
        any thread, event loop and process that can reach the scheduler; a task of the embedded
        cluster can be stopped in its own process alone. TaskRuntimeError if the scheduler cannot
        be reached.
        """
        handle = job_handle if isinstance(job_handle, dict) else {}
        address, token = handle.get("address"), handle.get("token")
        if not isinstance(address, str) or not isinstance(token, str):
            return False
        if not address and not has_link(address):
            return False
        link = await link_to(_checked(address))
        return await asyncio.wrap_future(link.stop(token))

    async def close(self) -> None:
        """Close the connection to the scheduler, if no task of this process uses it."""
        await close_link(_checked(self.scheduler_address))

    def _limit(self) -> float | None:
        return effective_time_limit(check_attribute("time_limit", self.time_limit, type(self)))

    def _print(self, told: Told) -> None:
        if self.task_stdout is not None and self.task_stderr is not None:
            self.task_stdout.write(told.stdout)
            self.task_stderr.write(told.stderr)
            if told.answer is not None and told.answer.problem:
                self.task_stderr.write(f"{told.answer.problem}\n")


def _packed(head: tuple[Any, ...], work: Task) -> bytes:
    return joined(head, dumped(work))


async def _stopped(link: Any, job: Job) -> None:
    await asyncio.wrap_future(link.stop(job.token))


_ADDRESS = re.compile(
    r"([a-z][a-z0-9+]*://)?(\[[0-9A-Fa-f:.%]+\]|[^\s:/\[\]]+):([0-9]{1,5})(/\S*)?"
)


def _checked(address: Any) -> str:
    """Return the address of a scheduler if it can be one; TypeError or ValueError else."""
    if not isinstance(address, str):
        raise TypeError(
            f"scheduler_address must be a str, not {address!r}: pass 'tcp://host:port', "
            f"or '' for a cluster in this process"
        )
    if not address:
        return address
    match = _ADDRESS.fullmatch(address)
    if match is None or not 0 < int(match[3]) < 1 << 16:
        raise ValueError(
            f"scheduler_address is {address!r}, which cannot be one: pass 'tcp://host:port', "
            f"or '' for a cluster in this process"
        )
    return address
