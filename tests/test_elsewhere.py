"""Files of tasks at places that no executor was told to use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pytest_asyncexec.conformance.instruments import elsewhere
from pytest_asyncexec.conformance.instruments.elsewhere import Elsewhere
from pytest_asyncexec.conformance.runner import judge_target
from pytest_asyncexec.reference_executor import ThreadExecutor

from pytest_asyncexec.targets.target import Target


class _Writes(ThreadExecutor):
    """Puts each task into a file of a hard-coded folder, and leaves it there."""

    folder = Path()
    by_worker = False

    async def run(self, function, args, kwargs, task_metadata):
        path = self.folder / "job-{dispatch_id}-{node_id}".format(**task_metadata)
        if self.by_worker:
            script = "import sys; open(sys.argv[1], 'w').write(sys.stdin.read())"
            command = [sys.executable, "-c", script, path]
            subprocess.run(command, input=str(args), text=True, check=True)  # noqa: ASYNC221
        else:
            path.write_text(str(args))
        return await super().run(function, args, kwargs, task_metadata)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home, and a folder in which nobody else writes in place of the machine's."""
    for name in ("home/.cache/tool/jobs", "tmp", "cwd"):
        (tmp_path / name).mkdir(parents=True)
    home = str(tmp_path / "home")
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, home)
    places = elsewhere._usual_places()
    assert home in places
    assert str(Path("/tmp").resolve()) in places or sys.platform == "win32"
    monkeypatch.chdir(tmp_path / "cwd")
    inside = [home, f"{home}/.cache", *(str(tmp_path / name) for name in ("tmp", "cwd"))]
    monkeypatch.setattr(elsewhere, "_usual_places", lambda: inside)
    monkeypatch.setattr(elsewhere, "_temporary_places", lambda: [str(tmp_path / "tmp")])
    return tmp_path


@pytest.mark.parametrize(
    ("folder", "by_worker"),
    [
        ("home", False),
        ("tmp", True),
        ("home/.cache/tool", True),
        ("home/.cache/tool/jobs", False),
    ],
)
def test_the_files_of_tasks_are_found_where_nobody_told_them_to_be(
    world: Path, monkeypatch: pytest.MonkeyPatch, folder: str, by_worker: bool
) -> None:
    monkeypatch.setattr(_Writes, "folder", world / folder)
    monkeypatch.setattr(_Writes, "by_worker", by_worker)
    target = Target("test_elsewhere:_Writes", "Writes", _Writes, True)

    found = judge_target(target, {"HYG-04", "SEC-05"}, "quick")

    left = found["HYG-04"]
    if folder == "tmp":
        assert left.outcome == "failed", left.message
        assert f"left 2 files and folders: {world / folder}/job-dispatch-" in left.message
        assert f"[tempfile.tempdir, '{world / folder}']" in left.message
    else:  # no temporary folder, of which alone the rule speaks
        assert left.outcome == "passed", left.message
    if folder != "home/.cache/tool":  # where a worker writes deeper in, names alone are seen
        assert found["SEC-05"].outcome == "failed", found["SEC-05"].message


def test_only_what_is_of_a_task_is_told(world: Path) -> None:
    own, home, cwd = b"id-0123", world / "home", world / "cwd"
    (cwd / "run.log").write_bytes(b"")
    (world / "suite").mkdir()
    seen = Elsewhere(world / "suite")

    with seen.watched():
        (cwd / "run.log").write_bytes(b"id-0123 has begun\n")
        (cwd / "of-others").write_bytes(b"id-9876")
        (world / "suite" / "id-0123").touch()
        (home / ".cache" / "tool" / "id-9876").touch()
        (world / "not-usual").mkdir()
        (world / "not-usual" / "id-9876").touch()
        assert seen.files(lambda text: own in text) == set()

        (cwd / "with-it").write_bytes(b"... id-0123 ...")
        (world / "not-usual" / "id-0123").touch()
        (world / "tmp" / "id-0123").mkdir()
        (world / "tmp" / "id-0123" / "log").touch()
        gone = home / "id-0123"
        gone.touch()
        gone.unlink()

    assert {Path(path) for path in seen.files(lambda text: own in text)} == {
        cwd / "with-it",
        world / "not-usual" / "id-0123",
        world / "tmp" / "id-0123",
        world / "tmp" / "id-0123" / "log",
    }


def test_what_others_have_there_is_read_once_and_again_when_it_has_changed(world: Path) -> None:
    looking = Elsewhere(world / "suite")
    read: list[bytes] = []

    def owned(text: bytes) -> bool:
        read.append(text)
        return b"id-of-a-task" in text

    stranger = world / "tmp" / "stranger" / "file"
    stranger.parent.mkdir()
    stranger.write_bytes(b"of somebody else")

    assert looking.temporary_files(owned) == set()
    assert looking.temporary_files(owned) == set()
    assert read.count(b"of somebody else") == 1
    assert looking.looked_at == 2

    stranger.write_bytes(b"now with the id-of-a-task")
    assert looking.temporary_files(owned) == {str(stranger), str(stranger.parent)}


def test_each_of_several_tasks_finds_its_own(world: Path) -> None:
    looking = Elsewhere(world / "suite")
    for name in ("one", "two"):
        (world / "tmp" / name).write_text(f"data of task {name}")

    for name in ("one", "two"):
        # The second one's file was seen when the first one's was looked for.
        found = looking.files(lambda text, name=name: f"task {name}".encode() in text)
        assert found == {str(world / "tmp" / name)}
