"""A Dask cluster in other processes, for tests, and executors on it for the suite."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from pytest_asyncexec.reference_executor import DaskExecutor

#: Where `make_executor` finds the address, in the processes that the suite starts too.
VARIABLE = "DASK_CLUSTER_OF_THE_TESTS"


def make_executor(
    log_stdout: str = "",
    log_stderr: str = "",
    cache_dir: str = "",
    time_limit: float | None = -1,
    retries: int = 0,
) -> DaskExecutor:
    """Make an executor on the cluster whose address is in the environment."""
    return DaskExecutor(
        log_stdout,
        log_stderr,
        cache_dir,
        time_limit,
        retries,
        scheduler_address=os.environ[VARIABLE],
    )


class Cluster:
    """A `dask scheduler` and a `dask worker` with two workers of one thread, on loopback."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = "tcp://127.0.0.1:0"
        self._number = 0
        self.start()

    def start(self) -> None:
        """Start both, at the address where they were before."""
        self._number += 1
        file = self.folder / f"scheduler-{self._number}.json"
        port = self.address.rpartition(":")[2]
        self.scheduler = self._process(
            "dask_scheduler", "--port", port, "--scheduler-file", str(file)
        )
        # There before anything is in it.
        while not file.exists() or not file.read_text().endswith("}"):
            assert self.scheduler.poll() is None, self.log()
            time.sleep(0.02)
        self.address = json.loads(file.read_text())["address"]
        self.worker = self._process(
            "dask_worker", self.address, "--nworkers", "2", "--nthreads", "1"
        )

    def _process(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        web = ["--host", "127.0.0.1", "--no-dashboard", "--dashboard-address", "127.0.0.1:0"]
        with open(self.folder / "log", "ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.{name}", *arguments, *web],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=os.environ | {"DASK_TEMPORARY_DIRECTORY": str(self.folder)},
            )

    def kill_scheduler(self) -> None:
        """Let the scheduler die without a word, and wait until its workers have noticed."""
        self.scheduler.kill()
        self.scheduler.wait()

    def log(self) -> str:
        """Return what scheduler and workers have printed."""
        return (self.folder / "log").read_text()

    def stop(self) -> None:
        """End all processes of the cluster."""
        for process in (self.worker, self.scheduler):
            process.send_signal(signal.SIGTERM)
            process.wait()
