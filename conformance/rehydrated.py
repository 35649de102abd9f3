"""The other end of a rehydration: what a fresh process does with an executor as JSON text."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..targets import load_target
from .host import TemplateHost, host_for
from .probes import ByValue, echo


def main(path: Path) -> None:
    """Answer the request in the file `path`, beside it: how far it came, and what was seen.

    Not by standard output, to which whoever likes may print.
    """
    request = json.loads(path.read_text(encoding="utf-8"))
    answer: dict[str, Any] = {}
    try:
        for stage in _stages(request, answer):
            answer["stage"] = stage
    except BaseException as error:
        answer["error"] = f"{type(error).__name__}: {error}"
    path.with_suffix(".answer").write_text(json.dumps(answer), encoding="utf-8")


def _stages(request: dict[str, Any], answer: dict[str, Any]) -> Iterator[str]:
    yield "importing the target"
    target = load_target(request["spec"])
    yield "building an executor"
    executor = target.build()
    yield "from_dict"
    rehydrated = executor.from_dict(json.loads(request["text"]))
    # What an executor is as a condition is its own affair.
    executor = executor if rehydrated is None else rehydrated
    yield "to_dict"
    answer["described"] = json.loads(json.dumps(executor.to_dict(), allow_nan=False))
    yield "running a task"
    host = host_for(executor)
    if request["template"]:
        host = TemplateHost(host)
    seen = asyncio.run(
        host.execute(executor, ByValue(echo), ["hello"], results_dir=request["results_dir"])
    )
    answer["completed"] = seen.completed and seen.result == "hello"
    answer["seen"] = str(seen)
    yield "done"
