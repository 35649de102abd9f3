"""What the documents tell to copy: it loads, and names what exists."""

from __future__ import annotations

import json
import re
import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_asyncexec import TaskTimeoutError
from pytest_asyncexec.__main__ import main
from pytest_asyncexec.contract.catalogue import RULES

ROOT = Path(__file__).parents[1]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SCHEMAS = ROOT / "pytest_asyncexec" / "evidence" / "schemas"
OPTIONS = set(
    re.findall(
        r'"(--asyncexec-\w+)"', (ROOT / "pytest_asyncexec/plugin/__init__.py").read_text("utf-8")
    )
)


def blocks(page: Path, language: str) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def steps(value: Any) -> Iterator[dict[str, Any]]:
    """Every step of a workflow, however little of the workflow is shown."""
    if isinstance(value, dict):
        if "uses" in value:
            yield value
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from steps(inner)


def commands(page: Path) -> list[list[str]]:
    """The lines for a shell, also those within workflows, in words."""
    text = "\n".join(blocks(page, "sh") + blocks(page, "yaml")).replace("\\\n", " ")
    lines = (line for line in text.splitlines() if "pytest" in line and "uses:" not in line)
    return [shlex.split(line, comments=True) for line in lines]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_workflows_load_and_pass_only_inputs_that_the_action_has(page: Path) -> None:
    for block in blocks(page, "yaml"):
        for step in steps(yaml.safe_load(block)):
            assert re.search(r"@(v\d|release/)", step["uses"])
            if "pytest-asyncexec@" in step["uses"]:
                assert {"plugin"} <= set(step["with"]) <= set(ACTION["inputs"])


def test_the_page_on_ci_shows_every_input_and_output() -> None:
    page = ROOT / "docs/ci.md"
    told = set(re.findall(r"^\| `([\w-]+)` \|", page.read_text(encoding="utf-8"), re.MULTILINE))
    assert told == {*ACTION["inputs"], *ACTION["outputs"]}
    used = [step for block in blocks(page, "yaml") for step in steps(yaml.safe_load(block))]
    assert any("pytest-asyncexec@" in step["uses"] for step in used)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_options_of_the_plugin_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert set(re.findall(r"--asyncexec-\w+", text)) <= OPTIONS


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_are_there_with_their_options(
    page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in commands(page):
        if "pytest_asyncexec" not in words:
            continue
        command, *arguments = words[words.index("pytest_asyncexec") + 1 :]
        with pytest.raises(SystemExit) as ended:
            main([command, "--help"])
        assert ended.value.code == 0
        known = capsys.readouterr().out
        for argument in arguments:
            if argument.startswith("--"):
                assert re.search(rf"{argument}\b", known), (command, argument)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_linked_to_are_there(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
        if ":" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_rules_that_are_named_are_there(page: Path) -> None:
    named = set(re.findall(r"\b[A-Z]{3}-\d\d\b", page.read_text(encoding="utf-8")))
    assert named <= set(RULES), named - set(RULES)


def test_how_many_tasks_there_are_is_told_by_the_command_alone() -> None:
    assert not re.search(r"\b\d+ tasks", (ROOT / "README.md").read_text(encoding="utf-8"))


def test_every_backend_names_the_rules_that_find_a_wrong_guess() -> None:
    text = (ROOT / "docs/backends.md").read_text(encoding="utf-8")
    _, *backends = re.split(r"^## ", text, flags=re.MULTILINE)
    for backend in backends:
        assert re.match(r".* \d+\.\d+", backend), backend  # its version
        assert re.search(r"\b[A-Z]{3}-\d\d\b", backend), backend


def test_every_field_of_a_certificate_and_of_a_report_is_explained() -> None:
    text = (ROOT / "docs/certificates.md").read_text(encoding="utf-8")
    certificate = json.loads((SCHEMAS / "certificate.schema.json").read_text(encoding="utf-8"))
    predicate = certificate["properties"]["predicate"]["properties"]
    extension = predicate.pop("pytest_asyncexec")["properties"]
    report = json.loads((SCHEMAS / "report.schema.json").read_text(encoding="utf-8"))
    target = report["properties"]["targets"]["items"]["properties"]
    rule = report["definitions"]["rule"]["properties"]
    fields = {f"predicate.{name}" for name in predicate}
    fields |= {*extension, *report["properties"], *target, *rule, *rule["finding"]["properties"]}
    named = set(re.findall(r"[`\"]([\w.]+)[`\"]", text))
    assert fields <= named, fields - named


def test_the_offline_signature_is_made_and_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [block] = blocks(ROOT / "docs/certificates.md", "python")
    monkeypatch.chdir(tmp_path)
    Path("MyExecutor.intoto.json").write_text('{"_type": "https://in-toto.io/Statement/v1"}')
    found: dict[str, Any] = {}
    exec(block, found)
    assert found["received"].payload == Path("MyExecutor.intoto.json").read_bytes()


async def test_the_synchronous_plugin_runs_tasks_and_is_stopped() -> None:
    [block] = blocks(ROOT / "docs/synchronous.md", "python")
    found: dict[str, Any] = {"__name__": "a_plugin"}
    exec(block, found)
    plugin = found["ProcessExecutor"]

    def task() -> int:
        print("printed")
        return 42

    outcome = await plugin().execute(task, [], {}, "dispatch", ".")
    assert outcome == (42, "printed\n", "", "COMPLETED")
    with pytest.raises(TaskTimeoutError):
        await plugin(time_limit=0.5).execute(time.sleep, [60], {}, "dispatch", ".")
    assert plugin.processes == {}
