"""What a right executor shows of a task of the plan: the task itself, run here by its own code."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping
from typing import Any
from unittest import mock

from pytest_asyncexec.conformance.instruments.history import METHODS, Event, History
from pytest_asyncexec.conformance.instruments.seen import Seen
from pytest_asyncexec.conformance.plan import task, values
from pytest_asyncexec.conformance.plan.conditions import (
    CANCELLATIONS,
    DIES,
    FAILURES,
    TOO_LATE,
    Row,
)
from pytest_asyncexec.conformance.plan.observation import Observation

#: The text that no other task has, and that of another task.
OWN, OTHER = "task7xabcdef", "task8x123456"


def right(conditions: Row, *, raises: bool = False, **changed: Any) -> Observation:
    """The observation of a task whose executor is right.

    Args:
        conditions: of the task.
        raises: whether its error is raised; else the status is FAILED.
        changed: what of the observation is to be otherwise.
    """
    cancelled = conditions["end"] in CANCELLATIONS
    result, error, attempts, stdout, stderr = _attempts(tuple(conditions.items()))
    seen: Seen | None
    if cancelled:
        seen = None
    elif error is None:
        seen = Seen(result=result, stdout=stdout, stderr=stderr, status="COMPLETED")
    elif raises:
        seen = Seen(error=error)
    else:
        told = "".join(traceback.format_exception(error))
        seen = Seen(stdout=stdout, stderr=stderr + told, status="FAILED")
    dispatch_id = "dispatch-1"
    observation: dict[str, Any] = {
        "row": conditions,
        "own": OWN,
        "dispatch_id": dispatch_id,
        "results_dir": "results",
        "seen": seen,
        "cancelled": cancelled,
        "attempts": attempts,
        "history": history("s" + "r" * attempts + "t", dispatch_id, int(conditions["node"])),
        "has": METHODS,
        "logs": _logs(conditions, stdout, stderr),
        "kept_logs": _logs(conditions, stdout, stderr),
    }
    return Observation(**{**observation, **changed})


def history(steps: str, dispatch_id: str = "dispatch-1", node_id: Any = 0) -> History:
    """A call of `setup`, `run` or `teardown` for each letter; one in capitals does not end."""
    names = {"s": METHODS[0], "r": METHODS[1], "t": METHODS[2]}
    metadata = {"dispatch_id": dispatch_id, "node_id": node_id, "results_dir": "results"}
    return History(
        [
            Event(number, names[letter.lower()], step, metadata)
            for number, letter in enumerate(steps)
            for step in ("begins", "returns")
            if step == "begins" or letter.islower()
        ]
    )


def _logs(conditions: Row, stdout: str, stderr: str) -> dict[str, str]:
    if conditions["logs"] == "both":
        return {"stdout": stdout, "stderr": stderr}
    if conditions["logs"] == "one file for both":
        return {"stdout": stdout + stderr, "stderr": stdout + stderr}
    return {} if conditions["logs"] in ("none", "unwritable") else {"stdout": stdout}


@functools.cache
def _attempts(of: tuple[tuple[str, str], ...]) -> tuple[Any, BaseException | None, int, str, str]:
    """The result or the last error, how many attempts there were, and what they printed."""
    conditions = dict(of)
    cancelled = conditions["end"] in CANCELLATIONS
    budget = 1 if cancelled else 1 + int(conditions["retries"])
    error: BaseException | None = None
    out, err = [], []
    for number in range(1, budget + 1):
        told = mock.patch.object(task, "report_home", return_value=number)
        with _captured() as texts, told:
            try:
                result = _attempt(conditions)
                error = None
            except BaseException as failure:
                result, error = None, failure
        out.append(texts["stdout"])
        err.append(texts["stderr"])
        if error is None:
            break
    return result, error, len(out), "".join(out), "".join(err)


def _attempt(conditions: Row) -> Any:
    names = ("end", "result", "arguments", "names", "prints")
    orders: dict[str, Any] = {name: conditions[name] for name in names}
    orders |= {"fails": int(conditions["fails"]), "own": OWN}
    orders["errors"] = FAILURES[conditions["errors"]]
    given = values.arguments(conditions["arguments"], OWN)
    named = values.named(conditions["names"], OWN)
    if conditions["end"] in (TOO_LATE, DIES):
        # Somebody else ends those.
        task.act("the suite", {**orders, "end": "returns"}, *given, **named)
        raise TimeoutError if conditions["end"] == TOO_LATE else ChildProcessError
    return task.act("the suite", orders, *given, **named)


@contextlib.contextmanager
def _captured() -> Iterator[Mapping[str, str]]:
    """What is written to the two descriptors within this block, and to Python's streams."""
    texts: dict[str, str] = {}
    with contextlib.ExitStack() as undo:
        files = {}
        for descriptor, name in ((1, "stdout"), (2, "stderr")):
            file = files[name] = undo.enter_context(tempfile.TemporaryFile())
            kept = os.dup(descriptor)
            undo.callback(os.close, kept)
            undo.callback(os.dup2, kept, descriptor)
            os.dup2(file.fileno(), descriptor)
            stream = undo.enter_context(
                open(os.dup(descriptor), "w", encoding="utf-8", newline="", buffering=1)
            )
            undo.enter_context(mock.patch.object(sys, name, stream))
        yield texts
        for name, file in files.items():
            getattr(sys, name).flush()
            file.seek(0)
            texts[name] = file.read().decode()
