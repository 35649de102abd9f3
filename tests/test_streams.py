"""What a task printed, written to files."""

import asyncio
import ntpath
import os
import subprocess
import sys
import threading
from pathlib import Path

import aiofiles
import pytest
from aiofiles.threadpool.text import AsyncTextIOWrapper

from pytest_asyncexec import write_streams_to_file
from pytest_asyncexec.base import appending, streams


async def test_a_relative_path_lands_in_the_folder_of_its_dispatch(tmp_path) -> None:
    await write_streams_to_file(["out"], ["logs/out.txt"], "d1", str(tmp_path))

    assert (tmp_path / "d1" / "logs" / "out.txt").read_text() == "out"


async def test_an_absolute_path_is_taken_as_it_is(tmp_path) -> None:
    target = tmp_path / "far" / "out.txt"

    await write_streams_to_file(["out"], [str(target)], "d1", str(tmp_path / "results"))

    assert target.read_text() == "out"
    assert not (tmp_path / "results").exists()


async def test_home_is_expanded_in_paths_and_results_dir(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)

    await write_streams_to_file(["a", "b"], ["~/a.txt", "b.txt"], "d", "~/results")

    assert (tmp_path / "home" / "a.txt").read_text() == "a"
    assert (tmp_path / "home" / "results" / "d" / "b.txt").read_text() == "b"
    assert os.listdir(tmp_path) == ["home"]


async def test_text_is_appended(tmp_path) -> None:
    for text in ("one\n", "two\n"):
        await write_streams_to_file([text], ["log"], "d", str(tmp_path))

    assert (tmp_path / "d" / "log").read_text() == "one\ntwo\n"


async def test_an_empty_path_skips_its_stream_only(tmp_path) -> None:
    await write_streams_to_file(["lost", "kept"], ["", "err"], "d", str(tmp_path))

    assert os.listdir(tmp_path / "d") == ["err"]
    assert (tmp_path / "d" / "err").read_text() == "kept"


async def test_a_silent_task_leaves_an_empty_file(tmp_path) -> None:
    await write_streams_to_file([""], ["out"], "d", str(tmp_path))

    assert (tmp_path / "d" / "out").read_bytes() == b""


async def test_the_file_holds_the_text_in_utf_8_with_its_newlines(tmp_path) -> None:
    text = "a\r\nb\rc\n\u2028é\N{SNOWMAN}\0\udc80"

    await write_streams_to_file([text], ["out"], "d", str(tmp_path))

    expected = "a\r\nb\rc\n\u2028é\N{SNOWMAN}\0".encode() + rb"\udc80"
    assert (tmp_path / "d" / "out").read_bytes() == expected


async def test_generators_are_taken_and_read_once(tmp_path) -> None:
    await write_streams_to_file(
        (text for text in ("o", "e")), (path for path in ("out", "err")), "d", str(tmp_path)
    )

    assert (tmp_path / "d" / "out").read_text() == "o"
    assert (tmp_path / "d" / "err").read_text() == "e"


async def test_paths_may_be_path_objects(tmp_path) -> None:
    await write_streams_to_file(["x"], [Path("out")], "d", tmp_path)

    assert (tmp_path / "d" / "out").read_text() == "x"


@pytest.mark.parametrize(
    ("texts", "paths", "error", "message"),
    [
        ("xy", ["a", "b"], TypeError, "stream_strings must be an iterable of texts"),
        (["x", "y"], "ab", TypeError, "filepaths must be an iterable of texts"),
        (["x"], Path("a"), TypeError, "filepaths must be an iterable of texts"),
        (["x", "y"], ["a"], ValueError, "2 streams and 1 file paths"),
        (["x"], ["a", "b"], ValueError, "1 streams and 2 file paths"),
        (["x", b"y"], ["a", "b"], TypeError, r"stream_strings\[1\] must be a str, not b'y'"),
        (["x", "y"], ["a", None], TypeError, r"filepaths\[1\] must be a str or a path, not None"),
        (["x", "y"], ["a", "b\0"], ValueError, "null character"),
        (["x", "y"], ["a", "../../b"], ValueError, "would leave the results_dir"),
        (["x", "y"], ["a", "~nobody-of-that-name/b"], ValueError, "cannot be found"),
    ],
)
async def test_what_is_malformed_is_refused_before_anything_is_written(
    tmp_path, texts, paths, error, message
) -> None:
    with pytest.raises(error, match=message):
        await write_streams_to_file(texts, paths, "d", str(tmp_path / "results"))

    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("dispatch_id", ["..", "../..", "a/../../b", "/etc", "d\0"])
async def test_a_dispatch_id_cannot_leave_the_results_dir(tmp_path, dispatch_id) -> None:
    with pytest.raises(ValueError, match=r"would leave the results_dir|null character"):
        await write_streams_to_file(["x"], ["out"], dispatch_id, str(tmp_path / "results"))

    assert os.listdir(tmp_path) == []


