"""Files of tasks outside of the folders that executors are given, found by what only they hold.

Others write to these places at the same time. What is told here to be a task's has in its name or
in its content what nobody but that task can have, such as an id that was drawn for it.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from .audit import audited

#: Whether a name or a content, in bytes, can be of nobody but the tasks in point.
Owned = Callable[[bytes], bool]

#: So many entries of one place are looked at, and so many bytes of a file.
_MANY: Final = 20_000
_MUCH: Final = 1 << 22


class Elsewhere:
    """What is new at the places that are usual on this platform, or was made by this process."""

    def __init__(self, but_for: Path) -> None:
        """Look at the places as they are now, temporary files where they go now.

        Args:
            but_for: a folder of the suite's own.
        """
        self._but_for = os.path.realpath(but_for)
        self._places = _usual_places()
        self._temporary = tuple(os.path.join(place, "") for place in _temporary_places())
        self._before = {
            entry.path: _changed(entry) for place in self._places for entry in _entries(place)
        }
        self._made: dict[str, None] = {}
        #: Temporary files in which nothing of a task's was found, by what would change with their
        #: content: others may have thousands there, and they are looked at again and again.
        self._strangers: dict[str, tuple[int, int]] = {}
        #: Grows with every file that is looked at.
        self.looked_at = 0

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Within this block, note also what this process makes anywhere else."""
        with audited(self._hear):
            yield

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        path = _made_by(event, args)
        if path is not None and not self._is_the_suites(path) and not os.path.lexists(path):
            self._made[path] = None

    def files(self, owned: Owned) -> set[str]:
        """The files and folders that are there now, and are new and `owned`; whole paths."""
        return self._files(owned, {})

    def temporary_files(self, owned: Owned) -> set[str]:
        """Those of them that lie where temporary files go.

        Args:
            owned: which is to know the same tasks each time, and those that have come since then.
        """
        found = self._files(owned, self._strangers)
        return {path for path in found if path.startswith(self._temporary)}

    def _files(self, owned: Owned, strangers: dict[str, tuple[int, int]]) -> set[str]:
        found: set[str] = set()
        for entry in (entry for place in self._places for entry in _entries(place)):
            if self._is_the_suites(entry.path):
                continue
            former = self._before.get(entry.path)
            if former is None:
                found |= self._of_tasks(entry.path, owned, strangers)
            elif former != _changed(entry) and _is_folder(entry.path):
                # What else is new in it is not known: a name tells, and a log of long ago does not.
                found |= {each.path for each in _entries(entry.path) if owned(_name(each.path))}
        for path in tuple(self._made):
            found |= self._of_tasks(path, owned, strangers)
        return found

    def _of_tasks(self, path: str, owned: Owned, strangers: dict[str, tuple[int, int]]) -> set[str]:
        """What there is at a path, and below it if that is a folder, of the tasks in point."""
        if not os.path.lexists(path):
            return set()

        def is_of_tasks(each: str) -> bool:
            return owned(_name(each)) or self._holds(each, owned, strangers)

        if not _is_folder(path):
            return {path} if is_of_tasks(path) else set()
        below = [
            os.path.join(above, name)
            for above, folders, files in os.walk(path)
            for name in (*folders, *files)
        ]
        if owned(_name(path)):
            return {path, *below}
        inside = set(filter(is_of_tasks, below[:_MANY]))
        # A folder that was made for one file goes with it.
        return inside | ({path} if inside and set(below) == inside else set())

    def _holds(self, path: str, owned: Owned, strangers: dict[str, tuple[int, int]]) -> bool:
        """Whether the beginning of a file is of the tasks in point."""
        self.looked_at += 1
        try:
            found = os.lstat(path)
        except OSError:  # it is gone again
            return False
        if not stat.S_ISREG(found.st_mode):  # nothing that can be read without a wait
            return False
        as_it_is = found.st_mtime_ns, found.st_size
        if strangers.get(path) == as_it_is:
            return False
        if owned(_content(path)):
            return True
        strangers[path] = as_it_is
        return False

    def _is_the_suites(self, path: str) -> bool:
        return path == self._but_for or path.startswith(os.path.join(self._but_for, ""))


def _usual_places() -> list[str]:
    """Where programs put files without being told to, each folder once."""
    home = os.path.expanduser("~")
    places = [*_temporary_places(), home]
    places += [os.path.join(home, ".cache"), os.path.join(home, "Library", "Caches")]
    named = ("XDG_CACHE_HOME", "XDG_RUNTIME_DIR", "LOCALAPPDATA")
    places += [os.environ[name] for name in named if os.environ.get(name)]
    with contextlib.suppress(OSError):
        places.append(os.getcwd())
    return _folders(places)


def _temporary_places() -> list[str]:
    """Where temporary files go, also those of programs that ask nobody where."""
    places = [tempfile.gettempdir()]
    if os.name == "nt":
        system = (os.environ.get(name) for name in ("LOCALAPPDATA", "SYSTEMROOT", "SYSTEMDRIVE"))
        places += [f"{folder}{os.sep}Temp" for folder in system if folder]
    else:
        places += ["/tmp", "/var/tmp", "/usr/tmp", "/dev/shm"]
    return _folders(places)


def _folders(paths: Iterable[str]) -> list[str]:
    whole = (os.path.realpath(path) for path in paths)
    return list(dict.fromkeys(path for path in whole if os.path.isdir(path)))


def _entries(folder: str) -> Iterator[os.DirEntry[str]]:
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        yield from itertools.islice(entries, _MANY)


def _changed(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat(follow_symlinks=False).st_mtime_ns
    except OSError:  # it is gone again
        return 0


def _is_folder(path: str) -> bool:
    return os.path.isdir(path) and not os.path.islink(path)


def _name(path: str) -> bytes:
    return os.fsencode(os.path.basename(path))


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(_MUCH)
    except OSError:
        return b""


def _made_by(event: str, args: tuple[Any, ...]) -> str | None:
    """The path that an audit event says will be made, if it does."""
    makes = event == "open" and isinstance(args[2], int) and args[2] & os.O_CREAT
    if makes or event == "os.mkdir":
        path = args[0]
    elif event in ("os.rename", "os.link", "os.symlink"):
        path = args[1]
    else:
        return None
    if not isinstance(path, str | bytes | os.PathLike):
        return None
    try:
        whole = os.path.abspath(os.fsdecode(path))
        return os.path.join(os.path.realpath(os.path.dirname(whole)), os.path.basename(whole))
    except (OSError, ValueError):  # the working directory is gone, or the name is no name
        return None
