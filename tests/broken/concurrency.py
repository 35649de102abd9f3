"""Wrong by CNC."""

from __future__ import annotations

import asyncio
import io

from pytest_asyncexec.reference_executor import LocalExecutor, ThreadExecutor

from pytest_asyncexec import TaskOutcome, TaskStatus

from . import breaks


@breaks("CNC-01", "it got what belongs to")
class KeepsStreamsOnSelf(LocalExecutor):
    """Makes the streams of a task attributes of the executor, as Covalent's template does."""

    _out = io.StringIO()

    @property
    def task_stdout(self):
        return self._out

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        self._out = io.StringIO()
        outcome = await super().execute(function, args, kwargs, dispatch_id, results_dir, node_id)
        return outcome._replace(stdout=self._out.getvalue())


@breaks("CNC-01", "`run` was given the metadata")
class KeepsNodeOnSelf(ThreadExecutor):
    """Remembers for which node it works, and passes on what it remembers."""

    async def setup(self, task_metadata):
        self._node = task_metadata["node_id"]
        # Every real setup waits for something.
        await asyncio.sleep(0.01)

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        metadata = {"dispatch_id": dispatch_id, "node_id": node_id, "results_dir": results_dir}
        await self.setup(metadata)
        try:
            result = await self.run(function, args, kwargs, metadata | {"node_id": self._node})
        finally:
            await self.teardown(metadata)
        return TaskOutcome(result, "", "", TaskStatus.COMPLETED)
