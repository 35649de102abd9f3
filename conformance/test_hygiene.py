"""HYG: what an executor leaves behind in the host's process and on its disk."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from ..contract.wording import short
from .check import check
from .instruments.process_state import ProcessState
from .instruments.residue import Held, held
from .scenarios.aftermath import (
    TURNS,
    Aftermath,
    aftermath,
    files_of_tasks,
    overlapping,
    settled,
    temporary_folder,
)
from .scenarios.endings import DIES, FAILS, RETRIED, SUCCEEDS, TOO_LATE, UNSENT, Ending
from .scenarios.fresh_process import in_main_thread_of_a_fresh_process
from .scenarios.unbroken import judge_unbroken
from .subject.subject import Subject

_TASKS_OF_EACH_KIND = """
    import asyncio, functools, os, threading
    from pytest_asyncexec.conformance.subject.host import host_for

    def succeed(*args):
        return "result"

    def fail():
        raise ValueError("on purpose")

    def go_on():
        import time
        time.sleep(60)

    def die():
        import os
        os._exit(3)

    {setting}async def run(task, host=host_for(executor)):
        executing = asyncio.ensure_future(host.execute(executor, task))
        await asyncio.wait({{executing}}, timeout=5)
        executing.cancel()
        await asyncio.wait({{executing}})

    {rest}
