"""Nothing of one task reaches the next, whoever runs it: rules ISO-01 to ISO-05, RES-16 to RES-18.

Each task here first does something to its process; the next one tells what it finds there.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import textwrap

import pytest
from pytest_asyncexec.reference_executor import DaskExecutor, LocalExecutor

from local_workers import execute, leaving_nothing, pid_of
from pytest_asyncexec import TaskStatus

COMPLETED, FAILED = TaskStatus.COMPLETED, TaskStatus.FAILED


@pytest.fixture(params=["fresh", "warm", "dask"])
def executor(request, tmp_path):
    """An executor of each kind; a warm one has a single worker."""
    if request.param == "dask":
        yield DaskExecutor(cache_dir=str(tmp_path))
    else:
        with leaving_nothing(tmp_path / "cache", warm=request.param == "warm") as make:
            yield make(max_workers=1)


@pytest.fixture
def warm(tmp_path):
    with leaving_nothing(tmp_path / "cache", warm=True) as make:
        yield make(max_workers=1)


def changes():
    """Return pairs: what changes the process, and what tells of the change."""

    def replaces_environ() -> None:
        os.environ = {"SECRET": "7"}  # noqa: B003

    def sets_variables_of_the_process() -> None:
        os.putenv("SECRET", "7")

    def sets_variables_by_both_ways() -> None:
        os.environ["ANOTHER"] = "1"
        os.putenv("SECRET", "7")
        os.putenv("HOME", "/nowhere")

    def unsets_a_variable_of_the_process() -> None:
        os.unsetenv("PATH")

    def environment() -> object:
        seen_by_children = subprocess.run(["/usr/bin/env"], stdout=subprocess.PIPE, check=True)
        return dict(os.environ), seen_by_children.stdout, type(os.environ).__name__

    def imports_from_elsewhere() -> None:
        import pathlib
        import tempfile

        folder = pathlib.Path(tempfile.mkdtemp())
        (folder / "module_of_the_first_task.py").touch()
        sys.path.insert(0, str(folder))
        import module_of_the_first_task  # noqa: F401

        (folder / "module_of_the_first_task.py").unlink()

    def imported() -> object:
        try:
            import module_of_the_first_task
        except ImportError:
            return list(sys.path)
        return module_of_the_first_task.__file__

    def adds_a_finder() -> None:
        class Finder:
            @staticmethod
            def find_spec(name: str, path: object = None, target: object = None) -> None:
                print("looking for", name)

        sys.meta_path.insert(0, Finder)
        sys.meta_path.insert(0, Finder())
        sys.path_hooks.insert(0, Finder.find_spec)
        del sys.meta_path[3]

    def finders() -> object:
        names = [getattr(finder, "__qualname__", type(finder).__name__) for finder in sys.meta_path]
        return names, len(sys.path_hooks)

    def sets_the_locale() -> None:
        import locale

        locale.setlocale(locale.LC_ALL, "C")
        locale.setlocale(locale.LC_NUMERIC, "POSIX")

    def locale_found() -> object:
        import locale

        return locale.setlocale(locale.LC_ALL)

    def sets_the_time_zone() -> None:
        import time

        os.environ["TZ"] = "Pacific/Kiritimati"
        time.tzset()

    def time_zone() -> object:
        import time

        return time.tzname, time.timezone, time.localtime(0)[:6]

    def sets_the_decimal_context() -> None:
        import decimal

        decimal.getcontext().prec = 3

    def sets_the_default_decimal_context() -> None:
        import decimal

        decimal.DefaultContext.prec = 3
        decimal.DefaultContext.traps[decimal.Inexact] = True

    def decimal_context() -> object:
        import decimal

        return repr(decimal.getcontext()), repr(decimal.Context())

    def is_nice() -> None:
        os.nice(1)

    def niceness() -> object:
        return os.nice(0)

    def sets_context_variables() -> None:
        import contextvars

        sys.variable = contextvars.ContextVar("variable", default="nothing")
        sys.variable.set("of the first task")

    def context_variables() -> object:
        import contextvars

        found = list(contextvars.copy_context().items())
        return found, [] if (variable := getattr(sys, "variable", None)) is None else (
            [] if variable.get() == "nothing" else [variable.get()]
        )

    def changes_warning_filters() -> None:
        import warnings

        warnings.simplefilter("error")
        warnings.showwarning = print

    def captures_warnings() -> None:
        import logging

        logging.captureWarnings(True)

    def warning_filters() -> object:
        import logging
        import warnings

        logging.captureWarnings(True)
        is_captured = warnings.showwarning.__module__ == "logging"
        logging.captureWarnings(False)
        return list(warnings.filters), warnings.showwarning.__module__, is_captured

    def configures_logging() -> None:
        import logging

        logging.basicConfig(level=logging.DEBUG, stream=sys.stdout)
        logging.disable(logging.CRITICAL)
        logging.root.addFilter(lambda _: False)

    def adds_a_handler_to_a_logger_of_its_own() -> None:
        import logging

        sys.left = logging.StreamHandler(sys.stdout)
        logging.getLogger("of.the.task").addHandler(sys.left)

    def logging_found() -> object:
        import logging

        logging.getLogger("of.the.task").error("an error")
        root = logging.root
        return root.handlers, root.level, root.filters, root.manager.disable

    def changes_hooks() -> None:
        import gc

        sys.excepthook = sys.displayhook = sys.unraisablehook = print
        sys.setrecursionlimit(4321)
        sys.setprofile(lambda *_: None)
        gc.disable()

    def hooks() -> object:
        import gc

        found = (sys.excepthook, sys.displayhook, sys.unraisablehook, sys.getprofile())
        return (
            [repr(hook).split(" at ")[0] for hook in found],
            sys.getrecursionlimit(),
            (gc.isenabled()),
        )

    def changes_what_modules_have_one_of() -> None:
        import multiprocessing

        socket.setdefaulttimeout(3)
        multiprocessing.set_start_method("fork")
        loop = asyncio.new_event_loop()
        loop.call_soon(print, "late")
        asyncio.set_event_loop(loop)
        sys.argv.append("more")

    def what_modules_have_one_of() -> object:
        import multiprocessing

        multiprocessing.set_start_method("spawn")  # which can be done once
        asyncio.get_event_loop_policy().get_event_loop().run_until_complete(asyncio.sleep(0))
        return socket.getdefaulttimeout(), sys.argv

    def sets_a_wakeup_descriptor() -> None:
        sys.pair = socket.socketpair()
        sys.pair[1].setblocking(False)
        signal.set_wakeup_fd(sys.pair[1].fileno())

    def wakeup_descriptor() -> object:
        return signal.set_wakeup_fd(-1)

    def replaces_the_original_stream() -> None:
        sys.__stdout__ = sys.__stderr__ = None

    def original_streams() -> object:
        return sys.__stdout__.fileno(), sys.__stderr__.fileno()

    return [
        (replaces_environ, environment),
        (sets_variables_of_the_process, environment),
        (sets_variables_by_both_ways, environment),
        (unsets_a_variable_of_the_process, environment),
        (imports_from_elsewhere, imported),
        (adds_a_finder, finders),
        (is_nice, niceness),
        (sets_the_locale, locale_found),
        (sets_the_time_zone, time_zone),
        (sets_the_decimal_context, decimal_context),
        (sets_the_default_decimal_context, decimal_context),
        (sets_context_variables, context_variables),
        (changes_warning_filters, warning_filters),
        (captures_warnings, warning_filters),
        (configures_logging, logging_found),
        (adds_a_handler_to_a_logger_of_its_own, logging_found),
        (changes_hooks, hooks),
        (changes_what_modules_have_one_of, what_modules_have_one_of),
        (sets_a_wakeup_descriptor, wakeup_descriptor),
        (replaces_the_original_stream, original_streams),
    ]


@pytest.mark.parametrize(("change", "look"), changes(), ids=lambda function: function.__name__)
async def test_a_task_finds_nothing_of_the_one_before(warm, change, look) -> None:
    """ISO-01, ISO-02."""
    before = await execute(warm, look)

    changed = await execute(warm, change)

    assert (before.status, changed.status) == (COMPLETED, COMPLETED), (before, changed)
    assert await execute(warm, look) == before


async def test_what_is_put_back_does_not_cost_the_worker(warm) -> None:
    first = await pid_of(warm)
    kept = [
        "replaces_environ",
        "adds_a_finder",
        "sets_the_locale",
        "sets_the_time_zone",
        "sets_the_decimal_context",
        "sets_context_variables",
        "changes_warning_filters",
        "configures_logging",
        "changes_hooks",
        "changes_what_modules_have_one_of",
    ]

    for change, _ in changes():
        if change.__name__ in kept:
            assert (await execute(warm, change)).status == COMPLETED
            assert await pid_of(warm) == first, change.__name__


# -- late words


def late():
    def at_exit() -> None:
        import atexit

        atexit.register(print, "late", flush=True)

    def from_a_finalizer_of_what_is_kept() -> None:
        import weakref

        class Kept:
            def __del__(self) -> None:
                os.write(1, b"late")

        sys.left = Kept()
        weakref.finalize(sys.left, os.write, 1, b"late")

    def from_a_finalizer_of_garbage() -> None:
        import gc

        class Garbage:
            def __init__(self) -> None:
                self.me = self

            def __del__(self) -> None:
                os.write(1, b"late")

        gc.disable()
        Garbage()

    def from_a_stream_that_is_kept() -> None:
        sys.left = open(1, "w", closefd=False)  # noqa: SIM115
        sys.left.write("late")

    def from_a_stream_of_its_own() -> None:
        sys.left = os.fdopen(os.dup(1), "w")
        sys.left.write("late")

    def from_a_log_handler() -> None:
        import logging
        import logging.handlers

        target = logging.StreamHandler(sys.stdout)
        logging.root.addHandler(logging.handlers.MemoryHandler(1000, target=target))
        logging.error("late")

    def from_a_thread() -> None:
        import threading
        import time

        def speak() -> None:
            while True:
                os.write(1, b"late")
                time.sleep(0.001)

        threading.Thread(target=speak, daemon=True).start()

    return [
        at_exit,
        from_a_finalizer_of_what_is_kept,
        from_a_finalizer_of_garbage,
        from_a_stream_that_is_kept,
        from_a_stream_of_its_own,
        from_a_log_handler,
        from_a_thread,
    ]


@pytest.mark.parametrize("words", late(), ids=lambda function: function.__name__)
async def test_late_words_belong_to_their_task_or_to_nobody(executor, words) -> None:
    """ISO-03. The third task ends its worker, and what is left in it speaks for the last time."""

    def ends_its_worker() -> None:
        import gc

        gc.collect()
        print("said")
        subprocess.Popen([sys.executable, "-c", "while True: pass"])

    outcomes = [await execute(executor, words)]
    outcomes += [await execute(executor, print, "said") for _ in range(2)]
    outcomes.append(await execute(executor, ends_its_worker))

    assert {outcome.status for outcome in outcomes} == {COMPLETED}
    assert [outcome.stdout for outcome in outcomes[1:]] == ["said\n"] * 3
    assert [outcome.stderr for outcome in outcomes[1:]] == [""] * 3


async def test_the_words_at_exit_of_a_task_that_ends_its_worker_are_its_own(warm) -> None:
    def function() -> None:
        import atexit

        atexit.register(print, "at exit")
        subprocess.Popen([sys.executable, "-c", "while True: pass"])

    await pid_of(warm)

    assert (await execute(warm, function)).stdout == "at exit\n"


# -- random numbers


async def test_two_tasks_draw_numbers_of_their_own_whatever_seed_others_choose(warm) -> None:
    """ISO-04."""

    def draws() -> float:
        import random

        return random.random()

    def seeds() -> None:
        import random

        random.seed(7)

    drawn = []
    for _ in range(3):
        await execute(warm, seeds)
        drawn.append((await execute(warm, draws)).result)

    assert len(set(drawn)) == 3


# -- what a task finds


def in_a_host(program: str, *arguments: str) -> str:
    """Run a script that is a host of its own, and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("kind", ["Local", "Local(warm)", "Dask"])
