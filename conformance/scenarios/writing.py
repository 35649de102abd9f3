"""Calls of `write_streams_to_file`, and a look at the files that they leave."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ...contract.wording import short, short_error, short_text
from ..subject.host import call_method
from ..subject.subject import Subject


def writer_of(subject: Subject, **attributes: Any) -> Any:
    """An executor whose `write_streams_to_file` can be called."""
    executor = subject.build(**attributes)
    if not callable(getattr(executor, "write_streams_to_file", None)):
        subject.could_not_run("blocked: the executor has no write_streams_to_file, see CON-04")
    return executor


async def written(executor: Any, *task: Any) -> BaseException | None:
    """Call `write_streams_to_file` as hosts do; the error in which it ended, or None."""
    try:
        await call_method(executor.write_streams_to_file, *task)
    # A SystemExit, or a CancelledError of its own, must not end the suite's event loop.
    except BaseException as error:
        current = asyncio.current_task()
        if isinstance(error, asyncio.CancelledError) and current and current.cancelling():
            raise
        return error
    return None


def write(
    subject: Subject,
    executor: Any,
    streams: Iterable[Any],
    paths: Iterable[Any],
    results_dir: Path | str,
    dispatch_id: str = "dispatch",
) -> BaseException | None:
    return subject.drive(lambda: written(executor, streams, paths, dispatch_id, str(results_dir)))


def file_name(name: str) -> str:
    """The name; where no file can be called that, as in the C locale, the like of it in ASCII."""
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return re.sub(r"[^\x00-\x7f]+", "_", name)
    return name


def files_in(folder: Path) -> dict[str, bytes]:
    """Every file below `folder`, by its path from there."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def told_of(error: BaseException | None, folder: Path) -> str:
    """How a call ended, without the names of temporary folders: the same words in every run."""
    if error is None:
        return "it returned"
    return f"it raised {short_error(error)}".replace(str(folder), "...")


def inventory(files: Mapping[str, bytes]) -> str:
    """The files that are there, in words."""
    if not files:
        return "there is no file"
    held = (f"{name} with {_content(data)}" for name, data in files.items())
    return f"there is the file {', '.join(held)}"


def _content(data: bytes) -> str:
    try:
        return short_text(data.decode("utf-8"))
    except UnicodeDecodeError:
        return short(data)


def expect_files(
    subject: Subject,
    given: str,
    error: BaseException | None,
    files: Mapping[str, bytes],
    expected: Mapping[str, bytes],
    folder: Path,
    *,
    cause: str,
    reproduce: str,
) -> None:
    """Fail unless the call returned and exactly the `expected` files are there."""
    if error is None and files == expected:
        return
    subject.fail(
        seen=f"{given}: {told_of(error, folder)}; {inventory(files)}",
        required=f"{inventory(expected)}, and no other",
        cause=cause,
        reproduce=reproduce,
    )


_WRITE = """\
def write(streams, paths, dispatch_id="dispatch", results_dir=folder / "results"):
    call = call_method(
        executor.write_streams_to_file, streams, paths, dispatch_id, str(results_dir)
    )
    try:
        asyncio.run(call)
    except Exception as error:
        print("raised", repr(error))
    for path in filter(Path.is_file, folder.rglob("*")):
        print(path, path.read_bytes())
"""


def script(*lines: str) -> str:
    """A script that has a `folder`, and goes on with these lines."""
    return "\n".join(
        (
            "import asyncio, os, tempfile",
            "from pathlib import Path",
            "from pytest_asyncexec.conformance.subject.host import call_method",
            "folder = Path(tempfile.mkdtemp())",
            *lines,
        )
    )


def reproduction(*lines: str) -> str:
    """A script that has a `folder` and a function `write`, and goes on with these lines."""
    return script(_WRITE, *lines)
