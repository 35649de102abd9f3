"""What can be imported from the package, and what importing it costs."""

import importlib
import importlib.metadata
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

import pytest_asyncexec
from pytest_asyncexec import reference_executor

HEAVY = ("pytest", "hypothesis", "aiofiles", "cloudpickle")


def loaded_by(statement: str) -> set[str]:
    """Return which of the heavy modules a fresh interpreter has loaded after `statement`."""
    code = f"{statement}\nimport sys\nprint(*{HEAVY!r} & sys.modules.keys())"
    code = code.replace(f"{HEAVY!r} &", f"set({HEAVY!r}) &")
    answer = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    return set(answer.stdout.split())


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert loaded_by("import pytest_asyncexec") == set()


def test_importing_the_base_class_loads_no_test_framework() -> None:
    loaded = loaded_by("from pytest_asyncexec import AsyncBaseExecutor")
    assert loaded.isdisjoint({"pytest", "hypothesis", "cloudpickle"})


def test_importing_the_reference_executors_loads_no_test_framework() -> None:
    loaded = loaded_by("from pytest_asyncexec.reference_executor import LocalExecutor")
    assert loaded.isdisjoint({"pytest", "hypothesis"})


@pytest.mark.parametrize("module", [pytest_asyncexec, reference_executor])
def test_every_public_name_exists_and_is_listed(module) -> None:
    public = {name: getattr(module, name) for name in module.__all__}

    assert sorted(public) == module.__all__
    assert set(public) <= set(dir(module))
    homes = set(module._HOMES)
    assert homes == set(public) - {"__version__"}
    assert all(value.__module__.startswith("pytest_asyncexec.") for value in map(public.get, homes))


#: In code, in what findings print, and in what the documents show.
IMPORTS = re.compile(r"from (pytest_asyncexec[\w.]*) import (\w+(?:, \w+)*)")


def test_every_import_that_is_written_anywhere_can_be_made() -> None:
    root = Path(__file__).parents[1]
    folders = [root / name for name in ("conformance", "pytest_asyncexec", "docs", "tests")]
    files = [*root.glob("*.md"), *(file for folder in folders for file in folder.rglob("*.*"))]
    written = {
        (line[1], name)
        for file in files
        if file.suffix in {".py", ".md"}
        for line in IMPORTS.finditer(file.read_text(encoding="utf-8"))
        for name in line[2].split(", ")
    }

    assert written
    missing = [
        f"from {module} import {name}" for module, name in written if not is_there(module, name)
    ]
    assert not missing


def is_there(module: str, name: str) -> bool:
    """Whether the module exists, and has this name or a module of this name."""
    if hasattr(importlib.import_module(module), name):
        return True
    return importlib.util.find_spec(f"{module}.{name}") is not None


def test_the_version_is_that_of_the_distribution() -> None:
    assert pytest_asyncexec.__version__ == importlib.metadata.version("pytest-asyncexec")


@pytest.mark.parametrize("module", [pytest_asyncexec, reference_executor])
def test_an_unknown_name_is_an_attribute_error(module) -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Nonsense'"):
        _ = module.Nonsense