"""


#: In the script above, what is set before tasks that end so, and what those are.
_SETTINGS = {TOO_LATE: "executor.time_limit = 1", RETRIED: "executor.retries = 1"}
_TASKS = {
    SUCCEEDS: "succeed",
    FAILS: "fail",
    RETRIED: "fail",
    DIES: "die",
    UNSENT: "functools.partial(succeed, threading.Lock())",
}


def _script(kind: str, *rest: str) -> str:
    """The script above for tasks that end in this way, with `rest` behind it."""
    setting = f"{_SETTINGS[kind]}\n\n    " if kind in _SETTINGS else ""
    return _TASKS_OF_EACH_KIND.format(setting=setting, rest="\n    ".join(rest))


def _task(kind: str) -> str:
    """What the script above runs for a task that ends in this way."""
    return _TASKS.get(kind, "go_on")


# ---- asyncio tasks -----------------------------------------------------------------------------


@check("HYG-01", working=False)
def test_HYG_01_must_leave_no_asyncio_task_running(subject: Subject) -> None:
    judge_unbroken(subject, _decide_by_asyncio_tasks)


def _decide_by_asyncio_tasks(subject: Subject) -> None:
    seen = aftermath(subject)

    # Of many at once each may have a client that others will use; of one after the other none has.
    for kind, traces in seen.of.items():
        if not traces.running:
            continue
        ending = seen.kinds[kind]
        with subject.following(seen.executor):
            left = subject.drive(lambda ending=ending: _left_running(ending))  # type: ignore[misc]

        if all(left):
            subject.fail(
                seen=f"of {len(left)} tasks, each of which {kind}, every one left an asyncio task "
                f"running: {'; '.join(sorted({name for names in left for name in names}))}",
                required="when execute is over, so are the asyncio tasks that it has started",
                cause="a task of asyncio.create_task() or ensure_future(), a heartbeat or a reader "
                "of a log, that is neither awaited nor cancelled in a `finally`",
                reproduce=_script(
                    kind,
                    "async def main():",
                    "    for _ in range(3):",
                    f"        await run({_task(kind)})",
                    "    await asyncio.sleep(0)",
                    "    for task in asyncio.all_tasks() - {asyncio.current_task()}:",
                    "        print(task)",
                    "",
                    "asyncio.run(main())",
                ),
            )


async def _left_running(ending: Ending, times: int = 3) -> list[set[str]]:
    """What each of some tasks left running to the end, in words.

    What is left by one of them alone may be a client of the executor's own, which was needed for
    the first time; what is left by each of them would be left by a thousand.
    """
    known = asyncio.all_tasks()
    born: list[set[asyncio.Task[Any]]] = []
    for _ in range(times):
        await ending()
        for _ in range(TURNS):
            await asyncio.sleep(0)
        new = asyncio.all_tasks() - known
        born.append(new)
        known |= new
    left = [{task for task in tasks if not task.done()} for tasks in born]
    names = [{_coroutine(task) for task in tasks} for tasks in left]
    if all(left):
        for task in set().union(*left):
            task.cancel()
    return names


def _coroutine(task: asyncio.Task[Any]) -> str:
    coroutine: Any = task.get_coro()
    name = getattr(coroutine, "__qualname__", None) or repr(coroutine)
    frame = getattr(coroutine, "cr_frame", None)
    where = f" ({os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno})" if frame else ""
    return f"{name}{where}"


# ---- threads, child processes, file descriptors ------------------------------------------------

#: Steps of the trial that decides, and tasks in each of them: a leak shows in every step; a pool
#: that fills up by and by, or a client that is needed for the first time, in some.
_STEPS, _TASKS_IN_A_STEP = 6, 2


@check("HYG-02", working=False)
def test_HYG_02_must_not_grow_with_the_number_of_tasks(subject: Subject) -> None:
    judge_unbroken(subject, _decide_by_growth)


def _decide_by_growth(subject: Subject) -> None:
    seen = aftermath(subject)
    # Many more: it may be a pool that fills up by and by.
    for kind, traces in seen.of.items():
        if not traces.grown:
            continue
        with subject.following(seen.executor):
            leaked = _born_in_each_step(subject, seen.kinds[kind])
        if leaked:
            what, names = next(iter(leaked.items()))
            subject.fail(
                seen=f"of {_STEPS * _TASKS_IN_A_STEP} tasks, each of which {kind}, every one or "
                f"every other one left {what} in the host: {_few(names)}",
                required="threads, child processes and file descriptors are as many after a "
                "thousand tasks as after one",
                cause=_LEAKS[what],
                reproduce=_script(
                    kind,
                    "import os, threading",
                    "",
                    "async def main():",
                    "    for _ in range(4):",
                    f"        await run({_task(kind)})",
                    f"        print({_COUNTS[what]})",
                    "",
                    "asyncio.run(main())",
                ),
            )


_LEAKS = {
    "threads": "a ThreadPoolExecutor or a Thread for every task, and nobody shuts it down or "
    "joins it",
    "child processes": "a process that is started for every task, and neither awaited nor killed; "
    "a zombie is one that has ended, whose exit code nobody asked for",
    "file descriptors": "a file, a pipe, a socket or a client that is opened for every task, and "
    "not closed in a `finally`",
}
_COUNTS = {
    "threads": "threading.active_count()",
    "child processes": 'os.system(f"ps --ppid {os.getpid()}")',
    "file descriptors": 'len(os.listdir("/dev/fd"))',
}


def _born_in_each_step(subject: Subject, ending: Ending) -> dict[str, list[str]]:
    """By kind: the names of things that came with each step of a trial, and stay after it."""
    born: list[Held] = []

    async def story() -> None:
        known = held(garbage=True)
        for _ in range(_STEPS):
            for _ in range(_TASKS_IN_A_STEP):
                await ending()
            now = held(garbage=True)
            born.append(
                {
                    what: {key: name for key, name in things.items() if key not in known[what]}
                    for what, things in now.items()
                }
            )
            known = {what: {**known[what], **things} for what, things in now.items()}

    def left() -> dict[str, list[str]]:
        now = held()
        found = {}
        for what, things in now.items():
            stay = [[name for key, name in step[what].items() if key in things] for step in born]
            if all(stay):
                found[what] = [name for names in stay for name in names]
        return found

    subject.drive(story, progress=lambda: len(born))
    return settled(left)


def _few(names: list[str], limit: int = 4) -> str:
    distinct = sorted(set(names))
    rest = f" and {len(distinct) - limit} more" if len(distinct) > limit else ""
    return ", ".join(map(short, distinct[:limit])) + rest


# ---- the state of the process ------------------------------------------------------------------


@check("HYG-03", working=False)
def test_HYG_03_must_leave_the_process_as_it_was(subject: Subject) -> None:
    judge_unbroken(subject, _decide_by_the_process)


def _decide_by_the_process(subject: Subject) -> None:
    seen = aftermath(subject)
    for kind, traces in seen.of.items():
        if traces.changes:
            _tell_of_changes(subject, *_fewest(subject, seen, kind))
    if seen.first_changes:
        _tell_of_changes(subject, "the first tasks, which end in every way", seen.first_changes)

    if subject.preflight().changes:
        _tell_of_changes(
            subject, "the first task of all, which succeeds", [*subject.preflight().changes]
        )

    # Where every user's asyncio.run is, more can be changed: the handlers of signals, for one.
    there = in_main_thread_of_a_fresh_process(subject)
    if "changes" not in there:
        subject.could_not_run(
            f"blocked: in the main thread of a fresh process {there['stage']} ended in "
            f"{there['error']}"
        )
    if there["changes"]:
        _tell_of_changes(subject, _IN_MAIN_THREAD, there["changes"])


_IN_MAIN_THREAD = "two tasks at once that fail, called from the main thread of a process"
_OVERLAPPING = "two tasks at once, of which the first to begin is the first to end"


def _fewest(subject: Subject, seen: Aftermath, kind: str) -> tuple[str, list[str]]:
    """The fewest tasks after which the process is not what it was, and how it is not."""
    stories: dict[str, Callable[[], Any]] = {
        f"one task that {kind}": seen.kinds[kind],
        _OVERLAPPING: lambda: overlapping(subject, seen.executor),
    }
    for what, story in stories.items():
        state = ProcessState()
        with subject.following(seen.executor):
            subject.drive(story)
        changes = state.changes()
        state.restore()
        if changes:
            return what, changes
    return f"several tasks at once, each of which {kind}", seen.of[kind].changes


def _tell_of_changes(subject: Subject, what: str, changes: list[str]) -> NoReturn:
    kind = FAILS if what == _IN_MAIN_THREAD else what.rpartition("that ")[2]
    subject.fail(
        seen=f"after {what}, {'; '.join(changes)}",
        required="what all of the host's process shares is as it was before the task: the working "
        "directory, the environment, sys.stdout and sys.stderr, the umask, the handlers of "
        "signals, the import path, the random generator, warning filters, the handlers of the "
        "root logger, the time limit of sockets",
        cause="what belongs to all of the process is changed for one task: give the worker "
        "a `cwd` and an `env` instead. To put it back in the end is not enough: tasks "
        "overlap, and the last one puts back what the first one had set"
        if what == _OVERLAPPING
        else "what belongs to all of the process is changed for one task, and not put back "
        "in a `finally`",
        reproduce=_script(
            kind,
            "from pytest_asyncexec.conformance.instruments.process_state import ProcessState",
            "",
            "async def main():",
            *(
                [
                    "    first = asyncio.ensure_future(run(go_on))",
                    "    await asyncio.sleep(1)",
                    "    await asyncio.gather(first, run(go_on))",
                ]
                if what == _OVERLAPPING
                else [f"    await run({_task(kind)})"]
            ),
            "",
            "state = ProcessState()",
            "asyncio.run(main())",
            'os.write(1, "\\n".join(state.changes()).encode())',
        ),
    )


# ---- files -------------------------------------------------------------------------------------


@check("HYG-04", working=False)
def test_HYG_04_should_leave_no_file_of_a_finished_task(subject: Subject) -> None:
    judge_unbroken(subject, _decide_by_files)


def _decide_by_files(subject: Subject) -> None:
    seen = aftermath(subject)
    temporary = temporary_folder(seen.folders["the temporary folder"])
    with temporary, seen.elsewhere.watched():
        for kind, traces in seen.of.items():
            left = _left_by_each(subject, seen, seen.kinds[kind]) if traces.files else []
            if left:
                _tell_of_files(subject, kind, left, seen.folders)
    if not subject.preflight().shared_files:
        subject.could_not_run(
            "nothing was left on this machine; what tasks leave where they run cannot be seen"
        )


def _left_by_each(subject: Subject, seen: Aftermath, ending: Ending) -> list[str]:
    """What two tasks left in the folders, if both of them left something.

    The first of three may leave what the executor itself needs from then on.
    """
    born: list[set[str]] = []
    known = files_of_tasks(subject, seen)
    for _ in range(3):
        with subject.following(seen.executor):
            subject.drive(lambda: _once(ending))
        born.append(files_of_tasks(subject, seen) - known)
        known |= born[-1]

    def left() -> list[str]:
        now = files_of_tasks(subject, seen)
        stay = [paths & now for paths in born[1:]]
        return sorted(set().union(*stay)) if all(stay) else []

    return settled(left)


async def _once(ending: Ending) -> None:
    await ending()


def _tell_of_files(
    subject: Subject, kind: str, left: list[str], folders: Mapping[str, Path]
) -> NoReturn:
    subject.fail(
        seen=f"two tasks, each of which {kind}, left {len(left)} files and folders: "
        + ", ".join(_shown(path, folders) for path in left[:6]),
        required="when execute is over, the files of its task are gone from cache_dir, from the "
        "temporary folder, from every folder that an attribute names, and from wherever else they "
        "were put",
        cause="they are removed behind the last line that can raise or be cancelled, "
        "and not in a `finally`"
        if kind != SUCCEEDS
        else "tempfile.mkdtemp() and mkstemp() leave it to their caller to remove what "
        "they have made; and a hundred thousand tasks fill every disk",
        reproduce=_script(
            kind,
            "import os, tempfile",
            "",
            "executor.cache_dir = tempfile.tempdir = tempfile.mkdtemp()",
            'os.environ["TMPDIR"] = tempfile.tempdir',
            f"folders = {_above(left, folders)}",
            "before = [set(os.listdir(folder)) for folder in folders]",
            f"asyncio.run(run({_task(kind)}))",
            "print([set(os.listdir(folder)) - known for folder, known in zip(folders, before)])",
        ),
    )


def _above(left: list[str], folders: Mapping[str, Path]) -> str:
    """The folders to look into by the script, as it names them: those that tasks left it in."""
    elsewhere = [path for path in left if not _is_in(path, folders)]
    # The parent of what lies highest: a folder of a task's own is none that was there before.
    return f"[tempfile.tempdir{''.join(f', {os.path.dirname(path)!r}' for path in elsewhere[:1])}]"


def _is_in(path: str, folders: Mapping[str, Path]) -> bool:
    return any(Path(path).is_relative_to(folder) for folder in folders.values())


def _shown(path: str, folders: Mapping[str, Path]) -> str:
    for name, folder in folders.items():
        if Path(path).is_relative_to(folder):
            return f"{Path(path).relative_to(folder)} in {name}"
    return path
