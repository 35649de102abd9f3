"""Ids that lead out of their folder, or are commands, and the harm that they do."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ...contract.wording import short
from ..instruments.audit import audited
from ..instruments.enclosure import Enclosure, enclosed
from ..instruments.probes import echo
from ..instruments.shells import commands, is_bare
from ..subject.exceptions import CouldNotRun
from ..subject.subject import Subject
from .endings import fail
from .writing import reproduction, write, writer_of

_LOG: Final = "asyncexec-log.txt"
_ESCAPED: Final = "asyncexec-escaped"

#: What ids are made of. TRAP is a folder to be made where the shell stands that runs the command,
#: PATH the same folder wherever that is, ROOT the folder that may be left by none, and NEW what no
#: other run has, for backends remember. The first ones are the most telling, and the first of all
#: is a command whatever quotes are put around it.
_DISPATCHES: Final = (
    "NEW$(mkdir PATH)';mkdir PATH;'",
    f"../../{_ESCAPED}-NEW",
    "NEW; mkdir TRAP",
    "$(mkdir TRAP)-NEW",
    f"ROOT/{_ESCAPED}-NEW",
    "`mkdir PATH`-NEW",
    "NEW\nmkdir PATH\n",
    "'; mkdir PATH; 'NEW",
    '"; mkdir PATH; "NEW',
    "NEW%s %(NEW)s %%",
    "NEW; mkdir PATH",
    "$(mkdir PATH)-NEW",
    "`mkdir TRAP`-NEW",
    "NEW && mkdir TRAP",
    "NEW | mkdir PATH",
    "..",
    f"NEW/../../{_ESCAPED}",
    "NEW\0null",
)
_NODES: Final = ("0$(mkdir PATH)';mkdir PATH;'", f"../../{_ESCAPED}-NEW", "0; mkdir TRAP")
_QUICK: Final = 10

#: So many things of each kind are told.
_TOLD: Final = 3

_WRITES: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT


@dataclass(frozen=True, slots=True)
class HostileId:
    """One id."""

    text: str
    #: The same in every run and folder.
    shown: str
    #: What it is made of.
    template: str
    #: The name of the folder that its command makes.
    trap: str


@dataclass(frozen=True, slots=True)
class Harm:
    """What ids did."""

    #: Of whom, in words, as "write_streams_to_file with the dispatch id '..'".
    by: str
    #: What a shell was given or has done, and what lies outside of its folder.
    by_shell: tuple[str, ...]
    by_path: tuple[str, ...]
    reproduce: str

    def __str__(self) -> str:
        done = [
            *self.by_shell[:_TOLD],
            *[f"and {len(self.by_shell) - _TOLD} more"] * (len(self.by_shell) > _TOLD),
            *self.by_path[:_TOLD],
        ]
        return f"{self.by}: {'; '.join(done)}"


def _ids(templates: Sequence[str], root: Path, kind: str) -> list[HostileId]:
    new = f"dispatch{secrets.token_hex(4)}"
    made = []
    for number, template in enumerate(templates):
        trap = f"asyncexec-trap-{kind}{number}"
        text = template.replace("PATH", _path(root / trap, template)).replace("TRAP", trap)
        text = text.replace("ROOT", str(root)).replace("NEW", new)
        shown = template.replace("PATH", trap).replace("TRAP", trap)
        shown = shown.replace("ROOT", "...").replace("NEW", "dispatch")
        made.append(HostileId(text, shown, template, trap))
    return made


def _path(path: Path, template: str) -> str:
    """An absolute path in words of a shell that have no slash and no quotes in them."""
    # In back quotes, two of these are one.
    slash = "\\\\\\\\057" if "`" in template else "\\\\057"
    return f"$(printf {str(path).replace('/', slash)})"


#: The same for a script, where the folder is `root`.
_MAKE_IDS: Final = """\
def made(template, number):
    slash = "\\\\\\\\" * (2 if "`" in template else 1) + "057"
    path = "$(printf " + str(root / f"trap-{number}").replace("/", slash) + ")"
    text = template.replace("PATH", path).replace("TRAP", f"trap-{number}")
    return text.replace("ROOT", str(root)).replace("NEW", "dispatch")

