"""The logs of a task, `log_stdout` and `log_stderr`: what they hold when it has ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...contract.wording import short_text
from ..instruments.seen import Seen
from ..subject.subject import Subject


def print_both(out: str, err: str, error: str = "") -> str:
    import builtins
    import sys

    print(out, end="", flush=True)
    print(err, end="", file=sys.stderr, flush=True)
    if error:
        raise getattr(builtins, error)("on purpose")
    return "result"


def judge_logs(subject: Subject, *, of_run: bool = False, may_log_in_run: bool = False) -> bool:
    """Run three tasks with logs, and fail if one of them lacks something.

    Args:
        of_run: the streams are written to by a function in place of `run`, not by a task.
        may_log_in_run: logs are known to be written, be it by the `run` that was replaced.

    Returns whether anything was captured, and so could be judged.
    """
    proven: set[str] = set()
    for ending, error in (("success", ""), ("failure", "ValueError"), ("time-out", "TimeoutError")):
        folder = subject.new_folder()
        logs = {stream: folder / f"{stream}.txt" for stream in ("stdout", "stderr")}
        wrote = {stream: f"{ending} to {stream}\n" for stream in logs}
        executor = subject.build(log_stdout=str(logs["stdout"]), log_stderr=str(logs["stderr"]))
        replaced = {"run": _run_that_writes(wrote, error)} if of_run else {}
        with subject.recording(executor, **replaced) as history:
            seen = subject.run(
                executor, print_both, *wrote.values(), error, results_dir=folder / "results"
            )

        if ending == "success":
            # What a stream does not bring back from a success is not asked for later either.
            proven = {s for s in logs if wrote[s] in getattr(seen, s)}
            if not proven:
                return False
        missing = _unlogged(
            seen,
            {
                stream: path.read_text("utf-8", "replace") if path.is_file() else None
                for stream, path in logs.items()
            },
            {stream: wrote[stream] for stream in proven},
        )
        if missing is not None and ending == "success" and may_log_in_run:
            return False
        if missing is not None:
            whose = (
                "`run` that wrote to self.task_stdout and self.task_stderr"
                if of_run
                else "task that printed"
            )
            subject.fail(
                seen=f"after the {ending} of a {whose}, {missing}; {seen}",
                required="after success, failure and time-out, the file log_stdout holds what the "
                "task wrote to its standard output, and log_stderr likewise",
                cause="the logs are written behind the last line that can raise, and not in a "
                "`finally`"
                if error
                else "nobody calls write_streams_to_file with log_stdout and log_stderr",
                history=history,
                reproduce=_LOGS.format(error=error, task=_WRITES_TO_STREAMS if of_run else _PRINTS),
            )
    return True


def _unlogged(seen: Seen, logged: Mapping[str, str | None], wrote: Mapping[str, str]) -> str | None:
    """What of a task's streams is missing in its logs.

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
import asyncio, builtins, sys, tempfile
from pathlib import Path
from pytest_asyncexec.conformance.subject.host import host_for

{task}
folder = Path(tempfile.mkdtemp())
executor.log_stdout, executor.log_stderr = str(folder / "out"), str(folder / "err")
print(asyncio.run(host_for(executor).execute(executor, task, ["{error}"])))
print({{path.name: path.read_text() for path in folder.iterdir()}})
"""


_PRINTS = """\
def task(error):
    import builtins
    print("printed out", flush=True)
    print("printed err", file=sys.stderr, flush=True)
    if error:
        raise getattr(builtins, error)("on purpose")
"""


_WRITES_TO_STREAMS = """\
def run(self, function, args, kwargs, task_metadata):
    self.task_stdout.write("printed out")
    self.task_stderr.write("printed err")
    if args[0]:
        raise getattr(builtins, args[0])("on purpose")
async def run_async(self, *args, **kwargs):
    return run(self, *args, **kwargs)
task = print  # not called: what the executor itself writes to its streams is logged
type(executor).run = run_async if asyncio.iscoroutinefunction(executor.run) else run
"""


def _run_that_writes(wrote: Mapping[str, str], error: str) -> Callable[..., str]:
    def run(original: Callable[..., Any], executor: Any, *args: Any, **kwargs: Any) -> str:
        for stream, text in wrote.items():
            target = getattr(executor, f"task_{stream}", None)
            if target is not None and hasattr(target, "write"):
                target.write(text)
        if error:
            raise {"ValueError": ValueError, "TimeoutError": TimeoutError}[error]("on purpose")
        return "result"

    return run


UNWRITABLE = """
    import asyncio, tempfile
    from pytest_asyncexec.conformance.subject.host import host_for

    def task(error):
        import builtins
        if error:
            raise getattr(builtins, error)("on purpose")
        return "result"

    executor.log_stdout = executor.log_stderr = tempfile.mkdtemp()
    print(asyncio.run(host_for(executor).execute(executor, task, ["{error}"])))
"""


def hides_outcome(seen: Seen, error: str, folder: str) -> bool:
    """Whether the trouble with the logs, whose paths are in `folder`, hid how the task ended."""
    if not error:
        return not seen.completed or seen.result != "result"
    if seen.completed or "on purpose" not in seen.everything_said:
        return True
    # The task's error as the mere context of an OSError is hidden from whoever catches it.
    if seen.error is None or isinstance(seen.error, BaseExceptionGroup):
        return False
    own_words = [str(seen.error), *getattr(seen.error, "__notes__", ())]
    return folder in str(seen.error) and not any("on purpose" in words for words in own_words)