async def test_a_results_dir_beginning_with_the_name_of_another_is_another(tmp_path) -> None:
    with pytest.raises(ValueError, match="would leave"):
        await write_streams_to_file(["x"], ["../../results2/out"], "d", str(tmp_path / "results"))


async def test_dots_that_stay_inside_are_fine(tmp_path) -> None:
    await write_streams_to_file(["x"], ["../shared.log"], "d", str(tmp_path))

    assert (tmp_path / "shared.log").read_text() == "x"


@pytest.mark.parametrize(
    ("path", "dispatch_id"),
    [(r"..\..\out", "d"), (r"\out", "d"), ("C:out", "d"), ("out", r"..\.."), ("out", "C:d")],
)
def test_on_windows_backslashes_and_drives_do_not_leave_either(
    monkeypatch, path, dispatch_id
) -> None:
    monkeypatch.setattr(streams, "ospath", ntpath)

    with pytest.raises(ValueError, match="would leave"):
        streams.path_of_dispatch(path, dispatch_id, r"C:\results")

    inside = streams.path_of_dispatch(r"logs\out", "d", r"C:\results")
    assert inside == r"C:\results\d\logs\out"


async def test_a_file_that_cannot_be_written_raises_after_the_others_were(tmp_path) -> None:
    (tmp_path / "file").write_text("in the way")
    bad = [str(tmp_path / "file" / "a"), str(tmp_path / "file" / "b")]

    with pytest.raises(OSError, match=r"file") as caught:
        await write_streams_to_file(["1", "2", "3"], [*bad, "good"], "d", str(tmp_path))

    assert (tmp_path / "d" / "good").read_text() == "3"
    [note] = caught.value.__notes__
    assert note.startswith("Another stream could not be written either")


