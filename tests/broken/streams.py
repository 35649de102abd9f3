"""Wrong by STR."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import copy
import io
import os
from pathlib import Path
from typing import ClassVar

import aiofiles
import aiofiles.os
from pytest_asyncexec.reference_executor import LocalExecutor, ThreadExecutor

from pytest_asyncexec import TaskOutcome, TaskStatus, run_task

from . import breaks


class Writer(ThreadExecutor):
    """Writes streams itself: each wrong executor below changes one step of it."""

    async def write_streams_to_file(self, stream_strings, filepaths, dispatch_id, results_dir):
        for text, filepath in zip(stream_strings, filepaths, strict=True):
            if filepath:
                target = self.target(filepath, dispatch_id, results_dir)
                await self.append(text, target)

    def target(self, filepath, dispatch_id, results_dir):
        return os.path.join(os.path.expanduser(results_dir), dispatch_id, filepath)

    async def append(self, text, target):
        await aiofiles.os.makedirs(os.path.dirname(target), exist_ok=True)
        async with aiofiles.open(
            target, "a", encoding="utf-8", errors="backslashreplace", newline=""
        ) as file:
            await file.write(text)


@breaks("STR-01", "there is the file results/out.txt with 'text\\n'")
class ForgetsTheDispatch(Writer):
    """Puts all dispatches into one folder."""

    def target(self, filepath, dispatch_id, results_dir):
        return os.path.join(results_dir, filepath)


@breaks("STR-01", "filepaths ['50%.{0}.log']")
class FormatsPaths(Writer):
    """Lets a path contain placeholders, which nobody asked for."""

    def target(self, filepath, dispatch_id, results_dir):
        return super().target(filepath.format(dispatch_id), dispatch_id, results_dir)


@breaks("STR-01", "filepaths ['$HOME.log']")
class ExpandsWhatAShellWould(Writer):
    """Knows what `~` is, and what else there is of the kind."""

    def target(self, filepath, dispatch_id, results_dir):
        return super().target(os.path.expandvars(filepath), dispatch_id, results_dir)


@breaks("STR-02", "/elsewhere/out.txt with 'text\\n'")
class JoinsByHand(Writer):
    """Joins with slashes, where os.path.join would have let an absolute path win."""

    def target(self, filepath, dispatch_id, results_dir):
        return f"{results_dir}/{dispatch_id}/{filepath}"


@breaks("STR-02", "there is the file results/dispatch/out.txt with 'text\\n'")
class KeepsItTogether(Writer):
    """Brings home whatever would land outside of its folder."""

    def target(self, filepath, dispatch_id, results_dir):
        target = super().target(filepath, dispatch_id, results_dir)
        if not target.startswith(results_dir):
            target = os.path.join(results_dir, dispatch_id, os.path.basename(target))
        return target


@breaks("STR-03", "it raised FileNotFoundError")
class OpensTheUnexpandedPath(Writer):
    """Expands the path for making folders, and opens it as it was given: as Covalent does."""

    def target(self, filepath, dispatch_id, results_dir):
        if os.path.isabs(os.path.expanduser(filepath)):
            return filepath
        return super().target(filepath, dispatch_id, results_dir)

    async def append(self, text, target):
        os.makedirs(os.path.dirname(os.path.expanduser(target)), exist_ok=True)
        async with aiofiles.open(target, "a") as file:
            await file.write(text)


@breaks("STR-03", "left under the unexpanded name: results/dispatch/~")
class TakesTildeForAName(Writer):
    """Expands results_dir alone."""


@breaks("STR-04", "it raised FileNotFoundError")
class ExpectsItsFolders(Writer):
    """Was only ever tried where the folders were there."""

    async def append(self, text, target):
        async with aiofiles.open(target, "a", encoding="utf-8", newline="") as file:
            await file.write(text)


@breaks("STR-04", ".../not/yet/results/dispatch/deep/deeper/out.txt'; there is no file")
class MakesTheFolderOfTheDispatch(ExpectsItsFolders):
    """Has never seen a path with a folder in it."""

    def target(self, filepath, dispatch_id, results_dir):
        os.makedirs(os.path.join(results_dir, dispatch_id), exist_ok=True)
        return super().target(filepath, dispatch_id, results_dir)


@breaks("STR-05", "the file holds b'err 2\\n'")
class Overwrites(Writer):
    """Opens for writing."""

    async def append(self, text, target):
        await asyncio.to_thread(Path(target).write_text, text, "utf-8")


@breaks("STR-05", "it returned; the file holds b'out 1")
class EmptiesItsLog(Writer):
    """Takes a task that printed nothing for one whose log begins anew."""

    async def append(self, text, target):
        if text:
            await super().append(text, target)
        else:
            await asyncio.to_thread(Path(target).write_bytes, b"")


@breaks("STR-06", "filepaths ['', 'b.txt', '']: it raised ValueError")
class DropsEmptyPathsFirst(Writer):
    """Leaves out the empty paths before it pairs them with their streams."""

    async def write_streams_to_file(self, stream_strings, filepaths, dispatch_id, results_dir):
        filepaths = [path for path in filepaths if path]
        await super().write_streams_to_file(stream_strings, filepaths, dispatch_id, results_dir)


@breaks("STR-06", "filepaths ['', 'b.txt', '']: it returned; there is no file")
class StopsAtTheFirstEmptyPath(Writer):
    """Takes the first empty path for the end."""

    async def write_streams_to_file(self, stream_strings, filepaths, dispatch_id, results_dir):
        for text, filepath in zip(stream_strings, filepaths, strict=True):
            if not filepath:
                return
            await super().write_streams_to_file([text], [filepath], dispatch_id, results_dir)


@breaks("STR-07", "it raised UnicodeEncodeError: 'utf-8' codec")
class TrustsEveryCharacter(Writer):
    """Has never seen output whose bytes were no text."""

    async def append(self, text, target):
        async with aiofiles.open(target, "a", encoding="utf-8", newline="") as file:
            await file.write(text)


@breaks("STR-07", "in a process whose locale says")
class LeavesTheEncodingToTheLocale(Writer):
    """Works on every machine of its author's."""

    async def append(self, text, target):
        errors = "backslashreplace"
        async with aiofiles.open(target, "a", errors=errors, newline="") as file:
            await file.write(text)


