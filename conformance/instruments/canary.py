"""A module, a file and a folder that nobody has a reason to touch: whoever does is heard."""

from __future__ import annotations

import contextlib
import os
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .audit import audited

#: The name of the module, of which every path of the canary is made too.
NAME = "asyncexec_canary"

#: Its source: it leaves a trace where it is imported, be it in another process.
SOURCE = (
    "from pathlib import Path\n"
    'Path(__file__).with_name("trace").touch()\n'
    "class Thing:\n"
    "    def __init__(self, *args, **kwargs): pass\n"
    "def trip(*args, **kwargs):\n"
    '    Path(__file__).with_name("tripped").touch()\n'
)

#: What running something that was only named shows itself in. Not `compile`: a parser that never
#: runs what it parses, as that of `ast.literal_eval`, causes it too.
_RUNS = {
    "import": "imports",
    "open": "opens",
    "exec": "executes code with",
    "os.system": "runs in a shell",
    "os.exec": "executes",
    "os.posix_spawn": "executes",
    "os.spawn": "executes",
    "os.startfile": "executes",
    "subprocess.Popen": "starts a process with",
    "pickle.find_class": "unpickles",
    "marshal.loads": "unmarshals",
    "ctypes.dlopen": "loads",
    "sqlite3.connect": "opens",
}

#: Ends of the names of files that only the canary itself opens, and the machinery of imports.
_OWN = (".pyc'", "trace'", "tripped'")


class Canary:
    """The bait, laid out below `folder` and found on `sys.path` within the `with` block."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / NAME
        self._heard: list[str] = []

    @contextlib.contextmanager
    def laid_out(self) -> Iterator[Canary]:
        """Within this block the canary can be imported, and listens."""
        self.folder.mkdir()
        (self.folder / f"{NAME}.py").write_text(SOURCE, encoding="utf-8")
        (self.folder / "bait.txt").write_text(f"{NAME}: bait\n", encoding="utf-8")
        sys.path.insert(0, str(self.folder))
        try:
            with audited(self._hear):
                yield self
        finally:
            with contextlib.suppress(ValueError):
                sys.path.remove(str(self.folder))
            sys.path_importer_cache.pop(str(self.folder), None)
            sys.modules.pop(NAME, None)

    def heard(self) -> list[str]:
        """What was done to the canary since it was last asked, each thing once."""
        heard = list(dict.fromkeys(self._heard))
        self._heard.clear()
        sys.modules.pop(NAME, None)
        for name, harm in (
            ("trace", "runs the module"),
            ("tripped", "calls its function"),
            ("trap", "makes the folder that a command or a call in it names"),
        ):
            left = self.folder / name
            if left.exists():
                left.rmdir() if left.is_dir() else left.unlink()
                heard.append(harm)
        return heard

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        if event in _RUNS and (named := _naming(args)) and not named.endswith(_OWN):
            folder = str(self.folder.parent)
            self._heard.append(f"{_RUNS[event]} {named.replace(folder, '...')} ({event})")


def _naming(value: Any, depth: int = 4) -> str:
    """The text in `value`, an event's arguments, that names the canary; empty if none does."""
    if isinstance(value, bytes | bytearray):
        value = value.decode("latin-1")
    if isinstance(value, str):
        return repr(value[:120]) if NAME in value else ""
    if depth == 0:
        return ""
    inner: tuple[Any, ...] = ()
    if isinstance(value, types.CodeType):
        # In any order of a frozen set among the constants, the same is said.
        inner = (value.co_filename, *value.co_names, *value.co_consts)
    elif isinstance(value, os.PathLike):
        inner = (os.fspath(value),)
    elif isinstance(value, list | tuple):
        # What an import is told of `sys.path` names the canary's folder, and nobody asked for it.
        inner = tuple(item for item in value if item is not sys.path)
    elif isinstance(value, dict):
        inner = (*value.keys(), *value.values())
    return next((named for item in inner if (named := _naming(item, depth - 1))), "")