async def test_a_pipe_without_a_reader_does_not_block_the_loop(tmp_path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    # More than a pipe holds, so that opening and writing both wait for the reader; and the reader
    # is this very loop, which could never come to it if it were blocked.
    text = "0123456789" * 50_000

    writing = asyncio.create_task(write_streams_to_file([text], [str(pipe)], "d", str(tmp_path)))
    await asyncio.sleep(0)
    async with aiofiles.open(pipe, "rb") as reader:
        received = await reader.read()
    await writing

    assert received.decode() == text


async def test_the_loops_thread_touches_no_file(tmp_path, monkeypatch) -> None:
    threads = set()
    for name in ("mkdir", "open", "write"):
        real = getattr(os, name)
        monkeypatch.setattr(
            os,
            name,
            lambda *a, _real=real, **k: threads.add(threading.get_ident()) or _real(*a, **k),
        )

    await write_streams_to_file(["x"], ["a/b/c"], "d", str(tmp_path))

    assert threads
    assert threading.get_ident() not in threads


async def test_concurrent_writers_never_interleave_inside_one_stream(tmp_path) -> None:
    texts = [str(number) * 300_000 + "\n" for number in range(8)]

    await asyncio.gather(
        *(write_streams_to_file([text], ["log"], "d", str(tmp_path)) for text in texts)
    )

    lines = (tmp_path / "d" / "log").read_text().splitlines(keepends=True)
    assert sorted(lines) == texts


def test_writers_in_many_loops_never_interleave_in_small_writes(tmp_path, monkeypatch) -> None:
    # A file that takes only some bytes at a time shows who else gets in between.
    async def flushing(self, text):
        def write():
            self._file.write(text)
            self._file.flush()

        await self._loop.run_in_executor(None, write)

    monkeypatch.setattr(appending, "_PIECE", 10)
    monkeypatch.setattr(AsyncTextIOWrapper, "write", flushing)
    texts = [str(number) * 99 + "\n" for number in range(4)]

    def one_loop(text: str) -> None:
        async def twice() -> None:
            write = [write_streams_to_file([text], ["log"], "d", str(tmp_path)) for _ in range(2)]
            await asyncio.gather(*write)

        asyncio.run(twice())

    threads = [threading.Thread(target=one_loop, args=[text]) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    lines = (tmp_path / "d" / "log").read_text().splitlines(keepends=True)
    assert sorted(lines) == sorted(texts * 2)
    assert not [file for file in streams._writers if str(tmp_path) in str(file)]


async def test_a_writer_cancelled_while_it_waits_lets_the_next_one_in(tmp_path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    first, second, third = (
        asyncio.create_task(write_streams_to_file([text], [str(pipe)], "d", str(tmp_path)))
        for text in ("first", "second", "third")
    )
    await asyncio.sleep(0)

    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second

    # One end is held open, so that neither writer meets a pipe that nobody reads.
    reader = os.open(pipe, os.O_RDWR)
    try:
        await asyncio.gather(first, third)
        assert os.read(reader, 100) == b"firstthird"
    finally:
        os.close(reader)
    assert not [file for file in streams._writers if str(tmp_path) in str(file)]


def test_long_streams_of_several_processes_never_interleave(tmp_path) -> None:
    script = tmp_path / "writer.py"
    script.write_text(
        "import asyncio, sys\n"
        "from pytest_asyncexec import write_streams_to_file\n"
        "text = sys.argv[1] * 3_000_000 + '\\n'\n"
        "asyncio.run(write_streams_to_file([text, text], ['log', 'log'], 'd', sys.argv[2]))\n"
    )
    writers = [subprocess.Popen([sys.executable, script, name, tmp_path]) for name in "abc"]
    for writer in writers:
        assert writer.wait() == 0

    lines = (tmp_path / "d" / "log").read_text().splitlines()
    assert sorted(lines) == [name * 3_000_000 for name in "aabbcc"]


async def test_it_is_aiofiles_that_writes_in_pieces(tmp_path, monkeypatch) -> None:
    written = []
    write = AsyncTextIOWrapper.write

    async def noted(self, text):
        written.append((self, len(text)))
        await write(self, text)

    monkeypatch.setattr(AsyncTextIOWrapper, "write", noted)
    piece = appending._PIECE

    await write_streams_to_file(["x" * (2 * piece + 3)], ["log"], "d", str(tmp_path))

    files, sizes = zip(*written, strict=True)
    assert sizes == (piece, piece, 3)
    assert files[0].closed


async def test_a_writer_cancelled_in_the_middle_waits_for_nobody(tmp_path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    # So long that most of it is not written before somebody reads.
    texts = [name * (3 * appending._PIECE) + "\n" for name in "ab"]
    first, second = (
        asyncio.create_task(write_streams_to_file([text], [str(pipe)], "d", str(tmp_path)))
        for text in texts
    )
    reader = await asyncio.to_thread(open, pipe, "rb", 0)
    try:
        assert await asyncio.to_thread(reader.read, 10) == b"a" * 10

        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        # It is whole all the same, and the next one comes after it.
        whole = "".join(texts).encode()
        rest = bytearray(b"a" * 10)
        while len(rest) < len(whole) and (data := await asyncio.to_thread(reader.read, 1 << 16)):
            rest += data
        await second
    finally:
        reader.close()

    assert bytes(rest) == whole
    assert not [file for file in streams._writers if str(tmp_path) in str(file)]


def test_a_writer_cancelled_before_its_file_is_open_keeps_nothing_from_ending(tmp_path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    script = (
        "import asyncio, sys\n"
        "from pytest_asyncexec import write_streams_to_file\n"
        "async def main():\n"
        "    work = asyncio.create_task(write_streams_to_file(['x'], [sys.argv[1]], 'd', '.'))\n"
        "    await asyncio.sleep(0)\n"
        "    work.cancel()\n"
        "    await asyncio.wait({work})\n"
        "    print('cancelled' if work.cancelled() else work.result())\n"
        "asyncio.run(main())\n"
    )

    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", script, str(pipe)],
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert (done.stdout, done.stderr, done.returncode) == ("cancelled\n", "", 0)


async def test_a_writer_cancelled_as_its_file_is_opened_closes_it(tmp_path) -> None:
    for turns in range(12):
        path = tmp_path / str(turns)
        writing = asyncio.create_task(write_streams_to_file(["x"], [str(path)], "d", "."))
        for _ in range(turns):
            await asyncio.sleep(0.0002)
        writing.cancel()
        await asyncio.wait({writing})
        # Who comes next comes once the file is closed.
        await write_streams_to_file(["y"], [str(path)], "d", ".")

        assert path.read_text() in ("y", "xy")


def test_nothing_is_imported_before_it_is_needed() -> None:
    script = (
        "import sys\n"
        "from pytest_asyncexec import write_streams_to_file\n"
        "print('aiofiles' in sys.modules)\n"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)

    assert done.stdout == "False\n"


async def test_writers_that_wait_for_their_readers_keep_no_other_waiting(tmp_path) -> None:
    pipes = [tmp_path / f"pipe {number}" for number in range(20)]
    for pipe in pipes:
        os.mkfifo(pipe)
    waiting = [
        asyncio.create_task(write_streams_to_file(["x"], [str(pipe)], "d", str(tmp_path)))
        for pipe in pipes
    ]

    await write_streams_to_file(["y"], ["log"], "d", str(tmp_path))

    assert (tmp_path / "d" / "log").read_text() == "y"
    assert not any(task.done() for task in waiting)
    for pipe in reversed(pipes):
        async with aiofiles.open(pipe) as reader:
            assert await reader.read() == "x"
    await asyncio.gather(*waiting)
