"""Which room of the code may import from which: arrows point down only, and there is no cycle."""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
KIT = "pytest_asyncexec"
#: As pyproject.toml has it installed.
FOLDERS = {
    "": ROOT / KIT,
    "conformance": ROOT / "conformance",
    "reference_executor": ROOT / "reference_executor",
}
#: What the modules at the very top lie in: the public names and the command line.
TOP = "(top)"

#: The rooms that each room may import from, besides itself.
ALLOWED = {
    "contract": set(),
    "base": set(),
    "targets": {"contract"},
    "evidence": {"contract"},
    "report": {"contract", "evidence", "broken"},
    "commands": {"contract", "evidence", "report"},
    "reference_executor": {"base"},
    "conformance.instruments": {"contract", "base"},
    "conformance.plan": {"contract", "conformance.instruments"},
    "conformance.subject": {"contract", "base", "targets", "conformance.instruments"},
    "conformance.scenarios": {
        *("contract", "base", "targets"),
        *("conformance.instruments", "conformance.plan", "conformance.subject"),
    },
    "conformance": {
        *("contract", "base", "targets", "reference_executor"),
        *("conformance.instruments", "conformance.plan"),
        *("conformance.subject", "conformance.scenarios"),
    },
    "plugin": {
        *("contract", "targets", "evidence", "report"),
        *("conformance", "conformance.subject"),
    },
    TOP: {"base", "commands", "contract"},
}


class Arrow(NamedTuple):
    """One import: of which module, by which, in which line, and whether as soon as it is loaded."""

    source: str
    target: str
    line: int
    at_once: bool

    def __str__(self) -> str:
        return f"{self.source}:{self.line} imports {self.target}"


def modules() -> dict[str, Path]:
    """Every module by the name it is installed under."""
    found = {}
    for inner, folder in FOLDERS.items():
        for file in folder.rglob("*.py"):
            parts = [KIT, *filter(None, [inner]), *file.relative_to(folder).with_suffix("").parts]
            found[".".join(parts).removesuffix(".__init__")] = file
    return found


def arrows(source: str, file: Path, known: Iterable[str]) -> Iterator[Arrow]:
    """The imports of a module, also those in functions and under TYPE_CHECKING."""
    package = source.split(".")
    if file.name != "__init__.py":
        package.pop()
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        at_once = node in tree.body
        if isinstance(node, ast.Import):
            yield from (Arrow(source, one.name, node.lineno, at_once) for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            for name in node.names:
                inner = f"{base}.{name.name}"
                target = inner if inner in known or inner == f"{KIT}.broken" else base
                yield Arrow(source, target, node.lineno, at_once)


MODULES = modules()
ARROWS = [arrow for name, file in MODULES.items() for arrow in arrows(name, file, MODULES)]
INSIDE = [arrow for arrow in ARROWS if arrow.target.split(".")[0] == KIT]


def room_of(module: str) -> str:
    """The room in which a module lies."""
    parts = module.split(".")[1:]
    for size in (2, 1):
        room = ".".join(parts[:size])
        if room in ALLOWED or room == "broken":
            return room
    return TOP


def test_every_folder_is_a_room_or_part_of_one() -> None:
    folders = {file.parent for file in MODULES.values()}
    packages = {module for module, file in MODULES.items() if file.name == "__init__.py"}

    assert len(packages) == len(folders)
    assert {room_of(package) for package in packages} == set(ALLOWED)


def test_what_is_imported_from_the_kit_is_there() -> None:
    wrong = [str(a) for a in INSIDE if a.target not in MODULES and room_of(a.target) != "broken"]

    assert wrong == []


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph: dict[str, set[str]] = {}
    for arrow in INSIDE:
        graph.setdefault(arrow.source, set()).add(arrow.target)
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(f"a cycle of imports: {' <- '.join(error.args[1])}")


@pytest.mark.parametrize("room", ALLOWED)
def test_a_room_imports_only_what_lies_below_it(room: str) -> None:
    wrong = [
        str(arrow)
        for arrow in INSIDE
        if room_of(arrow.source) == room and room_of(arrow.target) not in ALLOWED[room] | {room}
    ]

    assert wrong == []


def test_only_the_plugin_knows_of_the_suite() -> None:
    suite = {room for room in ALLOWED if room.partition(".")[0] == "conformance"}
    who = {room_of(arrow.source) for arrow in INSIDE if room_of(arrow.target) in suite}

    assert who - suite == {"plugin"}


def test_the_wrong_executors_are_imported_by_who_shows_them_and_only_then() -> None:
    assert [str(a) for a in INSIDE if room_of(a.target) == "broken" and a.at_once] == []


@pytest.mark.parametrize("room", ["contract", "base", "evidence", "report", "commands", "targets"])
def test_only_the_plugin_and_the_suite_know_of_pytest(room: str) -> None:
    test_frameworks = {"pytest", "_pytest", "pluggy", "hypothesis"}
    wrong = [
        str(arrow)
        for arrow in ARROWS
        if room_of(arrow.source) == room and arrow.target.split(".")[0] in test_frameworks
    ]

    assert wrong == []
