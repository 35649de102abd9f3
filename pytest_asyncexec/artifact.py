"""What a verdict speaks of, by digests: a wheel, or what is installed and its git commit."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Any

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

#: Where git does not answer, nothing is said of a commit.
_PATIENCE_WITH_GIT = 10.0


class ArtifactError(Exception):
    """What was given is no wheel, or not what is judged; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """Something that a verdict is bound to: an in-toto ResourceDescriptor."""

    name: str
    digest: Mapping[str, str]
    uri: str = ""

    def to_json(self) -> dict[str, Any]:
        """As in-toto writes it."""
        told: dict[str, Any] = {"name": self.name, "digest": dict(self.digest)}
        return {**told, "uri": self.uri} if self.uri else told


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel that was opened: its name and digest, and those of the files in it."""

    artifact: Artifact
    files: Mapping[str, str]

    @property
    def packages(self) -> list[str]:
        """The top-level modules that it installs."""
        tops = (PurePosixPath(name).parts[0].partition(".")[0] for name in self.files)
        return list(dict.fromkeys(tops))


def open_wheel(path: Path) -> Wheel:
    """Read a wheel.

    Raises:
        ArtifactError: it is not there, or no wheel.
    """
    what_to_do = "Expected is the wheel that was built, such as dist/mypkg-1.0-py3-none-any.whl."
    try:
        name, version, _, _ = parse_wheel_filename(path.name)
        content = path.read_bytes()
        with zipfile.ZipFile(path) as archive:
            files = {
                entry.filename: hashlib.sha256(archive.read(entry)).hexdigest()
                for entry in archive.infolist()
                if not entry.is_dir() and not _about_the_wheel(entry.filename)
            }
    except InvalidWheelFilename:
        there = "" if path.exists() else ", and is not there"
        raise ArtifactError(f"{path} is no wheel by its name{there}.\n  {what_to_do}") from None
    except FileNotFoundError:
        raise ArtifactError(f"{path} is not there.\n  {what_to_do}") from None
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read: {error.strerror}.\n  {what_to_do}") from None
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, RuntimeError) as error:
        raise ArtifactError(f"{path} is no wheel: {error}.\n  {what_to_do}") from None
    digest = {"sha256": hashlib.sha256(content).hexdigest()}
    return Wheel(Artifact(path.name, digest, f"pkg:pypi/{name}@{version}"), files)


def _about_the_wheel(name: str) -> bool:
    return PurePosixPath(name).parts[0].endswith((".dist-info", ".data"))


def refuse_other_code(wheel: Wheel, module: str) -> None:
    """See that `module`, as it is imported here, is the one in the wheel.

    Raises:
        ArtifactError: the wheel does not hold it, or other code than what is judged.
    """
    name, top = wheel.artifact.name, module.partition(".")[0]
    if top not in wheel.packages:
        raise ArtifactError(
            f"{name} does not hold {module}, which is judged; it holds "
            f"{', '.join(wheel.packages) or 'nothing'}.\n  Name the wheel that the executor's "
            "class is in."
        )
    for file, digest in wheel.files.items():
        parts = PurePosixPath(file).parts
        if parts[0].partition(".")[0] != top:
            continue
        path = _installed_path(parts)
        if path is None or _sha256(path) != digest:
            what = "is not" if path is None else "is another"
            raise ArtifactError(
                f"{name} is not what is judged: its {file} {what} here.\n"
                f"  Install that very wheel: pip install --force-reinstall --no-deps {name}"
            )


def _installed_path(parts: tuple[str, ...]) -> Path | None:
    """Where the file of a wheel with this path lies, or None."""
    for folder in _folders_of(parts[0]):
        path = folder.joinpath(*parts[1:]) if len(parts) > 1 else folder
        if path.is_file():
            return path
    if len(parts) > 2:
        # An editable install may have put the folders of a package in different places.
        with contextlib.suppress(ImportError, AttributeError, ValueError):
            spec = importlib.util.find_spec(".".join(parts[:-1]))
            for place in (spec and spec.submodule_search_locations) or ():
                path = Path(place, parts[-1])
                if path.is_file():
                    return path
    return None


def _folders_of(top: str) -> list[Path]:
    """The folders of a top-level package; or the file of a module."""
    module = sys.modules.get(top.partition(".")[0])
    places = getattr(module, "__path__", None)
    if places is not None:
        return [Path(place) for place in places]
    file = getattr(module, "__file__", None)
    return [Path(file)] if file else []


def installed(module: str) -> list[Artifact]:
    """What `module` is a part of: its distribution's files, and the commit they are from.

    Returns an empty list for a module that has no files.

    Raises:
        ArtifactError: one of them cannot be read.
    """
    top = module.partition(".")[0]
    found = source_files(_packages_around(module))
    if not found:
        return []
    name, uri = top, ""
    for distribution in metadata.packages_distributions().get(top, ()):
        version = metadata.version(distribution)
        name, uri = f"{distribution}-{version}", f"pkg:pypi/{distribution}@{version}"
        break
    try:
        artifacts = [Artifact(name, {"dirHash": dir_hash(found)}, uri)]
    except OSError as error:
        raise ArtifactError(f"{error.filename} cannot be read: {error.strerror}.") from None
    commit = _commit({path.parent for path in found.values()})
    if commit:
        artifacts.append(Artifact(f"{name} (source)", {"gitCommit": commit}))
    return artifacts


def file_of(module: str, name: str) -> list[Artifact]:
    """The file of one module, under a name; an empty list if it has none."""
    file = getattr(sys.modules.get(module), "__file__", None)
    if not file or not Path(file).is_file():
        return []
    return [Artifact(name, {"sha256": _sha256(Path(file))})]


def _packages_around(module: str) -> dict[str, list[Path]]:
    """The folders of the top-level package, and of those inner ones that lie elsewhere."""
    names = module.split(".")
    around: dict[str, list[Path]] = {}
    for end in range(1, len(names) + 1):
        name = ".".join(names[:end])
        places = getattr(sys.modules.get(name), "__path__", None)
        if places is not None:
            around[name] = [Path(place) for place in places]
    if not around:
        file = getattr(sys.modules.get(module), "__file__", None)
        around = {module: [Path(file)]} if file else {}
    return around


def source_files(packages: Mapping[str, Iterable[Path]]) -> dict[str, Path]:
    """The files of packages (or of single modules), by the path that a wheel gives them."""
    found: dict[str, Path] = {}
    for package, places in packages.items():
        prefix = package.replace(".", "/")
        for place in places:
            if place.is_file():
                found.setdefault(place.name, place)
            for folder, folders, files in os.walk(place):
                folders[:] = [name for name in folders if name != "__pycache__"]
                inner = Path(folder).relative_to(place).as_posix()
                for file in files:
                    path = Path(folder, file)
                    # Of a socket or a pipe that lies there nothing can be read.
                    if path.is_file() and not file.endswith((".pyc", ".pyo")):
                        found.setdefault(PurePosixPath(prefix, inner, file).as_posix(), path)
    return found


def dir_hash(files: Mapping[str, Path]) -> str:
    """The digest of a tree of files that in-toto calls `dirHash`, in hexadecimal."""
    total = hashlib.sha256()
    for name in sorted(files, key=os.fsencode):
        total.update(f"{_sha256(files[name])}  ".encode() + os.fsencode(name) + b"\n")
    return total.hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _commit(folders: Iterable[Path]) -> str:
    """The git commit that all files in these folders are from, or an empty string.

    Folders that git ignores, and such with changes that are not committed, are from none.
    """
    commits = set()
    for folder in folders:
        tracked = _git(folder, "ls-files", "--", ".")
        changed = _git(folder, "status", "--porcelain", "--", ".")
        if not tracked or changed is None or changed:
            return ""
        commits.add(_git(folder, "rev-parse", "--verify", "HEAD") or "")
    return commits.pop() if len(commits) == 1 else ""


def _git(folder: Path, *arguments: str) -> str | None:
    """What git says, or None if it fails."""
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        run = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
            stdin=subprocess.DEVNULL,
            timeout=_PATIENCE_WITH_GIT,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return run.stdout.strip() if run.returncode == 0 else None
