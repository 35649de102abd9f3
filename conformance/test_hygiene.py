"""HYG: what an executor leaves behind in the host's process and on its disk."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from ..contract.wording import short
from .check import check
from .instruments import patience
from .instruments.beacon import Attempt
from .instruments.guard import Guard
from .instruments.probes import echo, report_home
from .instruments.residue import Held, files_below, held
from .instruments.seen import finish
from .scenarios.endings import Ending, endings
from .subject.exceptions import CouldNotRun
from .subject.subject import Subject

T = TypeVar("T")

#: Runs a coroutine function on an event loop: the subject's own, or a fresh one.
Drive = Callable[[Callable[[], Coroutine[Any, Any, None]]], None]

#: Turns of the event loop that an asyncio task gets which is about to end.
_TURNS = 10

#: Seconds for what is about to end, where it decides only whether a longer trial is worth its time.
_GRACE_OF_A_BATCH = 0.2

_TASKS_OF_EACH_KIND = """
    import asyncio
    from pytest_asyncexec.conformance.subject.host import host_for

    def succeed():
        return "result"

    def fail():
        raise ValueError("on purpose")

    def go_on():
        import time
        time.sleep(60)

    {limit}async def run(task, host=host_for(executor)):
        executing = asyncio.ensure_future(host.execute(executor, task))
        await asyncio.wait({{executing}}, timeout=5)
        executing.cancel()
        await asyncio.wait({{executing}})

    {rest}
