"""What may be named as a target, and the one error that each mistake gets."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from pytest_asyncexec.targets.loading import load_target, load_targets
from pytest_asyncexec.targets.target import TargetError

MODULE = """
    import abc, functools
    import pytest

    class Executor:
        async def run(self, function, args, kwargs, task_metadata):
            return function(*args, **kwargs)

    class Outer:
        class Inner(Executor):
            pass

        @classmethod
        def make(cls):
            return cls.Inner()

    class Abstract(abc.ABC):
        @abc.abstractmethod
        async def run(self, function, args, kwargs, task_metadata): ...

        @abc.abstractmethod
        async def stop(self): ...

    class Demanding(Executor):
        def __init__(self, address, *, user, port=22):
            pass

    class Nothing:
        pass

    def make():
        return Executor()

    def demanding(address):
        return Executor()

    async def later():
        return Executor()

    @pytest.fixture
    def fixture():
        return Executor()

    partial = functools.partial(demanding, "here")
    Alias = Executor
    instance = Executor()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that Python finds modules in, and whose modules are forgotten afterwards."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(tmp_path)
    write(tmp_path, "plug", MODULE)
    write(tmp_path, "package/__init__", "from .deep import Executor as Again")
    write(tmp_path, "package/deep", MODULE)
    write(tmp_path, "package/bare", MODULE)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in {path.stem for path in tmp_path.iterdir()}:
            del sys.modules[name]


def write(folder: Path, name: str, text: str) -> None:
    path = folder / f"{name}.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text(textwrap.dedent(text), encoding="utf-8")


@pytest.mark.parametrize(
    ("spec", "name", "is_class"),
    [
        ("plug:Executor", "Executor", True),
        ("plug.Executor", "Executor", True),
        ("plug:Outer.Inner", "Inner", True),
        ("plug.Outer.Inner", "Inner", True),
        ("plug:Outer.make", "make", False),
        ("plug:make", "make", False),
        ("plug:partial", "partial", False),
        ("package.deep:Executor", "Executor", True),
        ("package.deep.Executor", "Executor", True),
        ("package.Again", "Again", True),
        (" plug:make ", "make", False),
    ],
)
def test_a_target_builds_executors(folder: Path, spec: str, name: str, is_class: bool) -> None:
    target = load_target(spec)

    assert (target.spec, target.name, target.is_class) == (spec.strip(), name, is_class)
    assert hasattr(target.build(), "run")


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("plug", ["does not say what to take from a module", "pkg.mod:Class"]),
        ("", ["is no name of a class", "pkg.mod:Class"]),
        ("plug:", ["is no name of a class"]),
        ("plug:Some Class", ["is no name of a class"]),
        ("plug:Executor:more", ["is no name of a class"]),
        ("./plug.py:Executor", ["names a file", "Perhaps plug:Executor"]),
        ("nosuchplug:Executor", ["there is no module 'nosuchplug'", "install the package"]),
        ("plugg:Executor", ["there is no module 'plugg'", "Did you mean", "plug"]),
        ("package.depp:Executor", ["the package 'package' has no module 'depp'", "mean deep?"]),
        ("plug.Executor:run", ["'plug' is a module and no package", "plug:Executor"]),
        ("plug:Executr", ["has no 'Executr'", "mean Executor?", "executors: Demanding, Executor"]),
        ("plug.Outer.Iner", ["class 'Outer' has no 'Iner'", "Did you mean Inner?"]),
        ("plug:instance", ["an object of type Executor, neither a class", "write a function"]),
        ("package:deep", ["is a module, neither a class"]),
        ("package.bare", ["is a module and does not say what to take", "pkg.mod:Class"]),
        ("plug:Nothing", ["has no method `run`", "name a function that returns one"]),
        ("plug:Abstract", ["abstract class", "does not define run, stop"]),
        (
            "plug:Demanding",
            [
                "without arguments: address, user",
                "from plug import Demanding",
                "return Demanding(address=..., user=...)",
                "--asyncexec-plugin=my_target:make_executor",
            ],
        ),
        ("plug:demanding", ["a factory that needs arguments: address"]),
        ("plug:later", ["is a coroutine function", "plain `def`"]),
        ("plug:fixture", ["is a pytest fixture", "plain function"]),
    ],
)
def test_a_mistake_gets_one_error_that_helps(folder: Path, spec: str, says: list[str]) -> None:
    with pytest.raises(TargetError) as caught:
        load_target(spec)

    message = str(caught.value)
    assert message.startswith(repr(spec))
    assert "Traceback" not in message
    for part in says:
        assert part in message


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("import nosuchthing", ["No module named 'nosuchthing'", "Install what provides"]),
        ("from plug import nosuch", ["cannot import name 'nosuch'", "import faulty"]),
        ("def f():\n    return 1 / 0\nf()", ["ZeroDivisionError", "faulty.py:2: return 1 / 0"]),
        ("def f(:\n    pass", ["SyntaxError", "faulty.py:1: def f(:"]),
        ("import sys\nsys.exit(3)", ["SystemExit: 3", "faulty.py:2"]),
        ("import pytest\npytest.skip('no')", ["Skipped", "faulty.py:2"]),
        ("import faultier", ["faultier.py:1: {}['key']", "from ", "faulty.py:1: import faultier"]),
    ],
)
def test_a_module_whose_import_fails_shows_the_line(
    folder: Path, body: str, says: list[str]
) -> None:
    write(folder, "faulty", body)
    write(folder, "faultier", "{}['key']")

    with pytest.raises(TargetError, match="'faulty' was found, but importing it fails") as caught:
        load_target("faulty:Executor")

    for part in says:
        assert part in str(caught.value)
    assert "importlib" not in str(caught.value)