@breaks("STR-07", r"the file holds b'windows\nlines\n'")
class TidiesNewlines(Writer):
    """Writes line by line, with the newline it likes best."""

    async def append(self, text, target):
        lines = text.split("\r\n")
        await super().append("\n".join(lines), target)


@breaks("STR-08", "streams ['one', 'two'] for filepaths ['a.txt']: it returned")
class PairsWhatFits(Writer):
    """Uses zip as it comes."""

    async def write_streams_to_file(self, stream_strings, filepaths, dispatch_id, results_dir):
        for text, filepath in zip(stream_strings, filepaths, strict=False):
            await super().write_streams_to_file([text], [filepath], dispatch_id, results_dir)


@breaks("STR-08", "it raised ValueError")
class NoticesAtTheEnd(Writer):
    """zip(strict=True) tells that something is missing when it is missing: at the end."""


@breaks("STR-08", "streams 'abc' for filepaths ['a.txt', 'b.txt', 'c.txt']: it returned")
class TakesATextForTexts(Writer):
    """Counts, and is content."""

    async def write_streams_to_file(self, stream_strings, filepaths, dispatch_id, results_dir):
        stream_strings, filepaths = list(stream_strings), list(filepaths)
        if len(stream_strings) != len(filepaths):
            raise ValueError("as many streams as paths, please")
        await super().write_streams_to_file(stream_strings, filepaths, dispatch_id, results_dir)


@breaks("STR-09", 'in append: "with open(target, "a", encoding="utf-8") as file:')
class OpensOnTheLoop(Writer):
    """Is a coroutine function, and never awaits anything."""

    async def append(self, text, target):
        with open(target, "a", encoding="utf-8") as file:  # noqa: ASYNC230
            file.write(text)


@breaks("STR-09", 'in append: "file.close()"')
class ClosesOnTheLoop(Writer):
    """Forgets that closing is writing: what was buffered goes out with it."""

    async def append(self, text, target):
        file = await asyncio.to_thread(open, target, "a", encoding="utf-8")
        await asyncio.to_thread(file.write, text)
        file.close()


@breaks("STR-10", "os.mkdir of .../results/dispatch/deep at streams.py")
class MakesFoldersOnTheLoop(Writer):
    """Uses aiofiles for the file, and pathlib for everything before it."""

    async def append(self, text, target):
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        await super().append(text, target)


@breaks("STR-10", "os.utime of .../old.txt at streams.py")
class TouchesOnTheLoop(Writer):
    """Makes sure that the file is there, in passing."""

    async def append(self, text, target):
        await aiofiles.os.makedirs(os.path.dirname(target), exist_ok=True)
        Path(target).touch(exist_ok=True)
        await super().append(text, target)


