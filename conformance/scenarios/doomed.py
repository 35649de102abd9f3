"""A host of its own that is killed while its task runs: the other end."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from ...targets.loading import load_target
from ..instruments.by_value import ByValue
from ..instruments.probes import report_home
from ..instruments.seen import Seen
from ..subject.host import TemplateHost, host_for


def main(path: Path) -> None:
    """Run the task of the request in the file `path`; what came of it, if it ever ends."""
    request = json.loads(path.read_text(encoding="utf-8"))
    try:
        executor = load_target(request["spec"]).build()
        answer = {"error": f"its task has ended: {asyncio.run(_run(executor, request))}"}
    except BaseException as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    path.with_suffix(".answer").write_text(json.dumps(answer), encoding="utf-8")


async def _run(executor: Any, request: dict[str, Any]) -> Seen:
    host = host_for(executor)
    if request["template"]:
        host = TemplateHost(host)
    # Of JSON's kinds only a list can be what was a tuple.
    address = request["address"]
    address = tuple(address) if isinstance(address, list) else address
    return await host.execute(
        executor, ByValue(report_home), [address], results_dir=request["results_dir"]
    )
