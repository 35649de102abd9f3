"""Where a task's output goes: text appended to files, without ever blocking the event loop."""

import os
import os.path as ospath
from collections.abc import Iterable
from threading import Lock
from typing import Any
from weakref import WeakValueDictionary

from .appending import append
from .places import Places

__all__ = ["expand_home", "path_of_dispatch", "write_streams_to_file"]


async def write_streams_to_file(
    stream_strings: Iterable[str],
    filepaths: Iterable[str | os.PathLike[str]],
    dispatch_id: str,
    results_dir: str | os.PathLike[str],
) -> None:
    """Append each stream to the file of the same position.

    `stream_strings` and `filepaths` are read once each and must yield equally many. An empty
    path skips its stream. A relative path lands in `results_dir/dispatch_id/`, an absolute one
    is taken as it is, and `~` is expanded in both `filepaths` and `results_dir`. Missing folders
    are made. The text is written in UTF-8 with its newlines untouched, whatever the locale; a
    lone surrogate is written as its escape, `\\udc80`.

    Everything is judged before anything is written: TypeError for a bare string in place of an
    iterable and for anything that is not text, ValueError for unequal numbers, for a `~user`
    nobody knows, and for a relative path or a dispatch id that would leave `results_dir`.

    A file that cannot be written raises its OSError after all other streams were written;
    further errors are notes on the first. When this coroutine returns, the text is in the files.
    When it is cancelled, the stream that is being written still is, without anybody waiting.
    """
    streams = _texts(stream_strings)
    paths = _paths(filepaths)
    if len(streams) != len(paths):
        raise ValueError(
            f"{len(streams)} streams and {len(paths)} file paths were given: "
            f"pass one path for each stream, '' to skip it"
        )
    targets = [path_of_dispatch(path, dispatch_id, results_dir) if path else "" for path in paths]
    errors: list[Exception] = []
    for text, target in zip(streams, targets, strict=True):
        if target:
            try:
                await append(text, target, await _one_writer(target).take())
            except Exception as error:
                errors.append(error)
    if errors:
        first, *others = errors
        for other in others:
            first.add_note(f"Another stream could not be written either: {other!r}")
        raise first


def _texts(stream_strings: Iterable[str]) -> list[str]:
    streams = _listed("stream_strings", stream_strings)
    for position, text in enumerate(streams):
        if not isinstance(text, str):
            raise TypeError(f"stream_strings[{position}] must be a str, not {text!r}")
    return streams


def _paths(filepaths: Iterable[str | os.PathLike[str]]) -> list[str]:
    paths = _listed("filepaths", filepaths)
    return [_text_of(f"filepaths[{position}]", path) for position, path in enumerate(paths)]


def _listed(name: str, values: Any) -> list[Any]:
    if isinstance(values, str | bytes | os.PathLike):
        raise TypeError(f"{name} must be an iterable of texts, not the single {values!r}")
    return list(values)


def _text_of(name: str, path: Any) -> str:
    text = os.fspath(path) if isinstance(path, os.PathLike) else path
    if not isinstance(text, str):
        raise TypeError(f"{name} must be a str or a path, not {path!r}")
    if "\0" in text:
        raise ValueError(f"{name} is {text!r}: no file can have a null character in its name")
    return text


def path_of_dispatch(path: str, dispatch_id: str, results_dir: str | os.PathLike[str]) -> str:
    """Return where a relative path lands for a dispatch, and an absolute one as it is.

    TypeError for what is no text, ValueError for what would leave `results_dir`.
    """
    expanded = expand_home(path)
    if _is_absolute(expanded):
        return ospath.normpath(expanded)
    if not isinstance(dispatch_id, str):
        raise TypeError(f"dispatch_id must be a str, not {dispatch_id!r}")
    for name, part in (("dispatch_id", dispatch_id), ("file path", expanded)):
        # A rooted part would throw away what it is joined to; on Windows a drive or a leading
        # separator does so without making the path absolute.
        if ospath.splitdrive(part)[0] or part[:1] in _separators():
            raise ValueError(f"the {name} {part!r} would leave the results_dir {results_dir!r}")
    root = ospath.abspath(expand_home(_text_of("results_dir", results_dir)))
    target = ospath.normpath(ospath.join(root, _text_of("dispatch_id", dispatch_id), expanded))
    # Compared as text, before the file system is asked: what `..` means must not depend on it.
    if ospath.normcase(target) != ospath.normcase(root) and not ospath.normcase(target).startswith(
        ospath.normcase(ospath.join(root, ""))
    ):
        raise ValueError(
            f"the file path {path!r} of the dispatch {dispatch_id!r} would leave "
            f"the results_dir {root!r}: use a path inside it, or an absolute one"
        )
    return target


def _is_absolute(path: str) -> bool:
    # Before Python 3.13, Windows called every path absolute that began with a separator.
    return ospath.isabs(path) and (ospath.sep == "/" or ospath.splitdrive(path)[0] != "")


def _separators() -> tuple[str, ...]:
    return (ospath.sep, ospath.altsep) if ospath.altsep else (ospath.sep,)


def expand_home(path: str) -> str:
    """Expand a leading `~` or `~user`; ValueError where there is no such home."""
    expanded = ospath.expanduser(path)
    if expanded.startswith("~"):
        raise ValueError(
            f"the home folder in {path!r} cannot be found: "
            f"write it out, or './{path}' for a file of that name"
        )
    return expanded


_guard = Lock()
_writers: WeakValueDictionary[str, Places] = WeakValueDictionary()


def _one_writer(target: str) -> Places:
    """Return what lets one writer of `target` in at a time, among all event loops and threads."""
    with _guard:
        return _writers.setdefault(target, Places(1))


def _forget_writers() -> None:
    """Let writers in that the process this one was forked from had let in, who are not here."""
    global _guard
    _guard = Lock()
    _writers.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_writers)