class LogsByItself(LocalExecutor):
    """Runs the template without logs, to write them itself."""

    async def _run_quietly(self, *task):
        quiet = copy.copy(self)
        quiet.log_stdout = quiet.log_stderr = ""
        return await run_task(quiet, *task)


@breaks("STR-11", "after the failure of a `run` that wrote to self.task_stdout")
class LogsWhatItReturns(LogsByItself):
    """Writes the logs after the task, which an error never reaches."""

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        outcome = await self._run_quietly(function, args, kwargs, dispatch_id, results_dir, node_id)
        await self.write_streams_to_file(
            (outcome.stdout, outcome.stderr),
            (self.log_stdout, self.log_stderr),
            dispatch_id,
            results_dir,
        )
        return outcome


@breaks("STR-11", "after the success, before a teardown that raises, of a `run` that wrote")
class LogsWhenAllIsTidy(ThreadExecutor):
    """Writes the logs last of all, which an error of teardown never reaches."""

    @property
    def task_stdout(self):
        return _STREAMS.get()[0]

    @property
    def task_stderr(self):
        return _STREAMS.get()[1]

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        _STREAMS.set((io.StringIO(), io.StringIO()))
        metadata = {"dispatch_id": dispatch_id, "node_id": node_id, "results_dir": results_dir}
        limit = self.time_limit if self.time_limit > 0 else None
        result, error = None, None
        try:
            result = await asyncio.wait_for(self.run(function, args, kwargs, metadata), limit)
        except Exception as failure:
            error = failure
        await self.teardown(metadata)
        streams = [stream.getvalue() for stream in _STREAMS.get()]
        await self.write_streams_to_file(
            streams, (self.log_stdout, self.log_stderr), dispatch_id, results_dir
        )
        if error is not None:
            raise error
        return TaskOutcome(result, *streams, TaskStatus.COMPLETED)


_STREAMS = contextvars.ContextVar("streams")


@breaks("STR-11", "characters that it printed, the log of stderr holds none")
class LogsOneStream(LogsByItself):
    """Writes everything into one file, for there it is read."""

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        outcome = await self._run_quietly(function, args, kwargs, dispatch_id, results_dir, node_id)
        await self.write_streams_to_file(
            [outcome.stdout + outcome.stderr], [self.log_stdout], dispatch_id, results_dir
        )
        return outcome


@breaks(
    "STR-11",
    "that raises a TimeoutError, that prints a line, with log files: both: of the ",
)
class LogsUnlessOutOfTime(LogsByItself):
    """Has thought of errors, and hurries when time is up."""

    async def run(self, function, args, kwargs, task_metadata):
        try:
            result = await super().run(function, args, kwargs, task_metadata)
        except TimeoutError:
            raise
        except Exception:
            await self._log(task_metadata)
            raise
        await self._log(task_metadata)
        return result

    async def _log(self, task_metadata):
        await self.write_streams_to_file(
            (self.task_stdout.getvalue(), self.task_stderr.getvalue()),
            self._logs,
            task_metadata["dispatch_id"],
            task_metadata["results_dir"],
        )

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        self._logs = self.log_stdout, self.log_stderr
        return await self._run_quietly(function, args, kwargs, dispatch_id, results_dir, node_id)


@breaks("STR-11", "the success of a `run` that wrote to self.task_stdout")
class NeverLogs(ThreadExecutor):
    """Keeps its paths, and leaves the writing to somebody else."""

    async def write_streams_to_file(self, stream_strings, filepaths, dispatch_id, results_dir):
        pass


@breaks("STR-11", "that prints a line to stderr alone, with log files: both: of the ")
class LooksAtItsOutputOnly(LocalExecutor):
    """Takes a task without output for one without anything to log."""

    async def write_streams_to_file(self, stream_strings, filepaths, dispatch_id, results_dir):
        stream_strings = list(stream_strings)
        if stream_strings[0]:
            await super().write_streams_to_file(stream_strings, filepaths, dispatch_id, results_dir)


@breaks("STR-11", "characters that it printed, the log of stdout holds none")
class LogsWhereItStands(LocalExecutor):
    """Takes a relative path for one from the working directory."""

    async def write_streams_to_file(self, stream_strings, filepaths, dispatch_id, results_dir):
        here = [path and os.path.abspath(path) for path in filepaths]
        await super().write_streams_to_file(stream_strings, here, dispatch_id, results_dir)


