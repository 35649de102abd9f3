"""The logs of a `run` that writes to its streams itself: what they hold when it has ended."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final

from ...contract.wording import short_text
from ..instruments.history import then_raise
from ..instruments.probes import echo
from ..instruments.seen import Seen
from ..subject.subject import Subject

_TIME_LIMIT: Final = "time limit"
_TEARDOWN: Final = "teardown"
#: How `run` ends, and the error that it raises.
_ENDINGS: Final = (
    ("success", ""),
    ("failure", "ValueError"),
    ("time-out", "TimeoutError"),
    ("time-out by its time_limit", _TIME_LIMIT),
    ("success, before a teardown that raises,", _TEARDOWN),
)

_RAISED: Final = {"ValueError": ValueError, "TimeoutError": TimeoutError}

#: Seconds. Whoever does not enforce the limit outside of `run` lets it return after the longer.
_LIMIT, _LONGER = 0.1, 1.0


def judge_logs_of_run(subject: Subject, *, may_log_in_run: bool) -> bool:
    """Put another `run` in the place of the executor's, and fail if its logs lack something.

    Args:
        subject: who is judged.
        may_log_in_run: the `run` that is replaced may be what writes the logs.

    Returns whether anything was logged, and so could be judged.
    """
    for ending, error in _ENDINGS:
        folder = subject.new_folder()
        logs = {stream: folder / f"{stream}.txt" for stream in ("stdout", "stderr")}
        wrote = {stream: f"{ending} to {stream}\n" for stream in logs}
        wanted = {f"log_{stream}": str(path) for stream, path in logs.items()}
        executor = subject.build(**wanted)
        if error == _TIME_LIMIT:
            if not _can_be_limited(subject, executor):
                continue
            run = _run_that_stays(wrote)
        else:
            run = _run_that_writes(wrote, error)
        others = {"teardown": then_raise(RuntimeError("on purpose"))} if error == _TEARDOWN else {}
        with subject.recording(executor, run=run, **others) as history:
            seen = subject.run(executor, echo, "hello", results_dir=folder / "results")

        if error == _TIME_LIMIT and not isinstance(seen.error, TimeoutError):
            continue
        if ending == "success" and not any(wrote[s] in getattr(seen, s) for s in logs):
            return False
        missing = _unlogged(
            seen,
            {
                stream: path.read_text("utf-8", "replace") if path.is_file() else None
                for stream, path in logs.items()
            },
            wrote,
        )
        if missing is not None and ending == "success" and may_log_in_run:
            return False
        if missing is not None:
            subject.fail(
                seen=f"after the {ending} of a `run` that wrote to self.task_stdout and "
                f"self.task_stderr, {missing}; {seen}",
                required="after success, failure and time-out, the file log_stdout holds what the "
                "task wrote to its standard output, and log_stderr likewise",
                cause="the logs are written behind the last line that can raise, and not in a "
                "`finally`"
                if error
                else "nobody calls write_streams_to_file with log_stdout and log_stderr",
                history=history,
                reproduce=_LOGS.format(error=error, limit=_LIMIT if error == _TIME_LIMIT else -1),
            )
    return True


def _can_be_limited(subject: Subject, executor: Any) -> bool:
    if "stop" in subject.preflight().cannot:
        return False
    if not inspect.iscoroutinefunction(type(executor).run):
        return False
    try:
        executor.time_limit = _LIMIT
    except Exception:
        return False
    return True


def _unlogged(seen: Seen, logged: Mapping[str, str | None], wrote: Mapping[str, str]) -> str | None:
    """What is missing in the logs.

    Args:
        seen: how the task ended.
        logged: the text of each log, None where there is no file.
        wrote: what must be there of each stream, whether or not it was returned.
    """
    for stream, text in logged.items():
        held = "is not there" if text is None else f"holds {short_text(text)}"
        for expected, whence in (
            (wrote.get(stream, ""), "written to that stream was"),
            (getattr(seen, stream), "returned was"),
        ):
            if expected not in (text or ""):
                return f"log_{stream} {held}, and {whence} {short_text(expected)}"
    return None


_LOGS = """\
import asyncio, builtins, tempfile
from pathlib import Path
from pytest_asyncexec.conformance.subject.host import host_for

def write(executor):
    executor.task_stdout.write("written out")
    executor.task_stderr.write("written err")
    if "{error}" and hasattr(builtins, "{error}"):
        raise getattr(builtins, "{error}")("on purpose")

async def run_async(self, *args, **kwargs):
    write(self)
    await asyncio.sleep({limit} * 10 if {limit} > 0 else 0)

def run(self, *args, **kwargs):
    write(self)

async def teardown(self, task_metadata):
    raise RuntimeError("on purpose")

type(executor).run = run_async if asyncio.iscoroutinefunction(executor.run) else run
if "{error}" == "teardown":
    type(executor).teardown = teardown
folder = Path(tempfile.mkdtemp())
executor.log_stdout, executor.log_stderr = str(folder / "out"), str(folder / "err")
executor.time_limit = {limit}
print(asyncio.run(host_for(executor).execute(executor, abs, [-1], results_dir=str(folder))))
print({{path.name: path.read_text() for path in folder.glob("*") if path.is_file()}})
"""


def _write(executor: Any, wrote: Mapping[str, str]) -> None:
    for stream, text in wrote.items():
        target = getattr(executor, f"task_{stream}", None)
        if target is not None and hasattr(target, "write"):
            target.write(text)


def _run_that_writes(wrote: Mapping[str, str], error: str) -> Callable[..., str]:
    def run(original: Callable[..., Any], executor: Any, *args: Any, **kwargs: Any) -> str:
        _write(executor, wrote)
        if error in _RAISED:
            raise _RAISED[error]("on purpose")
        return "result"

    return run


def _run_that_stays(wrote: Mapping[str, str]) -> Callable[..., Any]:
    async def run(original: Callable[..., Any], executor: Any, *args: Any, **kwargs: Any) -> str:
        _write(executor, wrote)
        await asyncio.sleep(_LONGER)
        return "result"

    return run
