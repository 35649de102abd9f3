"""The folder of a report: whole files or none, and none left over from an earlier run."""

from __future__ import annotations

import contextlib
import json
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from ..evidence import strict_json
from ..evidence.artifact import LISTING
from ..evidence.certificate import EXTENSION
from ..evidence.record import FILE, RunRecord
from ..evidence.schemas import validate
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


def documents(
    run: RunRecord,
    statements: Mapping[str, Mapping[str, object]],
    listings: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, str]:
    """The content of every file of a report, by its name.

    Args:
        run: what is told.
        statements: the certificates, by the names of their targets.
        listings: of which files those speak that speak of no wheel.
    """
    stem = stems(target.name for target in run.targets)
    found = {f"{stem[name]}{CERTIFICATE}": _json(told) for name, told in statements.items()}
    found |= {f"{stem[name]}{LISTING}": listing for name, listing in listings.items()}
    whole = badge_of(run.targets, run.contract)
    found |= {FILE: _json(run.to_json()), "report.html": page(run), "summary.md": summary(run)}
    found |= {"badge.svg": svg(whole), "badge.json": _json(endpoint(whole))}
    if len(run.targets) > 1:
        for target in run.targets:
            badge = badge_of([target], run.contract)
            found[f"{stem[target.name]}.badge.svg"] = svg(badge)
            found[f"{stem[target.name]}.badge.json"] = _json(endpoint(badge))
    return found


def clear_folder(folder: Path) -> None:
    """Remove what an earlier run has written, so that it is not taken for what this one found.

    Raises:
        FolderError: it cannot be removed.
    """
    names = {FILE, "report.html", "summary.md", "badge.svg", "badge.json"}
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        earlier = strict_json.loads((folder / FILE).read_bytes())
        validate("report", earlier)
        for stem in stems(target["target"] for target in earlier["targets"]).values():
            names |= {f"{stem}.badge.svg", f"{stem}.badge.json", f"{stem}{LISTING}"}
    try:
        certificates = [path for path in folder.glob(f"*{CERTIFICATE}") if _is_ours(path)]
        for path in [*certificates, *(folder / name for name in names)]:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise FolderError(_cannot_write(error, folder)) from None


def _is_ours(path: Path) -> bool:
    """Whether a file is a certificate of this package's."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return EXTENSION in strict_json.loads(path.read_bytes())["predicate"]
    return False


def write_folder(folder: Path, files: Mapping[str, str]) -> None:
    """Write the files, all of them or none.

    Raises:
        FolderError: one cannot be written.
    """
    unfinished: dict[Path, Path] = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            unfinished[folder / name] = _written(folder / name, text)
        for path, other in unfinished.items():
            other.replace(path)
    except OSError as error:
        for path, other in unfinished.items():
            with contextlib.suppress(OSError):
                other.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        raise FolderError(_cannot_write(error, folder)) from None


def _cannot_write(error: OSError, folder: Path) -> str:
    return f"{error.filename or folder} cannot be written: {error.strerror}."


def write_whole(path: Path, text: str) -> None:
    """Write a file so that a reader never finds half of it.

    Raises:
        OSError: it cannot be written.
    """
    unfinished = _written(path, text)
    try:
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink()
        raise


def _written(path: Path, text: str) -> Path:
    """A file beside `path`, of another name, with this text."""
    unfinished = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with unfinished.open("x", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
    except BaseException:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        raise
    return unfinished


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
