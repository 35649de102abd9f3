"""Reports that are put beside each other: each read with care, and all of one contract."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ..evidence.record import FILE, RecordError, RunRecord, read_record


def file_of(path: Path) -> Path:
    """The file of a report that was given as itself or as the folder it lies in.

    Raises:
        RecordError: the path cannot even be looked at.
    """
    try:
        return path / FILE if path.is_dir() else path
    except OSError as error:
        raise RecordError(f"{path} cannot be read: {error.strerror}.") from None


def read_all(paths: Sequence[Path]) -> list[RunRecord]:
    """The runs that these reports tell of.

    Raises:
        RecordError: one is unusable, or they are of different contracts.
    """
    files = [file_of(path) for path in paths]
    _refuse_unlike(files)
    return [_read(file) for file in files]


def _refuse_unlike(files: Sequence[Path]) -> None:
    # Before a single one is refused, which would not say that another one is the odd one out.
    versions = {file: version for file in files if (version := _contract(file)) is not None}
    if len(set(versions.values())) > 1:
        lines = (f"  {file}: contract {version}" for file, version in versions.items())
        raise RecordError(
            "reports by different versions of the contract cannot be compared.\n"
            + "\n".join(lines)
            + "\n  Judge all of them again by one contract: --asyncexec-contract=VERSION."
        )


def _contract(file: Path) -> str | None:
    """The version that the file says it is of, if it can be read and says so."""
    with contextlib.suppress(OSError, ValueError, RecursionError, LookupError, TypeError):
        version = json.loads(file.read_text(encoding="utf-8"))["contract"]
        return version if isinstance(version, str) else None
    return None


def _read(file: Path) -> RunRecord:
    run = read_record(file)
    times = Counter(target.name for target in run.targets)
    name, number = times.most_common(1)[0]
    if number > 1:
        raise RecordError(
            f"{file} tells of {name} {number} times.\n  It was changed after it was written; make "
            "the report again."
        )
    return run