@breaks("STR-11", "with log files: stdout alone, under ~: of the ")
class MakesItsPathsAbsolute(LocalExecutor):
    """Joins its log files to the folder of the dispatch itself, the home folder's too."""

    async def write_streams_to_file(self, stream_strings, filepaths, dispatch_id, results_dir):
        joined = [path and os.path.join(results_dir, dispatch_id, path) for path in filepaths]
        await super().write_streams_to_file(stream_strings, joined, dispatch_id, results_dir)


@breaks("STR-11", "with log files: one file for both: ")
class BeginsItsLogsAnew(LocalExecutor):
    """Removes an old log before it writes the new one, and is asked to write two to one file."""

    async def write_streams_to_file(self, stream_strings, filepaths, dispatch_id, results_dir):
        for text, path in zip(stream_strings, filepaths, strict=True):
            if path:
                Path(results_dir, dispatch_id, path).unlink(missing_ok=True)
            await super().write_streams_to_file([text], [path], dispatch_id, results_dir)


_went_well = contextvars.ContextVar("went_well", default=False)


@breaks("STR-11", "characters that it printed, the log of stdout holds none")
class LogsFailuresOnly(LocalExecutor):
    """Keeps no log of what went well."""

    async def run(self, function, args, kwargs, task_metadata):
        result = await super().run(function, args, kwargs, task_metadata)
        _went_well.set(True)
        return result

    async def write_streams_to_file(self, stream_strings, filepaths, dispatch_id, results_dir):
        if not _went_well.get():
            await super().write_streams_to_file(stream_strings, filepaths, dispatch_id, results_dir)


@breaks("STR-12", "a task with log files: unwritable: execute raised IsADirectoryError")
class FailsWithItsLogs(LogsWhatItReturns):
    """Throws away what took hours, because a log could not be opened."""


@breaks("STR-12", "with log files: unwritable: execute raised IsADirectoryError")
class HidesTheErrorBehindItsLogs(LogsByItself):
    """Writes the logs in a `finally`, and what that raises is what the host sees."""

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        task = function, args, kwargs, dispatch_id, results_dir, node_id
        try:
            outcome = await self._run_quietly(*task)
        except Exception as error:
            await self.write_streams_to_file(
                [str(error)], [self.log_stdout], dispatch_id, results_dir
            )
            raise
        return outcome


@breaks("STR-13", "outside of it there is now a/b/c/d/e/f/g/h/escaped.txt")
class TrustsPaths(Writer):
    """Joins whatever it is given."""


@breaks("STR-13", "now a/b/c/d/e/f/g/h/results-of-others")
class ComparesBeginnings(Writer):
    """Refuses what does not begin with results_dir; another folder's name may begin like it."""

    def target(self, filepath, dispatch_id, results_dir):
        target = os.path.normpath(super().target(filepath, dispatch_id, results_dir))
        if not os.path.isabs(filepath) and not target.startswith(os.path.normpath(results_dir)):
            raise ValueError(f"{filepath!r} would leave {results_dir!r}")
        return target


@breaks("STR-13", "rooted/escaped.txt")
class CountsDots(Writer):
    """Refuses `..` and overlooks that a dispatch id may have a root."""

    def target(self, filepath, dispatch_id, results_dir):
        if ".." in Path(filepath).parts or ".." in Path(dispatch_id).parts:
            raise ValueError(f"{filepath!r} of {dispatch_id!r} would leave {results_dir!r}")
        return super().target(filepath, dispatch_id, results_dir)


@breaks("STR-14", "after 0 whole streams there follows '<")
class WritesInPieces(Writer):
    """Is polite to the event loop, and writes a little at a time."""

    async def append(self, text, target):
        for start in range(0, len(text), 65536):
            await super().append(text[start : start + 65536], target)


@breaks("STR-14", "characters are lost")
class RewritesTheFile(Writer):
    """Reads what is there, and writes it back with the new text behind it."""

    async def append(self, text, target):
        before = ""
        if await aiofiles.os.path.exists(target):
            async with aiofiles.open(target, encoding="utf-8", newline="") as file:
                before = await file.read()
        async with aiofiles.open(target, "w", encoding="utf-8", newline="") as file:
            await file.write(before + text)


