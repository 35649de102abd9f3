"""What a verdict is bound to: wheels, and what is installed."""

from __future__ import annotations

import os
import subprocess
import sys
import types
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_asyncexec.evidence import artifact
from pytest_asyncexec.evidence.artifact import ArtifactError, installed
from pytest_asyncexec.evidence.environment import kit_digest
from pytest_asyncexec.evidence.wheel import open_wheel, refuse_other_code

FILES = {
    "boundpkg/__init__.py": "VERSION = 1\n",
    "boundpkg/inner/__init__.py": "",
    "boundpkg/inner/executor.py": "class MyExecutor: ...\n",
    "boundpkg/data.txt": "data\n",
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package that is imported, in a folder of its own."""
    for name, text in FILES.items():
        path = tmp_path / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path / "source")
    __import__("boundpkg.inner.executor")
    yield tmp_path / "source"
    for name in [name for name in sys.modules if name.partition(".")[0] == "boundpkg"]:
        del sys.modules[name]


def wheel(folder: Path, **more: str) -> Path:
    """A wheel of the package, and of more files by their names."""
    path = folder / "boundpkg-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in {**FILES, "boundpkg-1.0.dist-info/RECORD": "", **more}.items():
            archive.writestr(file, text)
    return path


def test_a_wheel_of_what_is_judged(package: Path, tmp_path: Path) -> None:
    opened = open_wheel(wheel(tmp_path))

    refuse_other_code(opened, "boundpkg.inner.executor")
    assert opened.artifact.name == "boundpkg-1.0-py3-none-any.whl"
    assert opened.artifact.uri == "pkg:pypi/boundpkg@1.0"
    assert opened.packages == ["boundpkg"]


def test_a_wheel_with_other_code(package: Path, tmp_path: Path) -> None:
    path = wheel(tmp_path)
    (package / "boundpkg/inner/executor.py").write_text("class MyExecutor: pass\n")

    with pytest.raises(ArtifactError, match=r"executor.py in it is another than .*executor"):
        refuse_other_code(open_wheel(path), "boundpkg.inner.executor")


def test_a_wheel_with_more_code(package: Path, tmp_path: Path) -> None:
    path = wheel(tmp_path)
    (package / "boundpkg/data.txt").unlink()

    with pytest.raises(ArtifactError, match=r"its boundpkg/data.txt is not installed"):
        refuse_other_code(open_wheel(path), "boundpkg.inner.executor")


def test_a_wheel_without_what_is_judged(package: Path, tmp_path: Path) -> None:
    # Of an editable install everything can be imported, whatever the wheel leaves out.
    path = tmp_path / "boundpkg-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("boundpkg/__init__.py", FILES["boundpkg/__init__.py"])
        archive.writestr("boundpkg/data.txt", FILES["boundpkg/data.txt"])

    with pytest.raises(ArtifactError, match=r"boundpkg/inner/\w+.py is not in it"):
        refuse_other_code(open_wheel(path), "boundpkg.inner.executor")


def test_what_lies_beside_a_single_module_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "boundpkg.py").write_text("VERSION = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    __import__("boundpkg")
    path = tmp_path / "boundpkg-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("boundpkg.py", "VERSION = 1\n")
        archive.writestr("boundpkg.pyi", "VERSION: int\n")

    try:
        with pytest.raises(ArtifactError, match=r"its boundpkg.pyi is not installed"):
            refuse_other_code(open_wheel(path), "boundpkg")
        (tmp_path / "boundpkg.pyi").write_text("VERSION: int\n")
        refuse_other_code(open_wheel(path), "boundpkg")
    finally:
        del sys.modules["boundpkg"]


def test_tests_inside_the_package_may_be_left_out(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("conftest", "test_it", "tests.helpers"):
        module = types.ModuleType(f"boundpkg.{name}")
        module.__file__ = str(package / "boundpkg" / "data.txt")
        monkeypatch.setitem(sys.modules, module.__name__, module)

    refuse_other_code(open_wheel(wheel(tmp_path)), "boundpkg.inner.executor")


def test_what_is_judged_may_not_be_left_out_under_any_name(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (package / "boundpkg/tests").mkdir()
    (package / "boundpkg/tests/__init__.py").touch()
    (package / "boundpkg/tests/factory.py").touch()
    __import__("boundpkg.tests.factory")

    refuse_other_code(open_wheel(wheel(tmp_path)), "boundpkg.inner.executor")
    with pytest.raises(ArtifactError, match=r"boundpkg/tests/factory.py is not in it"):
        refuse_other_code(open_wheel(wheel(tmp_path)), "boundpkg.tests.factory")


def test_what_a_wheel_installs_beside_the_package_counts(package: Path, tmp_path: Path) -> None:
    path = wheel(tmp_path, **{"boundpkg.libs/lib.so": "machine code", "helper.py": "VALUE = 1\n"})

    with pytest.raises(ArtifactError, match=r"its (boundpkg.libs/lib.so|helper.py) is not instal"):
        refuse_other_code(open_wheel(path), "boundpkg.inner.executor")
    (package / "boundpkg.libs").mkdir()
    (package / "boundpkg.libs/lib.so").write_text("machine code")
    (package / "helper.py").write_text("VALUE = 2\n")
    with pytest.raises(ArtifactError, match=r"its helper.py is another than"):
        refuse_other_code(open_wheel(path), "boundpkg.inner.executor")
    (package / "helper.py").write_text("VALUE = 1\n")
    refuse_other_code(open_wheel(path), "boundpkg.inner.executor")


def test_odd_things_among_the_modules_do_no_harm(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Odd:
        def __getattr__(self, name):
            raise RuntimeError(name)

    monkeypatch.setitem(sys.modules, "boundpkg.odd", Odd())
    monkeypatch.setitem(sys.modules, "boundpkg.vendored", subprocess)

    refuse_other_code(open_wheel(wheel(tmp_path)), "boundpkg.inner.executor")


def test_what_a_wheel_brings_as_data_counts(package: Path, tmp_path: Path) -> None:
    data = {"boundpkg-1.0.data/purelib/boundpkg/late.py": "", "boundpkg-1.0.data/scripts/run": ""}
    path = wheel(tmp_path, **data)

    with pytest.raises(ArtifactError, match=r"its boundpkg/late.py is not installed"):
        refuse_other_code(open_wheel(path), "boundpkg.inner.executor")


def test_a_namespace_is_shared_with_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for portion in ("one", "two"):
        folder = tmp_path / portion / "boundpkg" / portion
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text(f"NAME = {portion!r}\n")
        monkeypatch.syspath_prepend(tmp_path / portion)
        __import__(f"boundpkg.{portion}")
    path = tmp_path / "boundpkg_one-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("boundpkg/one/__init__.py", "NAME = 'one'\n")

    try:
        refuse_other_code(open_wheel(path), "boundpkg.one")
        with pytest.raises(ArtifactError, match=r"does not hold boundpkg\.two"):
            refuse_other_code(open_wheel(path), "boundpkg.two")
        (told,) = installed("boundpkg.one")
        assert told.name == "boundpkg.one"
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "boundpkg"]:
            del sys.modules[name]


def test_a_wheel_of_something_else(package: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"does not hold json.decoder, .* it holds boundpkg"):
        refuse_other_code(open_wheel(wheel(tmp_path)), "json.decoder")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("boundpkg-1.0-py3-none-any.whl", None, "is not there"),
        ("boundpkg.zip", b"", "is no wheel by its name"),
        ("boundpkg-1.0-py3-none-any.whl", b"PK half a file", "is no wheel: "),
    ],
)
def test_what_is_no_wheel(name: str, content: bytes | None, says: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)

    with pytest.raises(ArtifactError, match=says):
        open_wheel(tmp_path / name)


def test_a_damaged_wheel(tmp_path: Path) -> None:
    path = tmp_path / "boundpkg-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("boundpkg/__init__.py", "VERSION = 1\n" * 1000)
    content = bytearray(path.read_bytes())
    content[50:60] = b"\xff" * 10
    path.write_bytes(content)

    with pytest.raises(ArtifactError, match="is no wheel: "):
        open_wheel(path)


def test_a_wheel_that_has_a_file_twice(tmp_path: Path) -> None:
    path = wheel(tmp_path)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("boundpkg/__init__.py", "VERSION = 2")

    with pytest.raises(ArtifactError, match=r"boundpkg/__init__.py stands in it twice"):
        open_wheel(path)


def test_a_pattern_is_not_expanded(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="Patterns are not expanded"):
        open_wheel(tmp_path / "*.whl")


def test_a_folder_is_no_wheel(tmp_path: Path) -> None:
    (tmp_path / "boundpkg-1.0-py3-none-any.whl").mkdir()

    with pytest.raises(ArtifactError, match="cannot be read"):
        open_wheel(tmp_path / "boundpkg-1.0-py3-none-any.whl")


def test_the_digest_of_a_folder_is_the_one_of_in_toto(package: Path) -> None:
    # The commands by which in-toto defines its dirHash.
    (package / "boundpkg" / "__pycache__").mkdir(exist_ok=True)
    command = (
        "find boundpkg -type f -not -path '*/__pycache__/*' | LC_ALL=C sort"
        " | xargs -r sha256sum | sha256sum | cut -f1 -d' '"
    )
    done = subprocess.run(
        ["bash", "-c", command], cwd=package, capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip("needs find, sort, xargs and sha256sum")

    found = installed("boundpkg.inner.executor")[0]
    # Under the name that tools that sign know, too: it is the SHA-256 of the list of the files.
    assert found.digest == {"sha256": done.stdout.strip(), "dirHash": done.stdout.strip()}
    (package / "LIST.sha256sums").write_text(found.listing, newline="\n")
    assert artifact.sha256_of(package / "LIST.sha256sums") == found.digest["sha256"]
    subprocess.run(["sha256sum", "--check", "--strict", "LIST.sha256sums"], cwd=package, check=True)


def test_the_digest_changes_with_the_code(package: Path) -> None:
    before = installed("boundpkg.inner.executor")
    (package / "boundpkg/inner/executor.py").write_text("class MyExecutor: pass\n")

    assert installed("boundpkg.inner.executor") != before


def _git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=T", "-c", "user.email=t@example.org")
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_the_commit_is_told_where_nothing_was_changed_since(package: Path) -> None:
    _git(package, "init", "-q")
    assert len(installed("boundpkg.inner.executor")) == 1, "what git does not track"
    (package / ".gitignore").write_text("__pycache__\n")
    _git(package, "add", ".")
    _git(package, "commit", "-qm", "first")

    source = installed("boundpkg.inner.executor")[1]
    assert source.digest == {"gitCommit": _git(package, "rev-parse", "HEAD")}
    (package / "boundpkg/data.txt").write_text("changed\n")
    assert len(installed("boundpkg.inner.executor")) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are bytes there")
def test_git_may_track_names_that_are_no_text(package: Path) -> None:
    (package / "boundpkg" / os.fsdecode(b"\xff.txt")).touch()
    _git(package, "init", "-q")
    (package / ".gitignore").write_text("__pycache__\n")
    _git(package, "add", ".")
    _git(package, "commit", "-qm", "first")

    assert len(installed("boundpkg.inner.executor")) == 2


def test_what_git_ignores_is_from_no_commit(package: Path) -> None:
    _git(package, "init", "-q")
    (package / ".gitignore").write_text("__pycache__\nexecutor.py\n")
    _git(package, "add", ".")
    _git(package, "commit", "-qm", "first")

    assert len(installed("boundpkg.inner.executor")) == 1


def test_a_distribution_is_told_by_name_and_version() -> None:
    told = installed("pytest_asyncexec.reference_executor.local")[0]

    assert told.uri == f"pkg:pypi/pytest-asyncexec@{told.name.rpartition('-')[2]}"


def test_a_module_without_files_has_no_digest() -> None:
    assert installed("sys") == []
    assert installed("no_such_module") == []


def test_the_digest_of_the_kit_covers_the_rules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit_digest.cache_clear()
    before = kit_digest()
    real = artifact.sha256_of
    monkeypatch.setattr(
        artifact, "sha256_of", lambda path: "0" * 64 if path.name == "rules.py" else real(path)
    )
    kit_digest.cache_clear()
    assert kit_digest() != before
    kit_digest.cache_clear()
