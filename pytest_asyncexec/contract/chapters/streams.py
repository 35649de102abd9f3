"""STR: write_streams_to_file."""

from __future__ import annotations

from ..rule import Chapter

CHAPTER = Chapter(
    "STR",
    "write_streams_to_file",
    source="documentation of write_streams_to_file, log_stdout and log_stderr",
)

RULES = (
    CHAPTER.rule(
        ("STR-01", "MUST", "core", "static"),
        "A relative path is written to `results_dir/dispatch_id/path`.",
        why="""The host shows a task's log from this very path. Joined in any other way it is
        somewhere, and the page of the task stays empty.""",
        how="""Plain names, names with spaces, folders, percent signs and other scripts are
        written; exactly that file must be there.""",
        source='documentation of write_streams_to_file: "location of the results directory"',
    ),
    CHAPTER.rule(
        ("STR-02", "MUST", "core", "static"),
        "An absolute path is written as it is.",
        why="""Who names an absolute path has chosen it: a mounted share, a folder that is
        collected. With `results_dir` put in front, the log is where nobody looks.""",
        how="""A stream is written to an absolute path outside of `results_dir`; that file, and
        no other, must be there.""",
    ),
    CHAPTER.rule(
        ("STR-03", "MUST", "core", "static"),
        """`~` is expanded, in `filepaths` and `results_dir`; nothing is left under the
        unexpanded name.""",
        why="""Covalent's base class makes folders below the expanded path and opens the
        unexpanded one: with `~/logs` in the configuration every task ends in
        `FileNotFoundError`, after its work.""",
        how="""`~` is given in a path, in `results_dir` and in both, with a home and a working
        directory made for the occasion; files and litter in both are listed.""",
    ),
    CHAPTER.rule(
        ("STR-04", "MUST", "core", "static"),
        "Missing parent directories are made.",
        why="""The first task of a dispatch is the first to write there: nobody else has made
        the folder.""",
        how="Streams are written to a relative and an absolute path, several missing folders deep.",
    ),
    CHAPTER.rule(
        ("STR-05", "MUST", "core", "static"),
        "Text is appended: what was there stays.",
        why="""A retry, or a second stream with the same file, would otherwise erase what
        explains the first failure.""",
        how="""Six streams, two of them empty, go in three calls to one file that holds bytes of
        somebody else's; its bytes are compared.""",
    ),
    CHAPTER.rule(
        ("STR-06", "MUST", "core", "static"),
        "An empty path is skipped and the others are still written.",
        why="""An empty path is what the default `log_stdout=""` means: no log for this stream.
        Taken for a path it is the folder of the dispatch, and the other log is lost with it.""",
        how="""Three streams are written with one, two or three empty paths among theirs; the
        files are listed.""",
        source='documented attributes log_stdout and log_stderr, whose default is ""',
    ),
    CHAPTER.rule(
        ("STR-07", "MUST", "core", "static"),
        """The file holds exactly the text in UTF-8, whatever the locale: any unicode, any
        newline, surrogates included.""",
        why="""The locale of the host is not the task's: on Windows, or under Latin-1, one arrow
        in the output ends in `UnicodeEncodeError` and takes the result with it. A lone
        surrogate does so everywhere.""",
        how="""Nasty texts and texts drawn by hypothesis are written here, and again in a
        process with the C locale; the bytes are compared.""",
        source="""decision of the contract: UTF-8, no newline translation, surrogates with
        backslashreplace""",
    ),
    CHAPTER.rule(
        ("STR-08", "MUST", "core", "static"),
        """Unequal numbers of streams and paths, or a bare string for either, is refused before
        anything is written.""",
        why="""`zip` ends with the shorter one: in Covalent's base class a stream without a path
        vanishes without a word. A bare string is iterable as well, and gives one file for each
        of its letters.""",
        how="Eight pairs that do not fit are given; each must raise, and no file may be there.",
    ),
    CHAPTER.rule(
        ("STR-09", "MUST", "core", "static awaited-writes"),
        """The event loop is never blocked: opening, writing and closing happen off the loop
        thread, proved with a target that blocks for ever (a named pipe without a reader).""",
        why="""A host runs hundreds of tasks on one event loop. One `open` on a network file
        system that hangs then stops all of them, time limits included.""",
        how="""The path is a named pipe that nobody but the event loop reads: whoever opens,
        writes or closes on the loop's thread waits for ever, until a watchdog rescues it and
        names the line.""",
        source='documentation of write_streams_to_file: "to avoid blocking the event loop"',
    ),
    CHAPTER.rule(
        ("STR-10", "SHOULD", "hardened", "static awaited-writes"),
        "Making directories and touching files happens off the loop thread too.",
        why="""`mkdir` and `touch` are system calls like any other: on a busy NFS server each
        takes seconds, in which no other task moves. Covalent's base class makes both on the
        loop.""",
        how="""An audit hook notes every `open`, `mkdir`, `utime` and `truncate` of the files at
        hand that happens on the thread of the event loop.""",
        source='documentation of write_streams_to_file: "to avoid blocking the event loop"',
    ),
    CHAPTER.rule(
        ("STR-11", "MUST", "core", "run"),
        """`execute` writes both streams to `log_stdout` and `log_stderr`, after success,
        failure and time-out.""",
        why="""Logs are read when something went wrong. Covalent's base class writes them after
        the last line that can raise, so that just the failed tasks have none.""",
        how="""Tasks of the plan with one log, both, one file for both and absolute paths return,
        raise, are retried and time out; what they print must be in the files when the outcome is
        known, and when all have ended. A `run` that writes to its streams itself returns, raises
        `ValueError` and `TimeoutError`, is ended by its limit, and is followed by a teardown that
        raises; what it wrote must be there.""",
        source='documented attribute log_stdout: "the file to be used for redirecting stdout"',
        may_need="streams",
    ),
    CHAPTER.rule(
        ("STR-12", "MUST", "core", "run"),
        "A log that cannot be written never loses the result or hides the error.",
        why="A full disk or a mistyped log path must cost the log, not the night's computation.",
        how="""One log is a folder and the other lies below a file, which stops every user; tasks
        of the plan then succeed, fail, time out and are cancelled as if nothing were wrong.""",
        source="decision of the contract: the outcome of run wins",
    ),
    CHAPTER.rule(
        ("STR-13", "MUST", "hardened", "static"),
        "A relative path or dispatch id with `..` or a root never writes outside `results_dir`.",
        why="""Dispatch ids come from users of the host. Joined without a look,
        `../../.ssh/authorized_keys` is a file that anybody may append to.""",
        how="""Dispatch ids and relative paths with `..` and roots, some chosen and some drawn
        by hypothesis, are written below a deep folder; every file outside of `results_dir` is a
        finding.""",
        source="decision of the contract: a relative path that would leave results_dir is refused",
    ),
    CHAPTER.rule(
        ("STR-14", "SHOULD", "hardened", "static"),
        "Concurrent writers to one file lose nothing and never interleave inside one stream.",
        why="""Nodes of a workflow that share one log write it at the same time. Pieces of
        streams between each other are a log that nobody can read.""",
        how="""Eight writers on two instances append 300,000 characters each to one file, and
        those that do not take turns are made to open it two at a time; the file must be the eight
        streams, whole and in any order. Of five more writers two are cancelled: the others must
        end, and their streams be whole.""",
    ),
    CHAPTER.rule(
        ("STR-15", "MUST", "core", "static"),
        "Any iterables are taken, generators too, each read once.",
        why="""The signature says Iterable. `len()` of a generator raises, and a second pass
        over it finds nothing, so that an empty log looks like a quiet task.""",
        how="""Tuples, generators, views of dictionaries and objects with nothing but `__iter__`
        are given; how often each is read is counted.""",
        source="signature of write_streams_to_file: stream_strings and filepaths are Iterable[str]",
    ),
    CHAPTER.rule(
        ("STR-16", "MUST", "core", "static"),
        "Done means written: when the coroutine returns, the text is in the file.",
        why="""The host reads, ships or deletes the file as soon as the coroutine returns. Text
        that a task of the loop is still going to write comes too late.""",
        how="""In the step of the loop in which the coroutine returned, without another one in
        between, a short and a long file are read. Where files are not written on the loop's
        thread, it may not return while a named pipe has no reader, however many hours go by on
        the loop's clock.""",
    ),
    CHAPTER.rule(
        ("STR-17", "MUST", "core", "static"),
        "A file that cannot be written raises, and the other streams are still written.",
        why="""An error that nobody raises is a missing log that nobody misses until it is
        needed; and one bad path must not cost the other stream.""",
        how="""Of three paths, each in turn is a folder, or lies below a file; the call must
        raise, and the two others must hold their texts, of a mebibyte and more.""",
    ),
)
