"""Wheels: what they hold, and whether that is what is judged."""

from __future__ import annotations

import contextlib
import importlib.util
import lzma
import sys
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path, PurePosixPath
from types import ModuleType

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from .artifact import Artifact, ArtifactError, regular_package, sha256_of, sha256_read

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

#: Bytes of a module's source that are read: some are made by programs, and some to do harm.
_LONGEST_SOURCE = 1 << 24

#: How files end that Python imports.
_IMPORTED = (".py", ".pyc", ".so", ".pyd")


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
        digest = sha256_of(path)
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
                        files[name] = sha256_read(stream)
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
    package = regular_package(module)
    if not any(_is_in(package, file) for file in wheel.files):
        raise ArtifactError(
            f"{wheel.path} does not hold {module}, which is judged; it holds "
            f"{', '.join(wheel.packages) or 'nothing'}.\n  Name the wheel that the executor's "
            "class is in."
        )
    loaded = _loaded(package, module, wheel)
    for file, path in loaded.items():
        if wheel.files.get(file) != sha256_of(path):
            what = "is not in it" if file not in wheel.files else f"in it is another than {path}"
            raise ArtifactError(_not_that_wheel(wheel.path, f"{file} {what}"))
    for file in wheel.files.keys() - loaded.keys():
        found = _installed_path(package, file)
        if found is None or sha256_of(found) != wheel.files[file]:
            what = "is not installed" if found is None else f"is another than {found}"
            raise ArtifactError(_not_that_wheel(wheel.path, f"its {file} {what}"))


def modules_of(wheel: Wheel) -> set[str]:
    """The full names of the modules and packages that it installs."""
    found = set()
    for file in map(PurePosixPath, wheel.files):
        if file.suffix not in _IMPORTED:
            continue
        # The name of an extension module goes on: `fast.cpython-311-x86_64-linux-gnu.so`.
        *folders, name = [*file.parts[:-1], file.name.partition(".")[0]]
        found.add(".".join(folders if name == "__init__" else [*folders, name]))
    return found


def source_of(wheel: Wheel, module: str) -> str | None:
    """The source of a module that it installs; None where that is too long, or of another kind.

    Raises:
        ArtifactError: the wheel cannot be read any more.
    """
    path = module.replace(".", "/")
    try:
        with zipfile.ZipFile(wheel.path) as archive:
            for entry in archive.infolist():
                is_it = _installed_as(entry.filename) in (f"{path}.py", f"{path}/__init__.py")
                if is_it and entry.file_size <= _LONGEST_SOURCE:
                    return archive.read(entry).decode("utf-8", "replace")
    except _BROKEN as error:
        raise ArtifactError(f"{wheel.path} is no wheel: {error}.\n  {_WHAT_TO_DO}") from None
    return None


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