def test_signals_that_the_host_ignores_or_blocks_have_their_effect_in_tasks(kind) -> None:
    """ISO-05."""
    printed = in_a_host(
        """
        import asyncio, signal, sys
        from pytest_asyncexec.reference_executor import DaskExecutor, LocalExecutor
        IGNORED = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGRTMIN]
        for number in IGNORED:
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1, signal.SIGTERM])

        def function():
            import signal
            found = {n: signal.getsignal(n) for n in signal.valid_signals()}
            ignored = {n for n, handler in found.items() if handler == signal.SIG_IGN}
            print(sorted(ignored - {signal.SIGPIPE, signal.SIGXFSZ}))
            print(found[signal.SIGINT] is signal.default_int_handler)
            print(signal.pthread_sigmask(signal.SIG_BLOCK, []))

        async def main():
            executor = {
                "Local": LocalExecutor,
                "Local(warm)": lambda: LocalExecutor(warm=True),
                "Dask": DaskExecutor,
            }[sys.argv[1]]()
            outcome = await executor.execute(function, [], {}, "d", ".")
            print(outcome.stdout + outcome.stderr, end="")
            await executor.close()

        asyncio.run(main())
        """,
        kind,
    )

    assert printed == "[]\nTrue\nset()\n"


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
async def test_children_of_a_task_import_what_the_task_imports(executor, method) -> None:
    """RES-17."""

    def function() -> object:
        import multiprocessing

        with multiprocessing.get_context(method).Pool(1) as pool:
            found = pool.apply(eval, ["(__import__('dask').__file__, __import__('sys').path)"])
        import dask

        async def main() -> tuple:
            return dask.__file__, sys.path

        return found == asyncio.run(main())

    outcome = await execute(executor, function)

    assert outcome == (True, "", "", COMPLETED)


