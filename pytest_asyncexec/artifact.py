"""What a verdict speaks of, by digests: a wheel, or what is installed and its git commit."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import lzma
import os
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import IO, Any

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

#: Where git does not answer, nothing is said of a commit.
_PATIENCE_WITH_GIT = 10.0


_WHAT_TO_DO = "Expected is the wheel that was built, such as dist/mypkg-1.0-py3-none-any.whl."

#: What Python's reader of zip files raises over one that is damaged.
_BROKEN = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
)


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
    """A wheel that was opened: its name and digest, and those of the files that it installs."""

    path: Path
    artifact: Artifact
    files: Mapping[str, str]

    @property
    def packages(self) -> list[str]:
        """The top-level modules that it installs."""
        tops = (PurePosixPath(name).parts[0].partition(".")[0] for name in self.files)
        return list(dict.fromkeys(tops))


def artifact_of(path: Path) -> Artifact:
    """The name and the digest of a wheel.

    Raises:
        ArtifactError: it is not there, or no wheel.
    """
    try:
        name, version, _, _ = parse_wheel_filename(path.name)
        digest = _sha256(path)
        if not zipfile.is_zipfile(path):
            raise ArtifactError(f"{path} is no wheel: it is no zip file.\n  {_WHAT_TO_DO}")
    except InvalidWheelFilename:
        there = "" if path.exists() else ", and is not there"
        glob = " Patterns are not expanded." if "*" in path.name else ""
        raise ArtifactError(
            f"{path} is no wheel by its name{there}.{glob}\n  {_WHAT_TO_DO}"
        ) from None
    except FileNotFoundError:
        raise ArtifactError(f"{path} is not there.\n  {_WHAT_TO_DO}") from None
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read: {error.strerror}.\n  {_WHAT_TO_DO}") from None
    return Artifact(path.name, {"sha256": digest}, f"pkg:pypi/{name}@{version}")


def open_wheel(path: Path) -> Wheel:
    """Read a wheel.

    Raises:
        ArtifactError: it is not there, or no wheel.
    """
    artifact = artifact_of(path)
    files: dict[str, str] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                name = _installed_as(entry.filename)
                if name and not entry.is_dir():
                    if name in files:
                        raise ValueError(f"{name} stands in it twice")
                    with archive.open(entry) as stream:
                        files[name] = _digest_of(stream)
    except _BROKEN as error:
        raise ArtifactError(f"{path} is no wheel: {error}.\n  {_WHAT_TO_DO}") from None
    return Wheel(path, artifact, files)


def _installed_as(name: str) -> str:
    """Where a file of a wheel goes below site-packages; nothing for one that does not go there."""
    first, *rest = PurePosixPath(name).parts or ("",)
    if first.endswith(".data"):
        return "/".join(rest[1:]) if rest[:1] in (["purelib"], ["platlib"]) else ""
    return "" if first.endswith(".dist-info") else name


def refuse_other_code(wheel: Wheel, module: str) -> None:
    """See that `module`, what else is imported of its package, and the whole wheel are one code.

    Raises:
        ArtifactError: the wheel does not hold it, or other code than what is judged.
    """
    package = _regular_package(module)
    if not any(_is_in(package, file) for file in wheel.files):
        raise ArtifactError(
            f"{wheel.path} does not hold {module}, which is judged; it holds "
            f"{', '.join(wheel.packages) or 'nothing'}.\n  Name the wheel that the executor's "
            "class is in."
        )
    loaded = _loaded(package, module, wheel)
    for file, path in loaded.items():
        if wheel.files.get(file) != _sha256(path):
            what = "is not in it" if file not in wheel.files else f"in it is another than {path}"
            raise ArtifactError(_not_that_wheel(wheel.path, f"{file} {what}"))
    for file in wheel.files.keys() - loaded.keys():
        found = _installed_path(package, file)
        if found is None or _sha256(found) != wheel.files[file]:
            what = "is not installed" if found is None else f"is another than {found}"
            raise ArtifactError(_not_that_wheel(wheel.path, f"its {file} {what}"))


def is_held(wheel: Wheel, module: str) -> bool:
    """Whether the file of an imported module is in the wheel."""
    found = _file_of(module)
    return found is not None and found[0] in wheel.files


def _not_that_wheel(path: Path, why: str) -> str:
    return (
        f"{path} is not what is judged: {why}.\n  Build it anew; or install that very wheel, pip "
        f"install --force-reinstall --no-deps {path}, and judge where no other copy of the package "
        "lies in the way."
    )


def _is_in(package: str, file: str) -> bool:
    """Whether a file of a wheel belongs to a package, or is that module."""
    path = package.replace(".", "/")
    return file.startswith(f"{path}/") or PurePosixPath(file).with_suffix("").as_posix() == path


def _regular_package(module: str) -> str:
    """The outermost package around `module` that is no namespace, which others share."""
    names = module.split(".")
    for end in range(1, len(names)):
        name = ".".join(names[:end])
        if getattr(sys.modules.get(name), "__file__", None):
            return name
    return module


def _loaded(package: str, module: str, wheel: Wheel) -> dict[str, Path]:
    """The files of all that was imported of a package, by the path that a wheel gives them.

    Tests and their conftest may lie in a package and be left out of its wheel; what is judged may
    not.
    """
    found = {}
    of_others = _files_of_others(package, wheel)
    for name in list(sys.modules):
        if name != module and (not f"{name}.".startswith(f"{package}.") or _is_a_test(name)):
            continue
        file = _file_of(name)
        if file is not None and file[0] not in of_others:
            found[file[0]] = file[1]
    return found


def _is_a_test(module: str) -> bool:
    return any(
        part in ("conftest", "test", "tests") or part.startswith("test_") or part.endswith("_test")
        for part in module.split(".")[1:]
    )


def _file_of(name: str) -> tuple[str, Path] | None:
    """The file of an imported module, with the path that a wheel gives it."""
    module = sys.modules.get(name)
    # Some put objects of other kinds there, and modules under other names than their own.
    known = vars(module) if isinstance(module, ModuleType) else {}
    file = known.get("__file__")
    if not file or getattr(known.get("__spec__"), "name", name) != name or not Path(file).is_file():
        return None
    parts = name.split(".")
    folder = parts if "__path__" in known else parts[:-1]
    return "/".join([*folder, Path(file).name]), Path(file)


def _files_of_others(package: str, wheel: Wheel) -> set[str]:
    """The files that other distributions have installed into the same top-level package."""
    names = set(metadata.packages_distributions().get(package.partition(".")[0], ()))
    own = canonicalize_name(wheel.artifact.uri.partition("/")[2].partition("@")[0])
    others = [name for name in names if canonicalize_name(name) != own]
    return {file.as_posix() for name in others for file in metadata.files(name) or ()}


def _installed_path(package: str, file: str) -> Path | None:
    """Where a file of a wheel lies that holds an imported package, or None."""
    parts = PurePosixPath(file).parts
    top = sys.modules.get(package.partition(".")[0])
    places = list(getattr(top, "__path__", None) or [getattr(top, "__file__", None) or ""])
    # Beside the package lies all that was installed with it.
    for base in dict.fromkeys(Path(place).parent for place in places):
        if base.joinpath(*parts).is_file():
            return base.joinpath(*parts)
    # An editable install may have put the folders of a package in different places.
    with contextlib.suppress(ImportError, AttributeError, ValueError):
        spec = importlib.util.find_spec(".".join(parts[:-1]))
        for place in (spec and spec.submodule_search_locations) or ():
            if Path(place, parts[-1]).is_file():
                return Path(place, parts[-1])
    return None


def installed(module: str) -> list[Artifact]:
    """What `module` is a part of: its distribution's files, and the commit they are from.

    Returns an empty list for a module that has no files.

    Raises:
        ArtifactError: one of them cannot be read.
    """
    package = _regular_package(module)
    found = source_files(_packages_around(package, module))
    if not found:
        return []
    name, uri = package, ""
    distribution = _distribution_of(package)
    if distribution:
        version = metadata.version(distribution)
        name, uri = f"{distribution}-{version}", f"pkg:pypi/{distribution}@{version}"
    try:
        artifacts = [Artifact(name, {"dirHash": dir_hash(found)}, uri)]
    except OSError as error:
        raise ArtifactError(f"{error.filename} cannot be read: {error.strerror}.") from None
    commit = _commit(found.values())
    if commit:
        artifacts.append(Artifact(f"{name} (source)", {"gitCommit": commit}))
    return artifacts


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
    return [Artifact(name, {"sha256": _sha256(Path(file))})]


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
    total = hashlib.sha256()
    for name in sorted(files, key=os.fsencode):
        total.update(f"{_sha256(files[name])}  ".encode() + os.fsencode(name) + b"\n")
    return total.hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return _digest_of(stream)


def _digest_of(stream: IO[bytes]) -> str:
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
