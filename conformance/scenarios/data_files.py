"""The files that hold the data of tasks that run: what they are called, and who may read them."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import os
import re
import secrets
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ..instruments.beacon import Beacon
from ..instruments.elsewhere import Elsewhere
from ..instruments.enclosure import Enclosure, enclosed
from ..instruments.probes import report_home
from ..instruments.seen import Seen
from ..subject.exceptions import CouldNotRun
from ..subject.subject import Subject

#: A task's data: what it is given and what it prints.
_DATA: Final = "asyncexec-data-of-a-task"

#: Bytes beyond what an executor sends by the ways that are there for little.
_MUCH: Final = 1 << 20


@dataclass(slots=True)
class HeldTask:
    """One task, and the files that held its data while it ran."""

    dispatch_id: str
    node_id: int
    #: Of what it is given.
    size: int = 0
    #: How open to others each is, by its path from the cache, from the folder for temporary files
    #: or from the working directory, or else its whole path; what is empty instead of a mode is
    #: closed to them.
    files: dict[str, str] = field(default_factory=dict)
    #: How it ended before it was seen to run.
    ended: Seen | None = None

    def named_by_ids(self, name: str) -> str:
        """The name with words for the ids of the task and for what can be computed from them."""
        for text, word in _computed(self.dispatch_id, self.node_id):
            name = name.replace(text, word)
        return name


def held_tasks(subject: Subject) -> list[tuple[HeldTask, HeldTask]]:
    """Pairs of tasks that differ in their ids alone, seen at once, or else one after the other.

    Those of the second pair are given much: that may go by other ways.

    Raises:
        CouldNotRun: one ended before it was seen to run.
    """
    pairs = _pairs(subject)
    tasks = list(itertools.chain(*pairs))
    _look(subject, tasks)
    one_without = any(bool(one.files) != bool(other.files) for one, other in pairs)
    if one_without or any(each.ended is not None for each in tasks):
        # They may have met in a file of one name.
        pairs = _pairs(subject)
        tasks = list(itertools.chain(*pairs))
        for each in tasks:
            _look(subject, [each])
    for each in tasks:
        if each.ended is not None:
            raise CouldNotRun(f"the task whose files were to be seen ended: {each.ended}")
    return pairs


def _pairs(subject: Subject) -> list[tuple[HeldTask, HeldTask]]:
    return [
        (HeldTask(subject.new_dispatch(), 0, size), HeldTask(subject.new_dispatch(), 1, size))
        for size in (0, _MUCH)
    ]


def _look(subject: Subject, tasks: list[HeldTask]) -> None:
    """Run the tasks at once, each on an executor of its own, and look at their files."""
    umask = os.umask(0o022)
    elsewhere = Elsewhere(subject.folder)
    try:
        with (
            elsewhere.watched(),
            enclosed(subject.new_folder()) as places,
            contextlib.ExitStack() as stack,
        ):
            beacons = [stack.enter_context(subject.beacon()) for _ in tasks]
            executors = []
            for number, _ in enumerate(tasks):
                cache = places.cache / str(number)
                cache.mkdir(mode=0o755)
                try:
                    executors.append(subject.build(cache_dir=str(cache)))
                except CouldNotRun:
                    executors.append(subject.build())

            async def story() -> None:
                looks = zip(tasks, executors, beacons, strict=True)
                await asyncio.gather(
                    *(
                        _look_at(subject, places, elsewhere, n, *each)
                        for n, each in enumerate(looks)
                    )
                )

            with subject.following(executors[0]):
                # Others may have much where it is looked: that is nothing that hangs.
                subject.drive(story, progress=lambda: elsewhere.looked_at)
    finally:
        os.umask(umask)


async def _look_at(
    subject: Subject,
    places: Enclosure,
    elsewhere: Elsewhere,
    number: int,
    task: HeldTask,
    executor: Any,
    beacon: Beacon,
) -> None:
    own = f"{_DATA}-{secrets.token_hex(16)}"
    executing = asyncio.ensure_future(
        subject.execute(
            executor,
            report_home,
            (beacon.address, own, " " * task.size),
            dispatch_id=task.dispatch_id,
            node_id=task.node_id,
            results_dir=places.results,
        )
    )
    if not await beacon.reported(1, executing):
        task.ended = await executing
        return
    # An executor may let one task wait for the other: each goes on as soon as it was looked at.
    attempt = beacon.attempts[0]
    if subject.preflight().captures_streams:
        await asyncio.wrap_future(attempt.ask(do="print", text=f"{own}\n"))
    roots = (places.cache / str(number), places.temporary, places.working)
    task.files = await asyncio.to_thread(_data_files, own, roots, elsewhere)
    attempt.tell(do="return", value=None)
    await asyncio.wait({executing}, timeout=60)


def _data_files(own: str, roots: Iterable[Path], elsewhere: Elsewhere) -> dict[str, str]:
    found: dict[str, str] = {}
    for root in roots:
        for path in sorted(root.rglob("*")):
            # It may be gone again, or be no file that can be read at all.
            with contextlib.suppress(OSError):
                if path.is_file() and own.encode() in path.read_bytes():
                    found[path.relative_to(root).as_posix()] = _open_mode(path, root)
    for whole in sorted(elsewhere.files(lambda text: own.encode() in text)):
        with contextlib.suppress(OSError):
            if os.path.isfile(whole):
                found[Path(whole).as_posix()] = _open_mode(Path(whole))
    return found


def _open_mode(path: Path, root: Path | None = None) -> str:
    """The mode of a file that others can read, who can also enter all folders below `root`."""
    mode = path.stat().st_mode
    inside = [parent for parent in path.parents if root is None or root in parent.parents]
    above = [parent.stat().st_mode for parent in inside]
    closed = not mode & 0o077 or any(not folder & 0o077 for folder in above)
    return "" if closed else f"{mode & 0o777:04o}"


def foreseen(one: HeldTask, other: HeldTask) -> str:
    """A name of a file that could be foreseen, as it is made; or nothing.

    It is the same for both tasks but for their ids, and for numbers that count up, as process ids
    do. A number that was drawn among a million or more lies further from the next one.
    """
    for name in map(one.named_by_ids, one.files):
        for another in map(other.named_by_ids, other.files):
            if name == another:
                return name
            if re.split(r"\d+", name) == re.split(r"\d+", another):
                pairs = zip(re.findall(r"\d+", name), re.findall(r"\d+", another), strict=True)
                if all(abs(int(a) - int(b)) < 1_000_000 for a, b in pairs):
                    return re.sub(r"\d+", "N", name)
    return ""


def _computed(dispatch_id: str, node_id: int) -> Iterator[tuple[str, str]]:
    """What everybody can make of the ids of a task, and words for it; the longest first."""
    joined = [dispatch_id, str((dispatch_id, node_id))]
    joined += [f"{dispatch_id}{sign}{node_id}" for sign in ("", "-", "_", ":", "/", ".", " ", ",")]
    found = {}
    for text in joined:
        for algorithm in ("md5", "sha1", "sha224", "sha256", "sha512", "blake2b", "blake2s"):
            digest = hashlib.new(algorithm, text.encode(), usedforsecurity=False).hexdigest()
            for length in (len(digest), 64, 40, 32, 24, 20, 16, 12, 10, 8):
                found[digest[:length]] = f"({algorithm} of the ids)"
        for space in (uuid.NAMESPACE_DNS, uuid.NAMESPACE_URL, uuid.NAMESPACE_OID):
            made = uuid.uuid5(space, text)
            found |= {str(made): "(uuid5 of the ids)", made.hex: "(uuid5 of the ids)"}
    found |= {dispatch_id: "(dispatch id)", dispatch_id.partition("-")[2]: "(dispatch id)"}
    return iter(sorted(found.items(), key=lambda item: -len(item[0])))


def anonymous(name: str, others: Iterable[str]) -> str:
    """A name without the parts of it that are other ones in the names `others`."""
    known = {part for other in others for part in other.split("/")}
    return "/".join(part if part in known else "(random)" for part in name.split("/"))


def reproduce(task: HeldTask, name: str) -> str:
    """Lines that run two tasks which are given as much, and show the files that are there.

    Args:
        task: one that had the file.
        name: of that file, as in `files`.
    """
    more = f', " " * {task.size}' if task.size else ""
    where = f", {os.path.dirname(name)!r}" if os.path.isabs(name) else ""
    return _REPRODUCE.replace(", MORE", more).replace(", WHERE", where)


_REPRODUCE: Final = """
    import asyncio, os, tempfile, time
    from pytest_asyncexec.conformance.subject.host import host_for

    def task(folders, data, begin, *more):
        import contextlib, os
        for folder in folders:
            for path, _, names in os.walk(folder):
                for file in (os.path.join(path, name) for name in names):
                    with contextlib.suppress(OSError):
                        if os.path.isfile(file) and os.stat(file).st_mtime > begin - 1:
                            if data in open(file, "rb").read():
                                print(file, *(oct(os.stat(it).st_mode) for it in (file, path)))

    executor.cache_dir, tempfile.tempdir = tempfile.mkdtemp(), tempfile.mkdtemp()
    folders = [executor.cache_dir, tempfile.tempdir, os.getcwd(), WHERE]
    for dispatch in "one", "two":
        seen = asyncio.run(host_for(executor).execute(
            executor, task, [folders, b"data of a task", time.time(), MORE], dispatch_id=dispatch))
        print(seen.stdout if seen.completed else seen)
"""