async def test_the_outcome_does_not_wait_for_a_child_that_is_left_behind(executor) -> None:
    """RES-16: neither for one that holds the output open, nor for one of multiprocessing."""

    def function() -> str:
        import multiprocessing
        import time

        subprocess.Popen([sys.executable, "-c", "while True: pass"])
        multiprocessing.get_context("fork").Process(target=time.sleep, args=(3600,)).start()
        print("said")
        return "returned"

    assert await execute(executor, function) == ("returned", "said\n", "", COMPLETED)


async def test_a_task_finds_standard_input_at_its_end(executor) -> None:
    """RES-18: in Python, in C, and in children, in a second task too."""

    def function() -> object:
        child = subprocess.run(["cat"], stdout=subprocess.PIPE, check=True)
        try:
            input()
        except EOFError:
            return sys.stdin.read(), os.read(0, 1), child.stdout
        return "a line"

    outcomes = [await execute(executor, function) for _ in range(2)]

    assert [outcome.result for outcome in outcomes] == [("", b"", b"")] * 2


async def test_the_hosts_default_time_out_of_sockets_has_no_effect(executor, monkeypatch) -> None:
    await execute(executor, pow, 2, 3)
    socket.setdefaulttimeout(30)
    try:
        if isinstance(executor, LocalExecutor):
            await executor.close()
        outcome = await execute(executor, len, b"x" * (8 << 20))
    finally:
        socket.setdefaulttimeout(None)

    assert outcome == (8 << 20, "", "", COMPLETED)


