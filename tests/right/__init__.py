"""Right executors of very different make: none of them may fail a MUST."""

from __future__ import annotations

from pytest_asyncexec.targets.loading import load_target
from pytest_asyncexec.targets.target import Target

SPECS = (
    "right.makes:BracketPerAttempt",
    "right.makes:DataclassExecutor",
    "right.makes:EnumeratedStatus",
    "right.makes:FilesExecutor",
    "right.makes:GroupedExecutor",
    "right.makes:OwnExecute",
    "right.makes:PartialRun",
    "right.makes:PropertiesExecutor",
    "right.makes:QueueingExecutor",
    "right.makes:Registered",
    "right.makes:SlotsExecutor",
    "right.makes:SlowSetup",
    "right.makes:SynchronousExecutor",
    "right.makes:Temperamental",
    "right.makes:Validating",
    "right.makes:make_cluster_executor",
    "right.makes:make_proxy",
    "right.synchronous:BlockingJobs",
    "right.synchronous:CallsItHere",
    "right.workers:ChattyExecutor",
    "right.workers:KeywordsEverywhere",
    "right.workers:NoNetwork",
    "right.workers:PersistentWorker",
    "right.workers:PollingExecutor",
    "right.workers:TriesAgainWhenAWorkerDies",
    "right.workers:make_one_worker_at_a_time",
    "right.workers:make_warm_workers",
    "pytest_asyncexec.reference_executor:ThreadExecutor",
)


def targets() -> list[Target]:
    """Every right executor, as the suite is given it."""
    return [load_target(spec) for spec in SPECS]