@pytest.mark.parametrize("other", ["plug:Executor", "plug.Executor", "package.deep:Executor"])
def test_targets_of_one_run_are_told_apart(folder: Path, other: str) -> None:
    specs = ["plug:Executor", other]
    if other.startswith("plug"):
        with pytest.raises(TargetError, match="given twice"):
            load_targets(specs)
    else:
        assert [target.name for target in load_targets(specs)] == specs


def test_the_same_bound_method_is_the_same_target(folder: Path) -> None:
    with pytest.raises(TargetError, match=r"it is 'plug:Outer\.make' again"):
        load_targets(["plug:Outer.make", "plug.Outer.make"])


def test_a_folder_is_searched_only_for_what_is_not_installed(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    near = tmp_path_factory.mktemp("near")
    write(near, "plug", "def wrong(): ...")
    write(near, "only_near", MODULE)

    assert load_target("plug:Executor", [near]).build().__class__.__module__ == "plug"
    assert str(near) not in sys.path
    with pytest.raises(TargetError):
        load_target("only_near:Executor")
    assert load_target("only_near:Executor", [near]).is_class
    assert sys.path[-1] == str(near)
    del sys.modules["only_near"]


COVALENT = """
    import os, pathlib
    home = os.environ["HOME"]
    config = os.environ["COVALENT_CONFIG_DIR"]
    pathlib.Path(home, "made-by-covalent").mkdir()
    import covalent_ssh_plugin
"""

PLUGIN = """
    import covalent

    class Executor:
        home = covalent.home
        async def run(self, function, args, kwargs, task_metadata): ...
"""

PROGRAM = """
    import os, pathlib, sys
    from pytest_asyncexec.targets.loading import load_target

    load_target(sys.argv[1]).build()
    covalent = sys.modules["covalent"]
    print(os.environ["HOME"] == sys.argv[2], list(pathlib.Path(sys.argv[2]).iterdir()))
    print(covalent.home != sys.argv[2], os.environ["COVALENT_CONFIG_DIR"] == covalent.config)
    print(pathlib.Path(covalent.home).is_dir())
    print(covalent.home)
"""


@pytest.mark.parametrize("spec", ["covalent_ssh_plugin:Executor", "my_factory:lazily"])
def test_covalent_comes_first_and_leaves_the_home_folder_alone(tmp_path: Path, spec: str) -> None:
    modules, home = tmp_path / "modules", tmp_path / "home"
    home.mkdir()
    write(modules, "covalent", COVALENT)
    write(modules, "covalent_ssh_plugin", PLUGIN)
    write(
        modules,
        "my_factory",
        """
        def lazily():
            from covalent_ssh_plugin import Executor
            return Executor()
        """,
    )
    write(modules, "program", PROGRAM)

    done = subprocess.run(
        [sys.executable, modules / "program.py", spec, home],
        env={**os.environ, "HOME": str(home), "XDG_CACHE_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stderr == ""
    *answers, folder = done.stdout.splitlines()
    assert answers == ["True []", "True True", "True"]
    assert not Path(folder).exists()
