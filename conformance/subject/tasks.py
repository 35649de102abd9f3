"""How tasks are handed over: by which host, under which ids, and with which folders."""

from __future__ import annotations

import re
import shutil
import tempfile
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..instruments.by_value import ByValue
from ..instruments.seen import Seen
from .host import NativeHost, TemplateHost, host_for

_DRAWN = re.compile(rb"(?=([0-9a-f]{32}))")


class Tasks:
    """Hands tasks to the executors of one subject."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="asyncexec-"))
        #: Whether this package's own `run_task` is the host.
        self.under_template = False
        #: What that one answers whoever asks whether it wants the task stopped, if anything.
        self.stop_requested: Callable[[], bool] | None = None
        self._dispatches: set[bytes] = set()

    def new_dispatch(self) -> str:
        """A dispatch id that nobody has used before, in any run: backends remember."""
        drawn = uuid.uuid4().hex
        self._dispatches.add(drawn.encode())
        return f"dispatch-{drawn}"

    def has_drawn(self, text: bytes) -> bool:
        """Whether a dispatch id of this subject is in a text: no other run can have one."""
        return not self._dispatches.isdisjoint(_DRAWN.findall(text))

    def new_folder(self) -> Path:
        """An empty folder that is removed at the end."""
        return Path(tempfile.mkdtemp(dir=self.folder))

    def host_for(self, executor: Any) -> NativeHost:
        """The host that hands over tasks to this executor at this moment."""
        host = host_for(executor)
        if self.under_template and not isinstance(host, TemplateHost):
            host = TemplateHost(host)
        if isinstance(host, TemplateHost):
            host.stop_requested = self.stop_requested
        return host

    async def execute(
        self,
        executor: Any,
        function: Callable[..., Any],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        dispatch_id: str | None = None,
        node_id: int = 0,
        results_dir: str | Path | None = None,
        by_value: bool = True,
    ) -> Seen:
        """Run one task through the host and see what comes of it."""
        dispatch_id = self.new_dispatch() if dispatch_id is None else dispatch_id
        results_dir = str(self.folder / "results" if results_dir is None else results_dir)
        return await self.host_for(executor).execute(
            executor,
            ByValue(function) if by_value else function,
            args,
            kwargs,
            dispatch_id=dispatch_id,
            node_id=node_id,
            results_dir=results_dir,
        )

    def close(self) -> None:
        """Remove every file of the run."""
        shutil.rmtree(self.folder, ignore_errors=True)