"""


def _script(*rest: str, limited: bool = False) -> str:
    limit = "executor.time_limit = 1\n\n    " if limited else ""
    return _TASKS_OF_EACH_KIND.format(limit=limit, rest="\n    ".join(rest))


def _function_for(ending: str) -> str:
    """The function of the script above that ends so."""
    return {"succeeds": "succeed", "fails": "fail"}.get(ending, "go_on")


# ---- asyncio tasks -----------------------------------------------------------------------------


@check("HYG-01")
def test_HYG_01_must_leave_no_asyncio_task_running(subject: Subject) -> None:
    executor = subject.build()
    with_stopped = subject.pick(quick=False, default=True, thorough=True)

    for kind, ending in endings(subject, executor, stopped=with_stopped).items():
        with subject.following(executor):
            left = subject.drive(lambda ending=ending: _left_running(executor, ending))  # type: ignore[misc]

        if all(left):
            subject.fail(
                seen=f"of {len(left)} tasks, each of which {kind}, every one left an asyncio task "
                f"running: {'; '.join(sorted({name for names in left for name in names}))}",
                required="when execute is over, so are the asyncio tasks that it has started",
                cause="a task of asyncio.create_task() or ensure_future(), a heartbeat or a reader "
                "of a log, that is neither awaited nor cancelled in a `finally`",
                reproduce=_script(
                    "async def main():",
                    "    for _ in range(3):",
                    f"        await run({_function_for(kind)})",
                    "    await asyncio.sleep(0)",
                    "    for task in asyncio.all_tasks() - {asyncio.current_task()}:",
                    "        print(task)",
                    "",
                    "asyncio.run(main())",
                    limited="time_limit" in kind,
                ),
            )


async def _left_running(executor: Any, ending: Ending, times: int = 3) -> list[set[str]]:
    """What each of some tasks left running to the end, in words.

    What is left by one of them alone may be a client of the executor's own, which was needed for
    the first time; what is left by each of them would be left by a thousand.
    """
    known = asyncio.all_tasks()
    born: list[set[asyncio.Task[Any]]] = []
    for _ in range(times):
        await ending(executor)
        for _ in range(_TURNS):
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


@check("HYG-02")
def test_HYG_02_must_not_grow_with_the_number_of_tasks(subject: Subject) -> None:
    executor = subject.build()
    with_stopped = subject.pick(quick=False, default=True, thorough=True)
    kinds = endings(subject, executor, stopped=with_stopped)
    warm_up, batch = subject.pick(quick=(1, 1), default=(1, 2), thorough=(2, 12))

    try:
        drive: Drive = subject.drive_apart
        drive(lambda: _batch(executor, kinds, warm_up))
    except CouldNotRun:
        # Whose clients belong to the first loop (CNC-04 tells) is judged on that.
        drive = subject.drive
        drive(lambda: _batch(executor, kinds, warm_up))
    before = held()
    drive(lambda: _batch(executor, kinds, batch))
    if not _settled(lambda: _grown(before, held()), _GRACE_OF_A_BATCH):
        return

    # Many more, of one kind after the other.
    for kind, ending in kinds.items():
        leaked = _born_in_each_step(drive, executor, ending)
        if leaked:
            what, names = next(iter(leaked.items()))
            subject.fail(
                seen=f"of {_STEPS * _TASKS_IN_A_STEP} tasks, each of which {kind}, every one or "
                f"every other one left {what} in the host: {_few(names)}",
                required="threads, child processes and file descriptors are as many after a "
                "thousand tasks as after one",
                cause=_LEAKS[what],
                reproduce=_script(
                    "import os, threading",
                    "",
                    "for times in (1, 4):",
                    "    async def main():",
                    "        for _ in range(times):",
                    f"            await run({_function_for(kind)})",
                    "    asyncio.run(main())",
                    f"    print(times, {_COUNTS[what]})",
                    limited="time_limit" in kind,
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


async def _batch(executor: Any, kinds: Mapping[str, Ending], times: int) -> None:
    # One after the other: what a pool holds would depend on how many overlap.
    for _ in range(times):
        for ending in kinds.values():
            await ending(executor)


def _grown(before: Held, now: Held) -> list[str]:
    return [what for what, things in now.items() if len(things) > len(before[what])]


def _settled(look: Callable[[], T], limit: float | None = None) -> T:
    """What is seen when what was about to end has had the time to do so."""
    end = time.monotonic() + (patience.LEFTOVERS if limit is None else limit)
    while (seen := look()) and time.monotonic() < end:
        time.sleep(0.02)
    return seen


def _born_in_each_step(drive: Drive, executor: Any, ending: Ending) -> dict[str, list[str]]:
    """By kind: the names of things that came with each step of a trial, and stay after it."""
    born: list[Held] = []

    async def story() -> None:
        known = held(garbage=True)
        for _ in range(_STEPS):
            for _ in range(_TASKS_IN_A_STEP):
                await ending(executor)
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

    drive(story)
    return _settled(left)


def _few(names: list[str], limit: int = 4) -> str:
    distinct = sorted(set(names))
    rest = f" and {len(distinct) - limit} more" if len(distinct) > limit else ""
    return ", ".join(map(short, distinct[:limit])) + rest


# ---- the state of the process ------------------------------------------------------------------


@check("HYG-03")
def test_HYG_03_must_leave_the_process_as_it_was(subject: Subject) -> None:
    executor = subject.build()
    with_stopped = subject.pick(quick=False, default=True, thorough=True)
    stories: dict[str, Callable[[], Any]] = {
        f"one task that {kind}": lambda ending=ending: ending(executor)  # type: ignore[misc]
        for kind, ending in endings(subject, executor, stopped=with_stopped).items()
    }
    stories["two tasks at once, of which the first to begin is the first to end"] = lambda: (
        _overlapping(subject, executor)
    )

    for what, story in stories.items():
        with subject.following(executor):
            changes = _changes(lambda story=story: subject.drive(story))  # type: ignore[misc]

        if changes:
            subject.fail(
                seen=f"after {what}, {'; '.join(changes)}",
                required="the working directory, the environment, sys.stdout, sys.stderr and the "
                "functions of the standard library are as they were before the task",
                cause="what belongs to all of the process is changed for one task: give the worker "
                "a `cwd` and an `env` instead. To put it back in the end is not enough: tasks "
                "overlap, and the last one puts back what the first one had set"
                if "two tasks" in what
                else "what belongs to all of the process is changed for one task, and not put back "
                "in a `finally`",
                reproduce=_script(
                    "import os, sys",
                    "",
                    "def state():",
                    "    return os.getcwd(), dict(os.environ), sys.stdout, sys.stderr",
                    "",
                    "async def main():",
                    *(
                        [
                            "    first = asyncio.ensure_future(run(go_on))",
                            "    await asyncio.sleep(1)",
                            "    await asyncio.gather(first, run(go_on))",
                        ]
                        if "two tasks" in what
                        else [f"    await run({_function_for(what.rpartition('that ')[2])})"]
                    ),
                    "",
                    "before = state()",
                    "asyncio.run(main())",
                    "print(before == state(), file=sys.__stdout__)",
                    limited="time_limit" in what,
                ),
            )


def _changes(act: Callable[[], object]) -> list[str]:
    """What `act` changes in this process, in words; it is put right again."""
    guard = Guard()
    folder, environment = os.getcwd(), dict(os.environ)
    streams = {name: getattr(sys, name) for name in ("stdout", "stderr")}
    found: list[str] = []
    try:
        act()
    finally:
        try:
            now = os.getcwd()
        except OSError:
            now = "a folder that is gone"
        if now != folder:
            found.append(f"the working directory is {now}, and was {folder}")
        for name in sorted(environment.keys() | dict(os.environ).keys()):
            before, after = environment.get(name), os.environ.get(name)
            if before != after:
                # Values may be secrets of the user's, whom a report may have to leave.
                verb = "is new" if before is None else "is gone" if after is None else "is another"
                found.append(f"the environment variable {name} {verb}")
        found += [
            f"sys.{name} is {short(getattr(sys, name))}, and was {short(stream)}"
            for name, stream in streams.items()
            if getattr(sys, name) is not stream
        ]
        guard.restore()
    return found + [f"{name} is another function" for name in guard.replaced]


#: Seconds to wait for a second task to begin beside the first one. It decides nothing: who queues
#: is right, and is only judged without tasks that overlap.
_GRACE = 1.0


async def _overlapping(subject: Subject, executor: Any) -> None:
    """Two tasks of which the first to begin is the first to end, where the executor lets them."""
    facts = subject.preflight()
    if not facts.reachable or facts.blocks_loop_at:
        await asyncio.gather(*(subject.execute(executor, echo, (n,)) for n in range(2)))
        return
    with subject.beacon() as beacon:
        first = asyncio.ensure_future(subject.execute(executor, report_home, (beacon.address,)))
        await beacon.reported(1, first)
        second = asyncio.ensure_future(subject.execute(executor, report_home, (beacon.address,)))
        begun = asyncio.ensure_future(beacon.reported(2, second))
        await asyncio.wait({begun}, timeout=_GRACE)
        begun.cancel()
        for attempt in beacon.attempts[:1]:
            _return(attempt, 1)
        # ... and only then the other one.
        await finish(first)
        for attempt in beacon.answer_with(_return):
            _return(attempt, 2)
        await finish(second)


def _return(attempt: Attempt, number: int) -> None:
    attempt.tell(do="return", value=None)


# ---- files -------------------------------------------------------------------------------------


@check("HYG-04")
def test_HYG_04_should_leave_no_file_of_a_finished_task(subject: Subject) -> None:
    temporary, cache = subject.new_folder(), subject.new_folder()
    executor = subject.build()
    with contextlib.suppress(Exception):
        executor.cache_dir = str(cache)
    with_stopped = subject.pick(quick=False, default=False, thorough=True)

    with _temporary_folder(temporary):
        for kind, ending in endings(subject, executor, stopped=with_stopped).items():
            left = _left_by_each(subject, executor, ending, temporary, cache)
            if left:
                subject.fail(
                    seen=f"two tasks, each of which {kind}, left {len(left)} files and folders: "
                    + ", ".join(
                        _shown(path, {"the temporary folder": temporary, "cache_dir": cache})
                        for path in left[:6]
                    ),
                    required="when execute is over, the files of its task are gone from cache_dir "
                    "and from the temporary folder",
                    cause="they are removed behind the last line that can raise or be cancelled, "
                    "and not in a `finally`"
                    if kind != "succeeds"
                    else "tempfile.mkdtemp() and mkstemp() leave it to their caller to remove what "
                    "they have made; and a hundred thousand tasks fill every disk",
                    reproduce=_script(
                        "import os, tempfile",
                        "",
                        "executor.cache_dir = tempfile.tempdir = tempfile.mkdtemp()",
                        'os.environ["TMPDIR"] = tempfile.tempdir',
                        f"asyncio.run(run({_function_for(kind)}))",
                        "print(os.listdir(tempfile.tempdir))",
                        limited="time_limit" in kind,
                    ),
                )
    if not subject.preflight().shared_files:
        subject.could_not_run(
            "nothing was left on this machine; what tasks leave where they run cannot be seen"
        )


def _left_by_each(subject: Subject, executor: Any, ending: Ending, *folders: Path) -> list[str]:
    """What two tasks left in the folders, if both of them left something.

    The first of three may leave what the executor itself needs from then on.
    """
    born: list[set[str]] = []
    known: set[str] = set()
    for _ in range(3):
        with subject.following(executor):
            subject.drive(lambda: _once(executor, ending))
        born.append(files_below(*folders) - known)
        known |= born[-1]

    def left() -> list[str]:
        now = files_below(*folders)
        stay = [paths & now for paths in born[1:]]
        return sorted(set().union(*stay)) if all(stay) else []

    return _settled(left)


async def _once(executor: Any, ending: Ending) -> None:
    await ending(executor)


def _shown(path: str, folders: Mapping[str, Path]) -> str:
    for name, folder in folders.items():
        if Path(path).is_relative_to(folder):
            return f"{Path(path).relative_to(folder)} in {name}"
    return path


@contextlib.contextmanager
def _temporary_folder(folder: Path) -> Iterator[None]:
    """Have this process, and every child of it, make its temporary files there."""
    names = ("TMPDIR", "TEMP", "TMP")
    environment = {name: os.environ.get(name) for name in names}
    tempdir = tempfile.tempdir
    os.environ.update(dict.fromkeys(names, str(folder)))
    tempfile.tempdir = str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = tempdir
        for name, value in environment.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