@pytest.mark.parametrize("retries", [0, 1])
async def test_the_death_of_a_worker_is_a_failed_attempt(executor, tmp_path, retries) -> None:
    """RET-10: attempted again with retries left, and never without; others go on, CNC-07."""
    attempts, go_on = tmp_path / "attempts", tmp_path / "go_on"

    def dies_once() -> str:
        with open(attempts, "a") as file:
            file.write("+")
        if attempts.read_text() == "+":
            os.kill(os.getpid(), signal.SIGKILL)
        return "again"

    def waits() -> str:
        import time

        while not go_on.exists():
            time.sleep(0.01)
        return "unharmed"

    another = LocalExecutor(warm=True) if isinstance(executor, LocalExecutor) else executor
    neighbour = asyncio.create_task(execute(another, waits))
    executor.retries = retries
    outcome = await execute(executor, dies_once)
    go_on.touch()

    assert (outcome.result, outcome.status) == (("again", COMPLETED) if retries else (None, FAILED))
    assert attempts.read_text() == "+" * (1 + retries)
    assert (await neighbour).result == "unharmed"
    await another.close()


@pytest.mark.parametrize("leave", ["exit(3)", "None", "__import__('os')._exit(3)"])
async def test_a_fork_of_a_task_ends_as_in_a_script(executor, leave) -> None:
    def function() -> int:
        if (pid := os.fork()) == 0:
            return eval(leave)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    assert await execute(executor, function) == (3 if "3" in leave else 0, "", "", COMPLETED)
