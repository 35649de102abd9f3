"""A small world in one folder: what leaves its place shows, and does no harm outside."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock


@dataclass(frozen=True, slots=True)
class Enclosure:
    """The places that executors write to, all of them below `folder`."""

    folder: Path
    #: These are as deep as ways out of them are long, so that every way ends inside `folder`.
    results: Path
    cache: Path
    temporary: Path
    working: Path

    def entries(self) -> list[Path]:
        """Everything there is, by its path from `folder`."""
        return sorted(path.relative_to(self.folder) for path in self.folder.rglob("*"))

    def is_in(self, path: Path, *places: Path) -> bool:
        """Whether an entry lies in one of the `places`."""
        whole = self.folder / path
        return any(whole == place or place in whole.parents for place in places)


@contextlib.contextmanager
def enclosed(folder: Path, *, home: bool = False) -> Iterator[Enclosure]:
    """Make `folder` the world: the working directory and the temporary files are in it.

    Args:
        folder: an empty folder.
        home: whether the user's home is in it, too.
    """
    deep = folder.joinpath(*"abcdefgh")
    places = Enclosure(folder, deep / "results", deep / "cache", deep / "tmp", deep / "cwd")
    inside = deep / "home"
    for place in (places.results, places.cache, places.temporary, places.working, inside):
        place.mkdir(parents=True)
        # As open to others as such folders are; whoever wants privacy has to see to it.
        place.chmod(0o755)
    environment = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(places.temporary))
    if home:
        environment |= dict.fromkeys(("HOME", "USERPROFILE"), str(inside))
    with (
        mock.patch.dict(os.environ, environment),
        mock.patch.object(tempfile, "tempdir", str(places.temporary)),
        contextlib.chdir(places.working),
    ):
        yield places
