"""What a verdict speaks of, by digests: a wheel, or what is installed and its git commit."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import IO, Any

#: How the file ends in which the files that a verdict speaks of are listed.
LISTING = ".sha256sums"

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
    #: The text of which `sha256` is taken, where no file of the user's is: a list of files.
    listing: str = ""

    def to_json(self) -> dict[str, Any]:
        """As in-toto writes it."""
        told: dict[str, Any] = {"name": self.name, "digest": dict(self.digest)}
        return {**told, "uri": self.uri} if self.uri else told


def installed(module: str) -> list[Artifact]:
    """What `module` is a part of: its distribution's files, and the commit they are from.

    Returns an empty list for a module that has no files.

    Raises:
        ArtifactError: one of them cannot be read.
    """
    package = regular_package(module)
    found = source_files(_packages_around(package, module))
    if not found:
        return []
    name, uri = package, ""
    distribution = _distribution_of(package)
    if distribution:
        version = metadata.version(distribution)
        name, uri = f"{distribution}-{version}", f"pkg:pypi/{distribution}@{version}"
    try:
        listed = _listing(found)
    except OSError as error:
        raise ArtifactError(f"{error.filename} cannot be read: {error.strerror}.") from None
    # One number under two names: tools that sign know the first, and what in-toto calls it is the
    # second.
    digest = hashlib.sha256(listed).hexdigest()
    listing = listed.decode(errors="backslashreplace")
    listing = listing if listing.encode() == listed else ""
    artifacts = [Artifact(name, {"sha256": digest, "dirHash": digest}, uri, listing)]
    commit = _commit(found.values())
    if commit:
        artifacts.append(Artifact(f"{name} (source)", {"gitCommit": commit}))
    return artifacts


def regular_package(module: str) -> str:
    """The outermost package around `module` that is no namespace, which others share."""
    names = module.split(".")
    for end in range(1, len(names)):
        name = ".".join(names[:end])
        if getattr(sys.modules.get(name), "__file__", None):
            return name
    return module


def _distribution_of(package: str) -> str:
    """The distribution that installed a package, or an empty string."""
    names = list(
        dict.fromkeys(metadata.packages_distributions().get(package.partition(".")[0], ()))
    )
    if len(names) < 2:
        return "".join(names)
    # A namespace of several distributions.
    path = package.replace(".", "/")
    for name in names:
        files = metadata.files(name) or ()
        if any(file.as_posix().startswith((f"{path}/", f"{path}.")) for file in files):
            return name
    return ""


def file_of(module: str, name: str) -> list[Artifact]:
    """The file of one module, under a name; an empty list if it has none."""
    file = getattr(sys.modules.get(module), "__file__", None)
    if not file or not Path(file).is_file():
        return []
    return [Artifact(name, {"sha256": sha256_of(Path(file))})]


def _packages_around(package: str, module: str) -> dict[str, list[Path]]:
    """The folders of a package, and of those inner ones around a module that lie elsewhere."""
    around: dict[str, list[Path]] = {}
    names = module.split(".")
    for end in range(len(package.split(".")), len(names) + 1):
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
                found.setdefault(PurePosixPath(prefix).with_suffix(place.suffix).as_posix(), place)
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
    return hashlib.sha256(_listing(files)).hexdigest()


def _listing(files: Mapping[str, Path]) -> bytes:
    """The files with their digests, as `sha256sum` lists them."""
    return b"".join(
        f"{sha256_of(files[name])}  ".encode() + os.fsencode(name) + b"\n"
        for name in sorted(files, key=os.fsencode)
    )


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return sha256_read(stream)


def sha256_read(stream: IO[bytes]) -> str:
    """The SHA-256 of what can be read, in hexadecimal."""
    digest = hashlib.sha256()
    for chunk in iter(lambda: stream.read(1 << 20), b""):
        digest.update(chunk)
    return digest.hexdigest()


def _commit(files: Iterable[Path]) -> str:
    """The git commit that all these files are from, or an empty string.

    What git does not track, and what was changed since, is from none.
    """
    folders: dict[Path, set[str]] = {}
    for path in files:
        folders.setdefault(path.parent, set()).add(path.name)
    commits = set()
    for folder, names in folders.items():
        tracked = _git(folder, "ls-files", "-z", "--", ".")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no", "--", ".")
        if tracked is None or not names <= set(tracked.split("\0")) or changed is None or changed:
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
            check=False,
            env=environment,
            stdin=subprocess.DEVNULL,
            timeout=_PATIENCE_WITH_GIT,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return os.fsdecode(run.stdout).strip() if run.returncode == 0 else None
