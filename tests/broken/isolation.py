"""Wrong by ISO."""

from __future__ import annotations

import concurrent.futures

from pytest_asyncexec.reference_executor import LocalExecutor

from . import breaks
from .inside_tasks import OfOneProcess
from .results import PoolOfProcesses


class _Wrapping(PoolOfProcesses):
    """Runs its tasks within another function, in the one process of its pool."""

    around = None
    pool: concurrent.futures.ProcessPoolExecutor | None = None

    async def run(self, function, args, kwargs, task_metadata):
        wrapped = [type(self).around, function, args, kwargs]
        return await super().run(_within, wrapped, {}, task_metadata)


def _within(around, function, args, kwargs):
    return around(function, args, kwargs)


@breaks("ISO-01", "a task changed environment variables, and a later one found it so; likewise the")
class UsesItsWorkersAgain(PoolOfProcesses):
    """One task after the other in the same process, each as the one before has left it."""

    pool = None


def _with_more_environment(more, function, args, kwargs):
    import os

    before = dict(os.environ)
    os.environ.update(more)
    result = function(*args, **kwargs)
    now = dict(os.environ)
    return {name: now[name] for name in now if now[name] != before.get(name)}, result


@breaks("ISO-01", "a task changed environment variables, and a later one found it so")
class KnowsTheWorkflow(LocalExecutor):
    """The tasks of one workflow are to see what those before them have exported."""

    _exported = {}  # noqa: RUF012

    async def run(self, function, args, kwargs, task_metadata):
        exported = self._exported.setdefault(task_metadata["dispatch_id"], {})
        wrapped = [dict(exported), function, args, kwargs]
        more, result = await super().run(_with_more_environment, wrapped, {}, task_metadata)
        exported.update(more)
        return result


def _with_its_environment(function, args, kwargs):
    import os

    environment, folder = dict(os.environ), os.getcwd()
    try:
        return function(*args, **kwargs)
    finally:
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(folder)


@breaks("ISO-01", "a task changed the umask, and a later one found it so; likewise the import path")
class PutsBackTheEnvironment(_Wrapping):
    """Puts back the variables and the folder, of which somebody had complained."""

    around = staticmethod(_with_its_environment)
    pool = None


def _with_its_surroundings(function, args, kwargs):
    import os
    import sys

    mask = os.umask(0o022)
    os.umask(mask)
    path, streams = list(sys.path), (sys.stdin, sys.stdout, sys.stderr)
    try:
        return _with_its_environment(function, args, kwargs)
    finally:
        os.umask(mask)
        sys.path[:] = path
        sys.stdin, sys.stdout, sys.stderr = streams


@breaks(
    "ISO-02", "a task changed signal handlers, and a later one found it so; likewise the signal"
)
class PutsBackWhatIsInThePolicy(_Wrapping):
    """Puts back what its policy names, and no more."""

    around = staticmethod(_with_its_surroundings)
    pool = None


def _with_files_for_output(function, args, kwargs):
    import os
    import sys
    import tempfile

    kept, texts = [os.dup(1), os.dup(2)], []
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        try:
            result = function(*args, **kwargs)
        finally:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            for number, former in enumerate(kept, 1):
                os.dup2(former, number)
                os.close(former)
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode("utf-8", "backslashreplace"))
    return result, texts


def _with_other_streams(function, args, kwargs):
    import contextlib
    import io

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        result = function(*args, **kwargs)
    return result, [out.getvalue(), err.getvalue()]


class _Capturing(_Wrapping):
    """Gives each task something else to write to, in the process of all of them."""

    cannot = frozenset({"stop"})

    async def run(self, function, args, kwargs, task_metadata):
        result, (out, err) = await super().run(function, args, kwargs, task_metadata)
        self.task_stdout.write(out)
        self.task_stderr.write(err)
        return result


@breaks("ISO-03", "is in the outcome of a later one")
class GivesItsWorkerOtherFiles(_Capturing):
    """Has the descriptors 1 and 2 of its one worker lead to other files for each task."""

    around = staticmethod(_with_files_for_output)
    pool = None


@breaks("ISO-03", "is in the outcome of a later one")
class GivesItsWorkerOtherStreams(_Capturing):
    """Has `sys.stdout` and `sys.stderr` be others for each task, in one process."""

    around = staticmethod(_with_other_streams)
    pool = None


def _reproducible(function, args, kwargs):
    import random

    random.seed(0)
    return function(*args, **kwargs)


@breaks("ISO-04", "two tasks drew the same random number")
class MakesTasksReproducible(LocalExecutor):
    """Seeds the generator before each task, so that it draws the same when it runs again."""

    async def run(self, function, args, kwargs, task_metadata):
        return await super().run(_reproducible, [function, args, kwargs], {}, task_metadata)


@breaks("ISO-05", "SIGHUP is ignored, SIGQUIT is ignored")
class StartsWorkersAsTheyCome(OfOneProcess):
    """Starts an interpreter, and has never heard what that inherits."""


@breaks("ISO-05", "SIGUSR2 is blocked")
class UnignoresAlone(OfOneProcess):
    """Sets each signal that is ignored to its default, and forgets that some are blocked."""

    boot = (
        "import signal\n"
        "for number in signal.valid_signals():\n"
        "    if signal.getsignal(number) is signal.SIG_IGN:\n"
        "        signal.signal(number, signal.SIG_DFL)\n"
    ) + OfOneProcess.boot
