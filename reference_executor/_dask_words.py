"""What a user reads when Dask has failed."""

from distributed.scheduler import KilledWorker

__all__ = ["lost", "reason", "refusal"]


def lost(address: str, error: Exception | None) -> str:
    """Say that the scheduler has gone."""
    why = "" if error is None else f": {type(error).__qualname__}: {error}"
    return (
        f"The connection to the Dask scheduler at {address} was lost while the task was on its "
        f"way, and its Dask workers end what they run without a scheduler{why}"
    )


def reason(address: str, error: BaseException | None) -> str:
    """Say why Dask has given up a task."""
    if isinstance(error, KilledWorker):
        last = getattr(error.last_worker, "address", error.last_worker)
        return f"The Dask worker {last} died, which had the task and may have begun it"
    return (
        f"Dask could not run the task: {type(error).__qualname__}: {error}. Compare the "
        f"environments: the scheduler at {address} and its workers need pytest-asyncexec[dask], "
        f"and the versions of Python, dask, distributed and cloudpickle that this process has"
    )


def refusal(address: str, problem: str) -> str:
    """Say that there is no scheduler."""
    if not address:
        return f"The Dask cluster in this process cannot be started: {problem}"
    return (
        f"The Dask scheduler at {address} cannot be reached: {problem}. Check scheduler_address, "
        f"and that `dask scheduler` runs there, with this package installed; Dask's setting "
        f"distributed.comm.timeouts.connect says how long to try"
    )