@breaks("STR-14", "after 0 whole streams there follows '<")
class TakesTurnsWithItself(WritesInPieces):
    """Has a lock, and forgets that another instance has another one."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self._locks = {}

    async def append(self, text, target):
        async with self._locks.setdefault(target, asyncio.Lock()):
            await super().append(text, target)


class Queue(WritesInPieces):
    """Lets one writer in after the other, in the order in which they came."""

    last: ClassVar[dict] = {}

    def join(self, target):
        ahead, mine = self.last.get(target), asyncio.Event()
        self.last[target] = mine
        return ahead, mine


@breaks("STR-14", "of the others it did not end")
class TakesItsTurnAway(Queue):
    """Whoever is cancelled never gets to the line that lets in the next one."""

    async def append(self, text, target):
        ahead, mine = self.join(target)
        if ahead is not None:
            await ahead.wait()
        await super().append(text, target)
        mine.set()


@breaks("STR-14", "the third when the first was done: of the others it returned; after")
class EndsAnothersTurn(Queue):
    """Lets the next one in whatever happens, even if it was not its own turn yet."""

    async def append(self, text, target):
        ahead, mine = self.join(target)
        try:
            if ahead is not None:
                await ahead.wait()
            await super().append(text, target)
        finally:
            mine.set()


@breaks("STR-15", "as generators: it raised TypeError: object of type 'generator' has no len()")
class AsksForTheLength(Writer):
    """Compares the lengths before anything else."""

    async def write_streams_to_file(self, stream_strings, filepaths, dispatch_id, results_dir):
        if len(stream_strings) != len(filepaths):
            raise ValueError("as many streams as paths, please")
        await super().write_streams_to_file(stream_strings, filepaths, dispatch_id, results_dir)


@breaks("STR-15", "as generators: it raised ValueError")
class LooksBeforeItWrites(Writer):
    """Does nothing at all where no path is given; to see that, it reads them."""

    async def write_streams_to_file(self, stream_strings, filepaths, dispatch_id, results_dir):
        if any(filepaths):
            await super().write_streams_to_file(stream_strings, filepaths, dispatch_id, results_dir)


@breaks("STR-15", "filepaths was read 3 times")
class ReadsTwice(Writer):
    """Peeks with an iterator of its own."""

    async def write_streams_to_file(self, stream_strings, filepaths, dispatch_id, results_dir):
        if iter(filepaths) is not filepaths and not any(filepaths):
            return
        await super().write_streams_to_file(stream_strings, filepaths, dispatch_id, results_dir)


@breaks("STR-16", "short.txt was not there of 6")
class WritesLater(Writer):
    """Does not keep its host waiting."""

    async def append(self, text, target):
        self._writing = asyncio.ensure_future(super().append(text, target))


@breaks("STR-16", "to a named pipe that nobody read from, and returned")
class WaitsForAMinute(Writer):
    """Does not let a slow disk hold a task up for ever."""

    async def append(self, text, target):
        writing = asyncio.ensure_future(super().append(text, target))
        await asyncio.wait({writing}, timeout=60)


@breaks("STR-16", "to a named pipe that nobody read from, and returned")
class GivesUpQuietly(Writer):
    """Likewise, with a limit that it takes no notice of."""

    async def append(self, text, target):
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(super().append(text, target), 600)


@breaks("STR-17", "it returned; there is the file dispatch/b/out.txt")
class SwallowsItsErrors(Writer):
    """Logs are not worth an error."""

    async def append(self, text, target):
        with contextlib.suppress(OSError):
            await super().append(text, target)


@breaks("STR-17", ": it raised")
class WritesThemTogether(Writer):
    """Writes all of them at the same time, and has an error before the others are done."""

    async def write_streams_to_file(self, stream_strings, filepaths, dispatch_id, results_dir):
        await asyncio.gather(
            *(
                self.append(text, self.target(filepath, dispatch_id, results_dir))
                for text, filepath in zip(stream_strings, filepaths, strict=True)
                if filepath
            )
        )


@breaks("STR-17", "where 'a' is a file: it returned")
class LivesWithoutAFolder(ThreadExecutor):
    """Thinks of a folder that is there already, and forgets what else may stand in its place."""

    async def write_streams_to_file(self, stream_strings, filepaths, dispatch_id, results_dir):
        with contextlib.suppress(FileExistsError, NotADirectoryError):
            await super().write_streams_to_file(stream_strings, filepaths, dispatch_id, results_dir)


@breaks("STR-17", "where 'a/out.txt' is a folder: it raised")
class StopsAtTheFirstError(Writer):
    """Lets the first error end it all."""
