"""Wrong by RES-14 to RES-19: by what a task does in its worker, and by what it leaves there."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import pickle
import shutil
import signal
import sys
import tempfile
import weakref
from pathlib import Path

import cloudpickle
from pytest_asyncexec.reference_executor import LocalExecutor, ThreadExecutor

from pytest_asyncexec import AsyncBaseExecutor, TaskCancelledError, TaskRuntimeError

from . import breaks


@breaks("RES-14", "twice, one after the other, with equal arguments, and returned the same")
class RemembersResults(LocalExecutor):
    """Keeps results by function and arguments, since those say what a task comes to."""

    _known = {}  # noqa: RUF012

    async def run(self, function, args, kwargs, task_metadata):
        try:
            key = await asyncio.to_thread(cloudpickle.dumps, (function, args, kwargs))
        except Exception:
            return await super().run(function, args, kwargs, task_metadata)
        if key not in self._known:
            self._known[key] = await super().run(function, args, kwargs, task_metadata)
        return self._known[key]


@breaks("RES-14", "twice, at once, with equal arguments, and returned the same")
class JoinsWhatIsUnderWay(ThreadExecutor):
    """Lets two who want the same at the same time wait for one task; afterwards it forgets."""

    _running = {}  # noqa: RUF012

    async def run(self, function, args, kwargs, task_metadata):
        try:
            key = asyncio.get_running_loop(), cloudpickle.dumps((function, args, kwargs))
        except Exception:
            return await super().run(function, args, kwargs, task_metadata)
        if key not in self._running:
            work = super().run(function, args, kwargs, task_metadata)
            self._running[key] = asyncio.ensure_future(work)
            self._running[key].add_done_callback(lambda _: self._running.pop(key, None))
        return await asyncio.shield(self._running[key])


@breaks("RES-14", "twice, one after the other, with equal arguments, and returned the same")
class KnowsWhatCanBeHashed(LocalExecutor):
    """Keeps results as `functools.lru_cache` does, by the very function and arguments."""

    _known = {}  # noqa: RUF012

    async def run(self, function, args, kwargs, task_metadata):
        key = function, tuple(args), tuple(kwargs.items())
        try:
            hash(key)
        except TypeError:
            return await super().run(function, args, kwargs, task_metadata)
        if key not in self._known:
            self._known[key] = await super().run(function, args, kwargs, task_metadata)
        return self._known[key]


@breaks("RES-14", "twice, at once, with equal arguments, and returned the same")
class JoinsOnOneInstance(LocalExecutor):
    """Joins what is under way, of one user: each instance knows its own tasks."""

    _running = weakref.WeakKeyDictionary()  # noqa: RUF012

    async def run(self, function, args, kwargs, task_metadata):
        running = self._running.setdefault(self, {})
        try:
            key = asyncio.get_running_loop(), cloudpickle.dumps((function, args, kwargs))
        except Exception:
            return await super().run(function, args, kwargs, task_metadata)
        if key not in running:
            work = super().run(function, args, kwargs, task_metadata)
            running[key] = asyncio.ensure_future(work)
            running[key].add_done_callback(lambda _: running.pop(key, None))
        return await asyncio.shield(running[key])


@breaks("RES-14", "with equal arguments and ids, and returned the same")
class KnowsWhatItHasRun(LocalExecutor):
    """Keeps results by the ids of dispatch and node, since a node runs once."""

    _known = {}  # noqa: RUF012

    async def run(self, function, args, kwargs, task_metadata):
        key = task_metadata["dispatch_id"], task_metadata["node_id"]
        if key not in self._known:
            self._known[key] = await super().run(function, args, kwargs, task_metadata)
        return self._known[key]


class OfOneProcess(AsyncBaseExecutor):
    """A fresh interpreter for each attempt, which tells its answer by a file."""

    boot = """
import os, pickle, sys, traceback
with open(os.path.join(sys.argv[1], "task"), "rb") as file:
    path, task = pickle.load(file)
sys.path[:] = path
import cloudpickle
def tell(data):
    with open(os.path.join(sys.argv[1], "answer"), "wb") as file:
        file.write(data)