"""


class _Witness:
    """Sees what ids do, as far as this process or its file system shows."""

    def __init__(
        self, places: Enclosure, ids: Sequence[HostileId], allowed: Sequence[Path]
    ) -> None:
        self._places = places
        self._ids = ids
        self._allowed = allowed
        self._commands: set[tuple[str, str]] = set()
        self._opened: set[Path] = set()

    def hear(self, event: str, args: tuple[Any, ...]) -> None:
        # A file that is removed when the task is over was where it was, all the same.
        if event == "open" and isinstance(args[0], str) and args[2] & _WRITES:
            path = Path(os.path.normpath(args[0]))
            # What is relative may be so to a folder that was opened before.
            if path.is_absolute() and self._places.is_in(path, self._places.folder):
                self._opened.add(path.relative_to(self._places.folder))
        for command in commands(event, args):
            for one in self._ids:
                if one.text not in ("..",) and is_bare(one.text, command):
                    told = short(self._shown(command.replace(one.text, one.shown)))
                    self._commands.add((one.shown, told))

    def harm(self, by: str, reproduce: str) -> Harm | None:
        """What was done; None for nothing."""
        order = {one.shown: number for number, one in enumerate(self._ids)}
        by_shell = [
            f"the shell was given {one!r} as a part of the command {command}"
            for one, command in sorted(self._commands, key=lambda each: (order[each[0]], each[1]))
        ]
        by_path = []
        traps = {one.trap for one in self._ids}
        entries = self._places.entries()
        for path in entries:
            if path.name in traps:
                by_shell.append(f"a command in an id was run: there is the folder {path.name}")
            elif self._has_escaped(path):
                by_path.append(f"outside of its directory there is now {path.as_posix()}")
        for path in sorted(self._opened - set(entries)):
            if self._has_escaped(path):
                by_path.append(f"outside of its directory there was for a while {path.as_posix()}")
        if not by_shell and not by_path:
            return None
        return Harm(
            by,
            tuple(dict.fromkeys(map(self._shown, by_shell))),
            tuple(map(self._shown, by_path)),
            reproduce,
        )

    def _shown(self, text: str) -> str:
        for one in self._ids:
            text = text.replace(one.text, one.shown)
        text = re.sub(r"dispatch[0-9a-f]{8}\b", "dispatch", text)
        return text.replace(str(self._places.folder), "...")

    def _has_escaped(self, path: Path) -> bool:
        named = any(word in path.name for word in (_LOG, _ESCAPED))
        return named and not self._places.is_in(path, *self._allowed)


def harm_by_writing(subject: Subject) -> list[Harm]:
    """What `write_streams_to_file` does with such dispatch ids: one harm of each kind."""
    found: list[Harm] = []
    for number in range(len(_DISPATCHES)):
        harm = _harm_by_writing(subject, number)
        if harm is None:
            continue
        news = not found or (not any(known.by_shell for known in found) and harm.by_shell)
        if news:
            found.append(harm)
    return found


def _harm_by_writing(subject: Subject, number: int) -> Harm | None:
    executor = writer_of(subject)
    with enclosed(subject.new_folder(), home=True) as places:
        one = _ids(_DISPATCHES, places.folder, "")[number]
        witness = _Witness(places, [one], [places.results])
        with audited(witness.hear):
            write(subject, executor, ["text\n"], [_LOG], places.results, one.text)
        return witness.harm(
            f"write_streams_to_file with the dispatch id {one.shown!r}",
            reproduction(
                "root = folder",
                _MAKE_IDS,
                'results = folder.joinpath("a", "b", "c", "results")',
                "results.mkdir(parents=True)",
                "os.chdir(folder)",
                f'write(["text\\n"], [{_LOG!r}], made({one.template!r}, 1), results)',
                'print(sorted(folder.rglob("*")))',
            ),
        )


def harm_by_tasks(subject: Subject) -> Harm | None:
    """What executors do that run tasks with such ids, all at once."""
    most = subject.pick(quick=_QUICK, default=len(_DISPATCHES), thorough=len(_DISPATCHES))
    with enclosed(subject.new_folder()) as places:
        dispatches = _ids(_DISPATCHES[:most], places.folder, "")
        nodes = _ids(_NODES, places.folder, "node-")
        try:
            executor = subject.build(log_stdout=_LOG, cache_dir=str(places.cache))
        except CouldNotRun:
            executor = subject.build()
        allowed = [places.results, places.cache, places.temporary]
        witness = _Witness(places, [*dispatches, *nodes], allowed)

        async def story() -> None:
            tasks: list[tuple[str, Any]] = [(one.text, 0) for one in dispatches]
            tasks += [(subject.new_dispatch(), one.text) for one in nodes]
            # What is done for a task that has failed may be done for no other.
            await asyncio.gather(
                *(
                    subject.execute(
                        executor,
                        function,
                        ["hello"],
                        dispatch_id=dispatch_id,
                        node_id=node_id,
                        results_dir=places.results,
                    )
                    for function in (echo, fail)
                    for dispatch_id, node_id in tasks
                )
            )

        with audited(witness.hear):
            subject.drive(story)
        return witness.harm(
            f"{2 * len(dispatches) + 2 * len(nodes)} tasks at once whose dispatch or node ids are "
            "of this kind, and half of which fail",
            _RUN_TASKS.format(
                make=_MAKE_IDS,
                log=_LOG,
                dispatches=_DISPATCHES[:most],
                nodes=_NODES,
            ),
        )


_RUN_TASKS: Final = """\
import asyncio, os, sys, tempfile
from pathlib import Path
from pytest_asyncexec.conformance.subject.host import host_for

{make}
def hook(event, args):
    if event == "open" and str(root) in str(args[0]):
        print("opened:", os.path.normpath(args[0]))
    if event in ("os.system", "subprocess.Popen"):
        print("command:", args[:2])

async def main(ids):
    await asyncio.wait([asyncio.ensure_future(host_for(executor).execute(
        executor, task, ["1"], results_dir=str(results), **each))
        for task in (int, os.rmdir) for each in ids])

root = Path(tempfile.mkdtemp())
sys.addaudithook(hook)
results, cache = (root.joinpath("a", "b", "c", name) for name in ("results", "cache"))
cache.mkdir(parents=True)
executor.log_stdout, executor.cache_dir = {log!r}, str(cache)
os.chdir(root)
ids = [{{"dispatch_id": text}} for text in {dispatches!r}]
ids += [{{"dispatch_id": "NEW", "node_id": text}} for text in {nodes!r}]
asyncio.run(main([
    {{name: made(text, number) for name, text in each.items()}} for number, each in enumerate(ids)
]))
print(sorted(root.rglob("*")))
"""
