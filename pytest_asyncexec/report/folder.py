"""The folder of a report: whole files or none, and none left over from an earlier run."""

from __future__ import annotations

import contextlib
import json
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path

from ..record import FILE, RunRecord
from .badge import badge_of, endpoint, svg
from .page import page
from .stems import stems
from .summary import summary

CERTIFICATE = ".intoto.json"


class FolderError(Exception):
    """A folder that cannot be written to: which, why, and what to do."""


def prepare_folder(folder: Path) -> None:
    """Make the folder, and see that files can be written there.

    Raises:
        FolderError: they cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise FolderError(
            f"{folder} cannot be written to: {error.strerror}.\n  Expected is a folder for the "
            "reports, or a path where one can be made."
        ) from None


def documents(run: RunRecord, statements: Mapping[str, Mapping[str, object]]) -> dict[str, str]:
    """The content of every file of a report, by its name.

    Args:
        run: what is told.
        statements: the certificates, by the names of their targets.
    """
    stem = stems(target.name for target in run.targets)
    found = {f"{stem[name]}{CERTIFICATE}": _json(told) for name, told in statements.items()}
    whole = badge_of(run.targets)
    found |= {FILE: _json(run.to_json()), "report.html": page(run), "summary.md": summary(run)}
    found |= {"badge.svg": svg(whole), "badge.json": _json(endpoint(whole))}
    if len(run.targets) > 1:
        for target in run.targets:
            badge = badge_of([target])
            found[f"{stem[target.name]}.badge.svg"] = svg(badge)
            found[f"{stem[target.name]}.badge.json"] = _json(endpoint(badge))
    return found


def write_folder(folder: Path, files: Mapping[str, str]) -> None:
    """Write the files, each whole, and remove those that an earlier run left.

    Raises:
        FolderError: one cannot be written; what is there is of one run each, and whole.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in _left_by_another_run(folder, files):
            path.unlink(missing_ok=True)
        # The report last: it is how the next run knows what belongs to this one.
        for name in sorted(files, key=lambda name: name == FILE):
            write_whole(folder / name, files[name])
    except OSError as error:
        raise FolderError(
            f"{error.filename or folder} cannot be written: {error.strerror}."
        ) from None


def _left_by_another_run(folder: Path, files: Mapping[str, str]) -> list[Path]:
    """The certificates and badges of executors that this run does not judge."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        earlier = json.loads((folder / FILE).read_text(encoding="utf-8"))
        names = stems(target["target"] for target in earlier["targets"])
        endings = (CERTIFICATE, ".badge.svg", ".badge.json")
        files_of = [f"{stem}{ending}" for stem in names.values() for ending in endings]
        return [folder / name for name in files_of if name not in files]
    return []


def write_whole(path: Path, text: str) -> None:
    """Write a file, under another name first: a reader never finds half of one."""
    unfinished = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
    try:
        with unfinished.open("x", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
        unfinished.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        raise


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