try:
    function, args, kwargs = cloudpickle.loads(task)
    answer = "returned", function(*args, **kwargs)
except BaseException:
    answer = "raised", traceback.format_exc()
sys.stdout.flush()
tell(cloudpickle.dumps(answer))
"""

    async def run(self, function, args, kwargs, task_metadata):
        folder = Path(tempfile.mkdtemp())
        try:
            task = cloudpickle.dumps((function, args, kwargs))
            (folder / "task").write_bytes(pickle.dumps((sys.path, task)))
            process = await self.start(folder)
            try:
                out, err = await self.watch(process, folder)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
            self.task_stdout.write(out.decode("utf-8", "backslashreplace"))
            self.task_stderr.write(err.decode("utf-8", "backslashreplace"))
            what, value = pickle.loads(self.answer(folder, out))
        finally:
            shutil.rmtree(folder)
        if what == "raised":
            raise TaskRuntimeError(value)
        return value

    async def start(self, folder):
        return await self.interpreter(folder)

    async def interpreter(self, folder, **streams):
        with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
            nothing = asyncio.subprocess.DEVNULL
            return await self.command(
                folder, **{"stdin": nothing, "stdout": out, "stderr": err} | streams
            )

    async def command(self, folder, **streams):
        command = sys.executable, "-u", "-c", self.boot, str(folder)
        return await asyncio.create_subprocess_exec(*command, start_new_session=True, **streams)

    async def watch(self, process, folder):
        await process.wait()
        return (folder / "out").read_bytes(), (folder / "err").read_bytes()

    def answer(self, folder, out):
        file = folder / "answer"
        if not file.exists():
            raise TaskRuntimeError("the worker died")
        return file.read_bytes()


@breaks("RES-15", "bytes that are no text, without a line end, what looks like an answer: execute")
class AnswersOnStandardOutput(OfOneProcess):
    """Its worker says the answer in the last line of its output, after all that a task prints."""

    boot = (
        OfOneProcess.boot
        + "\nimport base64\nprint(base64.b64encode(cloudpickle.dumps(answer)).decode())"
    )

    def answer(self, folder, out):
        return base64.b64decode(out.splitlines()[-1])


@breaks("RES-15", "execute raised UnicodeDecodeError")
class TakesAllOutputForText(OfOneProcess):
    """Decodes what was written as strictly as what it writes itself."""

    async def watch(self, process, folder):
        out, err = await super().watch(process, folder)
        return out.decode().encode(), err.decode().encode()


@breaks("RES-15", "a megabyte to each, lines from a thread that goes on: execute had not ended")
class EmptiesAPipeAtTheEnd(OfOneProcess):
    """Reads the errors of a worker when it has ended, for which there is room in a pipe."""

    async def start(self, folder):
        return await self.interpreter(folder, stderr=asyncio.subprocess.PIPE)

    async def watch(self, process, folder):
        while not (folder / "answer").exists():
            await asyncio.sleep(0.02)
            if process.returncode is not None:
                break
        with contextlib.suppress(ProcessLookupError):  # it has ended by itself
            process.terminate()
        return (folder / "out").read_bytes(), await process.stderr.read()


@breaks("RES-16", "a task that leaves a child process: the task had returned and nothing came")
class ReadsToTheEnd(OfOneProcess):
    """Takes the end of the output for the end of the worker."""

    async def start(self, folder):
        pipe = asyncio.subprocess.PIPE
        return await self.interpreter(folder, stdout=pipe, stderr=pipe)

    async def watch(self, process, folder):
        return await process.communicate()


@breaks("RES-16", "a child process in a session of its own: the task had returned and nothing")
class EndsTheGroupAndReads(ReadsToTheEnd):
    """Kills what a worker has left in its group, so that its pipes end; others hold them, too."""

    async def watch(self, process, folder):
        reading = asyncio.ensure_future(super().watch(process, folder))
        await process.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        return await reading


@breaks("RES-16", "a task that leaves a daemon thread: the task had returned and nothing came")
class WaitsForEveryThread(LocalExecutor):
    """Lets nothing of a task go on when it is over, and so waits for all that it has started."""

    async def run(self, function, args, kwargs, task_metadata):
        return await super().run(_and_its_threads, [function, args, kwargs], {}, task_metadata)


def _and_its_threads(function, args, kwargs):
    import threading

    result = function(*args, **kwargs)
    for thread in threading.enumerate():
        # Of another make than those of a task may be what has called this.
        if thread.daemon and thread is not threading.current_thread():
            thread.join()
    return result


@breaks("RES-17", "daemonic processes are not allowed to have children")
class HasDaemons(LocalExecutor):
    """Its workers are those of a pool of multiprocessing, which are to have no children."""

    async def run(self, function, args, kwargs, task_metadata):
        return await super().run(_as_a_daemon, [function, args, kwargs], {}, task_metadata)


def _as_a_daemon(function, args, kwargs):
    import multiprocessing

    multiprocessing.current_process()._config["daemon"] = True
    return function(*args, **kwargs)


@breaks("RES-17", "in the task, and ")
class HasItsFolderOnThePath(OfOneProcess):
    """Its worker is a script in a folder of its own, which children have first on their path."""

    async def command(self, folder, **streams):
        script, beside = folder / "worker.py", folder / "tempfile.py"
        # What a module of the worker's is called is its own affair, so it seems.
        beside.write_text("VALUES = {}\n", encoding="utf-8")
        script.write_text(
            "import sys\nif __name__ == '__main__':\n    sys.path.pop(0)\n"
            f"    exec({OfOneProcess.boot!r})\nelse:\n"
            "    import os\n    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))\n",
            encoding="utf-8",
        )
        command = sys.executable, "-u", str(script), str(folder)
        return await asyncio.create_subprocess_exec(*command, start_new_session=True, **streams)


@breaks("RES-17", "it ran the whole task again, when it loaded the script of the worker")
class RunsAtImport(OfOneProcess):
    """Its worker is a script without `if __name__ == "__main__"`, which children load, too."""

    async def command(self, folder, **streams):
        script = folder / "worker.py"
        script.write_text(self.boot, encoding="utf-8")
        command = sys.executable, "-P", "-u", str(script), str(folder)
        return await asyncio.create_subprocess_exec(*command, start_new_session=True, **streams)


@breaks("RES-18", "`os.read(0, 1)` had come to no end after")
class KeepsItsInputOpen(OfOneProcess):
    """Has a pipe to the standard input of its worker, to which it has nothing to say."""

    async def start(self, folder):
        return await self.interpreter(folder, stdin=asyncio.subprocess.PIPE)


@breaks("RES-18", "`os.read(0, 1)` had come to no end after")
class GivesItsOwnInput(OfOneProcess):
    """Says nothing of the standard input of its worker, which is that of the host then."""

    async def start(self, folder):
        return await self.interpreter(folder, stdin=None)


@breaks("RES-19", "raised CancelledError(reason): execute returned status CANCELLED, result None")
class ForgetsWhyItWasCancelled(LocalExecutor):
    """Takes every CancelledError for the backend's word that a task is gone."""

    async def run(self, function, args, kwargs, task_metadata):
        try:
            return await super().run(function, args, kwargs, task_metadata)
        except TaskRuntimeError as error:
            if "CancelledError" in str(error):
                raise TaskCancelledError("the job was cancelled") from None
            raise


@breaks("RES-19", "raised GeneratorExit(reason): execute returned status COMPLETED, result None")
class TakesItForTheEndOfTheWorker(OfOneProcess):
    """Lets whoever wants to end its worker end it, which is no failure of the task."""

    boot = OfOneProcess.boot.replace(
        "except BaseException:",
        'except (GeneratorExit, KeyboardInterrupt):\n    answer = "returned", None\n'
        "except BaseException:",
    )


@breaks("RES-19", "raised StopIteration(reason): execute returned status FAILED")
class TakesItForTheEndOfTheWork(OfOneProcess):
    """Runs its tasks by a generator, in which a StopIteration is something else."""

    boot = OfOneProcess.boot.replace(
        "except BaseException:",
        "except (StopIteration, StopAsyncIteration):\n"
        '    answer = "raised", "the task has yielded nothing"\n'
        "except BaseException:",
    )
