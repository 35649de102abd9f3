"""STR: what `write_streams_to_file` leaves on the disk, and what it does to the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import itertools
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from hypothesis import strategies as st

from ..contract.wording import short, short_text
from .check import check
from .instruments import patience
from .instruments.audit import audited, line_outside_the_library, path_in
from .instruments.pipe import Pipe
from .instruments.strategies import for_all
from .instruments.together import together
from .scenarios.asking import ask_plan
from .scenarios.logs import judge_logs_of_run
from .scenarios.other_locale import write_in_the_c_locale
from .scenarios.writing import (
    expect_files,
    file_name,
    files_in,
    inventory,
    reproduction,
    script,
    told_of,
    write,
    writer_of,
    written,
)
from .subject.subject import Subject

# ---- where a stream lands ----------------------------------------------------------------------


@check("STR-01")
def test_STR_01_must_write_a_relative_path_below_the_dispatch(subject: Subject) -> None:
    executor = writer_of(subject)
    for name in (
        "out.txt",
        "two words.log",
        "logs/out",
        "50%.{0}.log",
        "$HOME.log",
        file_name("größe-数据.log"),
    ):
        folder = subject.new_folder()
        target = folder / "results" / "dispatch" / name
        # Its folder is there already: making it is a rule of its own.
        target.parent.mkdir(parents=True)

        error = write(subject, executor, ["text\n"], [name], folder / "results")

        expect_files(
            subject,
            f"filepaths [{name!r}], dispatch_id 'dispatch', results_dir '.../results'",
            error,
            files_in(folder),
            {f"results/dispatch/{name}": b"text\n"},
            folder,
            cause="the path is joined to something else than results_dir and dispatch_id",
            reproduce=reproduction(
                f'(folder / "results" / "dispatch" / {name!r}).parent.mkdir(parents=True)',
                f'write(["text\\n"], [{name!r}])',
            ),
        )


@check("STR-02")
def test_STR_02_must_write_an_absolute_path_as_it_is(subject: Subject) -> None:
    executor = writer_of(subject)
    folder = subject.new_folder()
    (folder / "elsewhere").mkdir()

    error = write(
        subject,
        executor,
        ["text\n"],
        [str(folder / "elsewhere" / "out.txt")],
        folder / "results",
    )

    expect_files(
        subject,
        "filepaths ['.../elsewhere/out.txt'], results_dir '.../results'",
        error,
        files_in(folder),
        {"elsewhere/out.txt": b"text\n"},
        folder,
        cause="results_dir is put in front of every path, absolute ones too",
        reproduce=reproduction(
            '(folder / "elsewhere").mkdir()',
            'write(["text\\n"], [str(folder / "elsewhere" / "out.txt")])',
        ),
    )


@check("STR-03")
def test_STR_03_must_expand_the_home_folder(subject: Subject) -> None:
    executor = writer_of(subject)
    for name, results_dir, expected in (
        ("~/logs/out.txt", "", "home/logs/out.txt"),
        ("out.txt", "~/results", "home/results/dispatch/out.txt"),
        ("~/out.txt", "~/results", "home/out.txt"),
    ):
        folder = subject.new_folder()
        for part in ("home", "cwd"):
            (folder / part).mkdir()
        # Whoever takes `~` for a name makes a folder of that name where the process stands.
        home = str(folder / "home")
        with (
            mock.patch.dict(os.environ, {"HOME": home, "USERPROFILE": home}),
            contextlib.chdir(folder / "cwd"),
        ):
            error = write(subject, executor, ["text\n"], [name], results_dir or folder / "results")

        # A folder by the unexpanded name is litter as well, even where the file is right.
        litter = sorted(
            path.relative_to(folder).as_posix()
            for path in folder.rglob("*")
            if path.name.startswith("~")
        )
        files, wanted = files_in(folder), {expected: b"text\n"}
        if error is None and files == wanted and not litter:
            continue
        left = f"; left under the unexpanded name: {', '.join(litter)}" if litter else ""
        subject.fail(
            seen=f"filepaths [{name!r}], results_dir {results_dir or '.../results'!r}, with '~' "
            f"for '.../home' and '.../cwd' the working directory: {told_of(error, folder)}; "
            f"{inventory(files)}{left}",
            required=f"{inventory(wanted)}, and nothing under a name with '~'",
            cause="the expanded path is used for making folders and the unexpanded one for "
            "opening the file; or only one of filepaths and results_dir is expanded",
            reproduce=reproduction(
                'for part in ("home", "cwd"):',
                "    (folder / part).mkdir()",
                'os.environ["HOME"] = os.environ["USERPROFILE"] = str(folder / "home")',
                'os.chdir(folder / "cwd")',
                f'write(["text\\n"], [{name!r}]'
                + (f", results_dir={results_dir!r})" if results_dir else ")"),
            ),
        )


@check("STR-04")
def test_STR_04_must_make_missing_folders(subject: Subject) -> None:
    executor = writer_of(subject)
    folder = subject.new_folder()

    error = write(
        subject,
        executor,
        ["one\n", "two\n"],
        ["deep/deeper/out.txt", str(folder / "elsewhere" / "deep" / "err.txt")],
        folder / "not" / "yet" / "results",
    )

    expect_files(
        subject,
        "filepaths ['deep/deeper/out.txt', '.../elsewhere/deep/err.txt'], results_dir "
        "'.../not/yet/results', none of whose folders exists",
        error,
        files_in(folder),
        {
            "elsewhere/deep/err.txt": b"two\n",
            "not/yet/results/dispatch/deep/deeper/out.txt": b"one\n",
        },
        folder,
        cause="nobody has made the folders of a dispatch yet when its first stream is written",
        reproduce=reproduction(
            'write(["one\\n", "two\\n"],',
            '      ["deep/deeper/out.txt", str(folder / "elsewhere" / "deep" / "err.txt")],',
            '      results_dir=folder / "not" / "yet" / "results")',
        ),
    )


@check("STR-05")
def test_STR_05_must_append(subject: Subject) -> None:
    executor = writer_of(subject)
    folder = subject.new_folder()
    target = folder / "out.txt"
    # What stands in the file is bytes of somebody else's: no line ending, no encoding.
    before = b"was there\r\n\xff"
    target.write_bytes(before)

    # One file for both streams, as log_stdout == log_stderr asks for, of a task that printed
    # nothing and of two more.
    errors = [write(subject, executor, ["", ""], [str(target)] * 2, folder)]
    errors += [
        write(subject, executor, [f"out {n}\n", f"err {n}\n"], [str(target)] * 2, folder)
        for n in (1, 2)
    ]

    expected = before + b"out 1\nerr 1\nout 2\nerr 2\n"
    there = target.read_bytes() if target.is_file() else None
    if any(errors) or there != expected:
        error = next((error for error in errors if error is not None), None)
        subject.fail(
            seen=f"two empty streams to one file, which held {before!r}, and two more, twice: "
            f"{told_of(error, folder)}; the file holds {there!r}",
            required=f"it holds {expected!r}",
            cause='the file is opened with "w" in place of "a", or read and written anew',
            reproduce=reproduction(
                'target = folder / "out.txt"',
                'target.write_bytes(b"was there\\r\\n\\xff")',
                'write(["", ""], [str(target)] * 2)',
                "for n in (1, 2):",
                '    write([f"out {n}\\n", f"err {n}\\n"], [str(target)] * 2)',
            ),
        )


@check("STR-06")
def test_STR_06_must_skip_an_empty_path(subject: Subject) -> None:
    executor = writer_of(subject)
    streams = ["one\n", "two\n", "three\n"]
    for names in (["", "b.txt", ""], ["a.txt", "", "c.txt"], ["", "", ""]):
        folder = subject.new_folder()

        error = write(subject, executor, streams, names, folder / "results")

        expect_files(
            subject,
            f"filepaths {names!r}",
            error,
            files_in(folder),
            {
                f"results/dispatch/{name}": text.encode()
                for name, text in zip(names, streams, strict=True)
                if name
            },
            folder,
            cause='an empty path is what log_stdout="" means: no file for this stream, while the '
            "others have theirs",
            reproduce=reproduction(f"write({streams!r}, {names!r})"),
        )


# ---- what is in the file -----------------------------------------------------------------------

#: Every newline there is, controls, a byte order mark, both ends of the planes, half a surrogate
#: pair. No pair of surrogates beside each other: how those travel is nobody's promise.
_NASTY = "\n\r\0\v\f\x1a\x1c\x85\xa0ÿ\u2028\u2029\ufeff\ufffd\uffff\U0001f600\U0010ffff\udc80\ud800"
_NASTY_TEXTS = (
    "unix\nlines\n",
    "windows\r\nlines\r\n",
    "old\rlines\rno end",
    "\ufeffmarked",
    "größe 数据 \U0001f600\n",
    f"separators \0 \v \f \x1c \x85 \u2028 \u2029 end{chr(26)}",
    "a lone surrogate \udc80, another \ud800.\n",
    "long line " * 30_000,
)


def _as_promised(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")


def _judge_texts(
    subject: Subject,
    texts: Sequence[str],
    told: Sequence[str],
    folder: Path,
    where: str = "",
) -> None:
    """Fail unless the file of each text, named by its number, holds it exactly."""
    for number, (text, ending) in enumerate(zip(texts, told, strict=True)):
        path = folder / str(number)
        there = path.read_bytes() if path.is_file() else b""
        if there == _as_promised(text):
            continue
        shown = ascii(text) if len(text) <= 120 else f"{text[:60]!a}... ({len(text):,})"
        subject.fail(
            seen=f"the text {shown}{where}: {ending}; the file holds {short(there)}",
            required=f"it holds {short(_as_promised(text))}",
            cause="the file is opened without encoding='utf-8', newline='' and "
            "errors='backslashreplace'",
            reproduce=reproduction(
                *["# Run with LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0."] * bool(where),
                f'write([{text[:200]!a}], [str(folder / "out.txt")])',
            ),
        )


@check("STR-07")
def test_STR_07_must_write_exactly_the_text_in_utf_8(subject: Subject) -> None:
    executor = writer_of(subject)

    def judge(texts: list[str]) -> None:
        folder = subject.new_folder()
        paths = [str(folder / str(number)) for number in range(len(texts))]
        error = write(subject, executor, texts, paths, folder)
        _judge_texts(subject, texts, [told_of(error, folder)] * len(texts), folder)

    for text in _NASTY_TEXTS:
        judge([text])
    examples = subject.pick(quick=25, default=60, thorough=300)
    characters = st.one_of(st.sampled_from(_NASTY), st.characters())
    for_all(
        st.lists(st.text(characters, max_size=30), min_size=1, max_size=4), judge, examples=examples
    )

    # No locale of this process can be changed for the length of a call: Python reads it at its
    # start. So a process of another locale writes the same texts.
    folder = subject.new_folder()
    encoding, told = write_in_the_c_locale(subject, _NASTY_TEXTS, folder)
    _judge_texts(
        subject, _NASTY_TEXTS, told, folder, f", in a process whose locale says {encoding}"
    )


@check("STR-08")
def test_STR_08_must_refuse_what_does_not_fit_together(subject: Subject) -> None:
    executor = writer_of(subject)
    required = "an error, ValueError or TypeError for instance, before any file is there"
    for streams, names in (
        (["one", "two"], ["a.txt"]),
        (["one"], ["a.txt", "b.txt"]),
        ([], ["a.txt"]),
        (["one"], []),
        (["one", "two"], [""]),
        # A text is an iterable of texts: its characters even fit in number.
        ("abc", ["a.txt", "b.txt", "c.txt"]),
        (["one", "two"], "ab"),
        ("ab", "cd"),
    ):
        folder = subject.new_folder()

        error = write(subject, executor, streams, names, folder / "results")

        files = files_in(folder)
        if error is None or files:
            bare = isinstance(streams, str) or isinstance(names, str)
            subject.fail(
                seen=f"streams {streams!r} for filepaths {names!r}: {told_of(error, folder)}; "
                f"{inventory(files)}",
                required=required,
                cause="a str is an iterable of its characters"
                if bare
                else "zip() ends with the shorter one and drops the rest without a word; "
                "zip(strict=True) raises after everything that fits has been written",
                reproduce=reproduction(f"write({streams!r}, {names!r})"),
            )


# ---- the event loop ----------------------------------------------------------------------------

#: The first is shorter than what a text file holds back (8,192), so that closing is what writes
#: it, and longer than a narrow pipe (4,096); the second is longer than any pipe.
_PIPED = ("a line of a log\n" * 500, "and another one\n" * 5_000)


@check("STR-09")
def test_STR_09_must_never_block_the_event_loop(subject: Subject) -> None:
    executor = writer_of(subject)
    if not hasattr(os, "mkfifo"):
        subject.could_not_run("this system has no named pipes to wait on")
    folder = subject.new_folder()

    # Who opens the pipe waits for its reader, who writes waits for room in it, and for both it
    # takes the event loop to move on.
    with Pipe(folder / "pipe") as pipe:
        paths = [str(pipe.path)] * len(_PIPED)
        error = subject.drive(
            lambda: pipe.serve(lambda: written(executor, _PIPED, paths, "dispatch", str(folder)))
        )

    if pipe.blocked_at:
        subject.fail(
            seen="a named pipe, which the event loop reads from as soon as it may run: the loop "
            f"stood still for {patience.RESCUE:g} s, until it was rescued, at\n{pipe.blocked_at}",
            required="opening, writing and closing wait on another thread (aiofiles, "
            "asyncio.to_thread), and the event loop goes on",
            cause="file operations on the loop's own thread: opening blocks on it here, and so "
            "does the write that close() makes of what was buffered",
            reproduce=script(
                "import contextlib, faulthandler, fcntl",
                'pipe = str(folder / "pipe")',
                "os.mkfifo(pipe)",
                "faulthandler.dump_traceback_later(5, exit=True)",
                "async def main():",
                "    writing = asyncio.ensure_future(executor.write_streams_to_file(",
                '        ["a line of a log\\n" * 500], [pipe], "d", str(folder)))',
                "    await asyncio.sleep(0.5)",
                "    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)",
                "    fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 4096)  # Linux",
                "    while not writing.done():",
                "        await asyncio.sleep(0.1)",
                "        with contextlib.suppress(BlockingIOError):",
                '            print(len(os.read(reader, 8000)), "bytes read: the loop goes on")',
                "asyncio.run(main())",
            ),
        )
    if error is not None:
        subject.could_not_run(
            "the executor does not write into a named pipe, so nothing was there to wait for: "
            f"{told_of(error, folder)}"
        )
    if pipe.received != "".join(_PIPED).encode():
        subject.could_not_run(
            "the text did not come out of the named pipe as it was given, see STR-05 and STR-07"
        )


@check("STR-10")
def test_STR_10_should_keep_folders_and_files_off_the_loop_thread(subject: Subject) -> None:
    executor = writer_of(subject)
    folder = subject.new_folder()
    # An old file, which a writer may want to touch, and a new one in a folder to be made.
    (folder / "old.txt").touch()
    calls = ("os.mkdir", "os.utime", "open", "os.truncate")
    evidence: list[str] = []

    async def story() -> BaseException | None:
        thread = threading.get_ident()

        def notice(event: str, args: tuple[Any, ...]) -> None:
            if threading.get_ident() != thread or event not in calls:
                return
            path = path_in(args, folder)
            if path is not None:
                line = line_outside_the_library(sys._getframe(2))
                evidence.append(f"{event} of {path.replace(str(folder), '...')} at {line}")

        with audited(notice):
            return await written(
                executor,
                ["one\n", "two\n"],
                [str(folder / "old.txt"), "deep/new.txt"],
                "dispatch",
                str(folder / "results"),
            )

    error = subject.drive(story)

    if evidence:
        subject.fail(
            seen="on the thread of the event loop\n" + "\n".join(dict.fromkeys(evidence)),
            required="file system calls happen on other threads, for on a network file system "
            "each of them may take seconds",
            cause="pathlib's mkdir and touch block like any other call; aiofiles.os.makedirs and "
            "asyncio.to_thread do not",
            reproduce=script(
                "import sys, threading",
                "def hook(event, args):",
                f"    if event in {calls!r} and str(folder) in str(args[0]):",
                "        print(event, args[0], threading.current_thread().name)",
                "sys.addaudithook(hook)",
                "asyncio.run(call_method(executor.write_streams_to_file,",
                '                        ["text"], ["deep/new.txt"], "dispatch", str(folder)))',
            ),
        )
    if error is not None:
        subject.could_not_run(f"nothing was written: {told_of(error, folder)}, see STR-04")


# ---- the logs of a task ------------------------------------------------------------------------


@check("STR-11")
def test_STR_11_must_write_the_logs_of_every_task(subject: Subject) -> None:
    captures = subject.preflight().captures_streams
    # What `run` itself writes, whose error nobody has turned into another one yet ...
    logs_run = judge_logs_of_run(subject, may_log_in_run=captures)
    # ... and what tasks print.
    if captures:
        ask_plan(
            subject,
            "ordinary",
            "stopped",
            cause="the logs are written behind a line that can raise, and not in a `finally`; for "
            "some streams or endings only; to another path than the documented one; or over what "
            "is in the file already",
        )
    elif not logs_run:
        # Nothing came back, and nothing was written: the two agree, which proves nothing.
        if "streams" in subject.preflight().cannot:
            subject.not_applicable("the executor declares that it captures no streams to be logged")
        subject.could_not_run("no stream is captured, so that none can be logged, see RES-06")


@check("STR-12")
def test_STR_12_must_survive_a_log_that_cannot_be_written(subject: Subject) -> None:
    ask_plan(
        subject,
        "ordinary",
        "stopped",
        cause="an error of write_streams_to_file leaves `execute` in place of the outcome: keep "
        "the outcome, and tell of the log by `logging` and by a note on the task's error",
    )


# ---- hostile and hurried callers ---------------------------------------------------------------


@check("STR-13")
def test_STR_13_must_never_leave_the_results_dir(subject: Subject) -> None:
    executor = writer_of(subject)

    def judge(names: tuple[str, str]) -> None:
        dispatch_id, name = names
        folder = subject.new_folder()
        # As deep as the way out is long, so that nothing lands outside of this folder.
        results = folder.joinpath(*"abcdefgh", "results")
        results.mkdir(parents=True)
        (folder / "rooted").mkdir()
        dispatch_id = dispatch_id.replace("ROOT", str(folder / "rooted"))
        before = _outside(folder, results)

        error = write(subject, executor, ["text\n"], [name], results, dispatch_id)

        escaped = sorted(_outside(folder, results) - before)
        if escaped:
            shown = dispatch_id.replace(str(folder), "...")
            subject.fail(
                seen=f"dispatch_id {shown!r}, filepaths [{name!r}], results_dir "
                f"'.../a/b/c/d/e/f/g/h/results': {told_of(error, folder)}; outside of it there is "
                f"now {', '.join(escaped)}",
                required="such names are refused (ValueError for instance), or the file lies "
                "inside results_dir",
                cause="paths are joined without asking where the result lies; a rooted part "
                "throws away everything before it",
                reproduce=reproduction(
                    'results = folder.joinpath("a", "b", "c", "d", "e", "f", "g", "h", "results")',
                    f'write(["text\\n"], [{name!r}], '
                    + (
                        f"str(folder) + {shown.removeprefix('...')!r}"
                        if shown.startswith("...")
                        else repr(dispatch_id)
                    )
                    + ", results)",
                ),
            )

    for names in (
        ("dispatch", "../../escaped.txt"),
        ("dispatch", "deep/../../../escaped.txt"),
        # Beside results_dir, with a name that begins like it.
        ("dispatch", "../../results-of-others/escaped.txt"),
        ("..", "escaped.txt"),
        ("../others", "escaped.txt"),
        ("dispatch/../../..", "escaped.txt"),
        ("ROOT", "escaped.txt"),
        ("ROOT/../rooted", "escaped.txt"),
    ):
        judge(names)
    parts = st.lists(st.sampled_from(["..", "..", ".", "deep", ""]), max_size=4).map("/".join)
    # A path that begins with "/" is absolute and the caller's own choice; so is no dispatch id, but
    # one of those leads out of the folder that can be looked at here.
    relative = parts.map(lambda part: part.lstrip("/"))
    pairs = st.tuples(relative, relative.map(lambda part: f"{part}/x.txt".lstrip("/")))
    for_all(pairs, judge, examples=subject.pick(quick=15, default=40, thorough=200))


def _outside(folder: Path, results: Path) -> set[str]:
    """Everything below `folder` that is not below `results`."""
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if results not in path.parents and path != results
    }


@check("STR-14")
def test_STR_14_should_keep_streams_whole_among_writers(subject: Subject) -> None:
    # Two instances, as two nodes of a workflow may have: a lock of an instance is not enough.
    executors = writer_of(subject), writer_of(subject)
    folder = subject.new_folder()
    target = folder / "shared.log"
    streams = [f"<{letter}>" + letter * 300_000 + f"</{letter}>\n" for letter in "abcdefgh"]

    async def story() -> list[BaseException | None]:
        # Whoever does not take turns has to meet the others, and not by chance.
        async with together(target):
            return await asyncio.gather(
                *(
                    written(executors[n % 2], [stream], [str(target)], "dispatch", str(folder))
                    for n, stream in enumerate(streams)
                )
            )

    errors = subject.drive_apart(story)

    error = next((error for error in errors if error is not None), None)
    torn = _torn(target.read_text("utf-8", "replace") if target.is_file() else "", streams)
    if error is not None or torn:
        subject.fail(
            seen=f"{len(streams)} writers at once, of {len(streams[0]):,} characters each: "
            f"{told_of(error, folder)}; {torn}",
            required="the file holds every stream whole, in any order",
            cause="a stream is written piece by piece, and other writers come between; or the "
            "file is opened in another mode than append",
            reproduce=script(
                f"both = executor, {subject.target.spec.replace(':', '.').rpartition('.')[2]}()",
                "async def main():",
                '    path = str(folder / "shared.log")',
                "    await asyncio.gather(*(",
                "        call_method(both[number % 2].write_streams_to_file,",
                '                    [letter * 300_000], [path], "d", str(folder))',
                '        for number, letter in enumerate("abcdefgh")',
                "    ))",
                "asyncio.run(main())",
                "import itertools",
                'text = (folder / "shared.log").read_text()',
                "print([(letter, len(list(run))) for letter, run in itertools.groupby(text)])",
            ),
        )
    _judge_cancelled_writers(subject, executors[0])


#: Of five writers, who is cancelled: what becomes of their own streams is not judged.
_CANCELLED = (1, 2)


def _judge_cancelled_writers(subject: Subject, executor: Any) -> None:
    """Fail if a writer that is cancelled while it waits for others stops them, or lets them in."""
    folder = subject.new_folder()
    target = folder / "shared.log"
    streams = [f"<{letter}>" + letter * 300_000 + f"</{letter}>\n" for letter in "abcde"]

    def begin(stream: str) -> asyncio.Future[BaseException | None]:
        return asyncio.ensure_future(
            written(executor, [stream], [str(target)], "dispatch", str(folder))
        )

    async def story() -> list[BaseException | str | None]:
        async with together(target):
            writing = [begin(stream) for stream in streams[:4]]
            # One is cancelled while the first one writes, and one when it may be its turn next.
            writing[0].add_done_callback(lambda _: writing[2].cancel())
            await asyncio.sleep(0)
            writing[1].cancel()
            _, stuck = await asyncio.wait(writing, timeout=patience.TURN)
        if not stuck:
            # And one that comes when they are gone.
            writing.append(begin(streams[4]))
            _, stuck = await asyncio.wait(writing, timeout=patience.TURN)
        for future in stuck:
            future.cancel()
        if stuck:
            await asyncio.wait(stuck, timeout=patience.TURN)
        return [
            "it did not end" if future in stuck else future.result()
            for number, future in enumerate(writing)
            if number not in _CANCELLED
        ]

    ended = subject.drive_apart(story)

    wrong = next((end for end in ended if end is not None), None)
    told = wrong if isinstance(wrong, str) else told_of(wrong, folder)
    text = target.read_text("utf-8", "replace") if target.is_file() else ""
    torn = _torn(text, streams, cancelled=_CANCELLED)
    if wrong is not None or torn:
        subject.fail(
            seen="five writers of one file, the second cancelled while the first one wrote, the "
            f"third when the first was done: of the others {told}; {torn}".removesuffix("; "),
            required="the file holds every stream whole whose writer was not cancelled",
            cause="who is cancelled while it waits takes its turn with it, or ends the turn of "
            "the one that is writing",
            reproduce=script(
                "async def main():",
                '    path = str(folder / "shared.log")',
                "    writing = [",
                "        asyncio.ensure_future(call_method(executor.write_streams_to_file,",
                '                                          [letter], [path], "d", str(folder)))',
                '        for letter in "abcd"',
                "    ]",
                "    writing[0].add_done_callback(lambda _: writing[2].cancel())",
                "    await asyncio.sleep(0)",
                "    writing[1].cancel()",
                "    done, stuck = await asyncio.wait(writing, timeout=5)",
                '    print(*done, sep="\\n")',
                '    print("stuck:", *stuck)',
                "    os._exit(0)",
                "asyncio.run(main())",
            ),
        )


def _torn(text: str, streams: Sequence[str], cancelled: Sequence[int] = ()) -> str:
    """What is wrong with a file that should be all of `streams`, one after the other.

    Of a cancelled writer's there may be any first part, or nothing.
    """
    left, position = list(streams), 0
    optional = [streams[number] for number in cancelled]
    while position < len(text) or any(stream not in optional for stream in left):
        whole = next((stream for stream in left if text.startswith(stream, position)), "")
        parts = {_begun(stream, text, position): stream for stream in left if stream in optional}
        length = len(whole) or max(parts, default=0)
        if not length:
            break
        left.remove(whole or parts[length])
        position += length
    if not any(stream not in optional for stream in left):
        rest = text[position:]
        return f"behind all the streams there is {short_text(rest)}" if rest else ""
    lost = len("".join(streams)) - len(text)
    return (
        f"after {len(streams) - len(left)} whole streams there follows "
        f"{text[position : position + 20]!r}, and then something else than the rest of "
        f"that stream" + (f"; {lost:,} characters are lost" if lost > 0 and not cancelled else "")
    )


def _begun(stream: str, text: str, position: int) -> int:
    """How many characters of a stream stand at this position."""
    there = text[position : position + len(stream)]
    pairs = enumerate(zip(stream, there, strict=False))
    return next((n for n, (one, other) in pairs if one != other), len(there))


class _Once:
    """An iterable with nothing else to it, which counts how often it is read."""

    def __init__(self, values: Sequence[str]) -> None:
        self._values = values
        self.reads = 0

    def __iter__(self) -> Iterator[str]:
        self.reads += 1
        return iter(self._values)


@check("STR-15")
def test_STR_15_must_take_any_iterables_and_read_them_once(subject: Subject) -> None:
    executor = writer_of(subject)
    streams, names = ["one\n", "two\n"], ["a.txt", "b.txt"]
    counted: list[_Once] = []

    def once(values: Sequence[str]) -> _Once:
        counted.append(_Once(values))
        return counted[-1]

    kinds: tuple[tuple[str, Callable[[list[str]], Iterable[str]], str], ...] = (
        ("tuples", tuple, "tuple({})"),
        ("generators", lambda values: (value for value in values), "(item for item in {})"),
        ("views of dictionaries", lambda values: dict.fromkeys(values).keys(), "dict.fromkeys({})"),
        ("iterables with nothing but __iter__", once, "iter({})"),
    )
    for kind, make, spelled in kinds:
        folder = subject.new_folder()

        error = write(subject, executor, make(streams), make(names), folder)

        expect_files(
            subject,
            f"streams {streams!r} and filepaths {names!r} as {kind}",
            error,
            files_in(folder),
            {"dispatch/a.txt": b"one\n", "dispatch/b.txt": b"two\n"},
            folder,
            cause="len() or an index is asked of what is promised to be iterable, or it is read "
            "twice: a generator is empty by then",
            reproduce=reproduction(
                f"write({spelled.format(streams)}, {spelled.format(names)})",
            ),
        )
    for name, iterable in zip(("stream_strings", "filepaths"), counted, strict=True):
        if iterable.reads != 1:
            subject.fail(
                seen=f"{name} was read {iterable.reads} times",
                required="each is read once: what comes out of it may differ the next time",
                cause="it is counted or checked first, and read again for writing",
                reproduce=reproduction(
                    "class Once(list):",
                    "    def __iter__(self):",
                    '        print("read")',
                    "        return super().__iter__()",
                    f"write(Once({streams!r}), Once({names!r}))",
                ),
            )


@check("STR-16")
def test_STR_16_must_have_written_when_it_returns(subject: Subject) -> None:
    executor = writer_of(subject)
    folder = subject.new_folder()
    streams = ["short\n", "long " * 100_000]
    paths = [folder / "short.txt", folder / "long.txt"]

    async def story() -> tuple[BaseException | None, list[str | None]]:
        before = asyncio.all_tasks()
        error = await written(
            executor, streams, [str(path) for path in paths], "dispatch", str(folder)
        )
        # In the same step of the loop: nothing that was only begun can go on meanwhile.
        there = [path.read_text("utf-8", "replace") if path.is_file() else None for path in paths]
        # What is still at it would otherwise be cut off with its file open.
        later = asyncio.all_tasks() - before
        if later:
            await asyncio.wait(later, timeout=5)
        return error, there

    error, there = subject.drive(story)

    for path, text, held in zip(paths, streams, there, strict=True):
        if error is not None or held != text:
            subject.fail(
                seen=f"when write_streams_to_file was over ({told_of(error, folder)}), {path.name} "
                + ("was not there" if held is None else f"held {len(held):,} characters")
                + f" of {len(text):,}",
                required="when the coroutine returns, the text is in the file",
                cause="writing is handed to a task or a thread that nobody waits for, or the "
                "file is not closed yet",
                reproduce=script(
                    "async def main():",
                    '    path = folder / "out.txt"',
                    "    await call_method(executor.write_streams_to_file,",
                    '                      ["text"], [str(path)], "d", str(folder))',
                    '    print(path.read_text() if path.exists() else "nothing there")',
                    "asyncio.run(main())",
                ),
            )

    if hasattr(os, "mkfifo") and not _blocks(subject, executor):
        _judge_patience(subject, executor)


def _blocks(subject: Subject, executor: Any) -> bool:
    """Whether the executor waits for files on the loop's thread, so that no pipe can be held shut.

    A plain function waits on a thread of its own, to which no time goes by here.
    """
    known = subject.findings.get("STR-09")
    coroutine = inspect.iscoroutinefunction(executor.write_streams_to_file)
    return not coroutine or (known is not None and known.outcome == "failed")


def _judge_patience(subject: Subject, executor: Any) -> None:
    """Fail if the executor returns before its text is in a file that has to be waited for."""
    folder = subject.new_folder()
    text = "a line of a log\n" * 20_000

    async def story() -> tuple[bool, BaseException | None]:
        return await pipe.hold(
            lambda: written(executor, [text], [str(pipe.path)], "dispatch", str(folder))
        )

    # Longer than any pipe is wide: not even who needs no reader to open it can have written all.
    with Pipe(folder / "pipe") as pipe:
        early, error = subject.drive_apart(story)

    if early and error is None and pipe.path.is_fifo():
        subject.fail(
            seen="write_streams_to_file was to write to a named pipe that nobody read from, and "
            "returned when hours had gone by on the event loop's clock",
            required="it waits for as long as writing takes, or raises an error",
            cause="a limit of time (asyncio.wait_for, asyncio.wait) after which the rest is left "
            "to a thread that nobody waits for",
            reproduce=script(
                'pipe = str(folder / "pipe")',
                "os.mkfifo(pipe)",
                "async def main():",
                "    loop, hours = asyncio.get_running_loop(), 0",
                "    now = loop.time",
                "    loop.time = lambda: now() + 3600 * hours",
                "    writing = asyncio.ensure_future(executor.write_streams_to_file(",
                '        ["a line of a log\\n" * 20_000], [pipe], "d", str(folder)))',
                "    await asyncio.sleep(0.5)",
                "    for hours in range(100):",
                "        await asyncio.sleep(0)",
                '    print("returned" if writing.done() else "waits, as it should", flush=True)',
                "    os._exit(0)",
                "asyncio.run(main())",
            ),
        )


_TEXTS, _LONG = ["one\n", "two\n", "three\n"], 1 << 18


@check("STR-17")
def test_STR_17_must_raise_for_one_file_and_write_the_others(subject: Subject) -> None:
    executor = writer_of(subject)
    names = ["a/out.txt", "b/out.txt", "c/out.txt"]
    # So long that they are not written by the time that the error is known.
    streams = [text * _LONG for text in _TEXTS]
    # Both stop everybody, whatever their permissions: a folder in the place of the file, and a
    # file in the place of its folder.
    for bad, is_folder in itertools.product(names, (True, False)):
        folder = subject.new_folder()
        what = bad if is_folder else os.path.dirname(bad)
        if is_folder:
            (folder / "dispatch" / what).mkdir(parents=True)
        # The other folders are there already: making them is a rule of its own.
        for name in names:
            if is_folder or name != bad:
                (folder / "dispatch" / name).parent.mkdir(parents=True, exist_ok=True)
        if not is_folder:
            (folder / "dispatch" / what).touch()

        error = write(subject, executor, streams, names, folder)

        files = files_in(folder)
        expected = {
            f"dispatch/{name}": text.encode()
            for name, text in zip(names, streams, strict=True)
            if name != bad
        } | ({} if is_folder else {f"dispatch/{what}": b""})
        if error is None or files != expected:
            subject.fail(
                seen=f"filepaths {names!r}, where {what!r} is a "
                f"{'folder' if is_folder else 'file'}: {told_of(error, folder)}; "
                f"{inventory(files)}",
                required=f"an OSError or another error is raised, and {inventory(expected)}",
                cause="the error is swallowed"
                if error is None
                else "the first error ends the loop over the streams: keep it, write the "
                "others, and raise it then",
                reproduce=reproduction(
                    f'in_the_way = folder / "results" / "dispatch" / {what!r}',
                    "in_the_way.mkdir(parents=True)"
                    if is_folder
                    else "in_the_way.parent.mkdir(parents=True)\nin_the_way.touch()",
                    f"write([text * {_LONG} for text in {_TEXTS!r}], {names!r})",
                ),
            )
