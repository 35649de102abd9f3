"""Wrong by CAN."""

from __future__ import annotations

import asyncio

from pytest_asyncexec.reference_executor import LocalExecutor, ThreadExecutor

from pytest_asyncexec import TaskOutcome, TaskStatus

from . import breaks


@breaks("CAN-01", "as if nobody had cancelled it")
class TakesCancellationForFailure(LocalExecutor):
    """Catches everything in `execute`, so that no error is ever lost."""

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        try:
            return await super().execute(function, args, kwargs, dispatch_id, results_dir, node_id)
        except BaseException as error:
            return TaskOutcome(None, "", repr(error), TaskStatus.FAILED)


@breaks("CAN-01", "without teardown having been awaited to its end")
class TearsDownOnErrorsOnly(ThreadExecutor):
    """Written when CancelledError was still an Exception."""

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        metadata = {"dispatch_id": dispatch_id, "node_id": node_id, "results_dir": results_dir}
        await self.setup(metadata)
        try:
            result = await self.run(function, args, kwargs, metadata)
        except Exception:
            await self.teardown(metadata)
            raise
        await self.teardown(metadata)
        return TaskOutcome(result, "", "", TaskStatus.COMPLETED)


@breaks("CAN-01", "status CANCELLED, result None, as if nobody had cancelled it")
class ReportsItsOwnCancellation(LocalExecutor):
    """Takes the cancellation of its host for one of the task, and returns that status."""

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        try:
            return await super().execute(function, args, kwargs, dispatch_id, results_dir, node_id)
        except asyncio.CancelledError:
            return TaskOutcome(None, "", "", TaskStatus.CANCELLED)
