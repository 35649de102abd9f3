"""action.yml: its form, and its script, really run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
JUDGE, UPLOAD = ACTION["runs"]["steps"]

LOCAL = "pytest_asyncexec.reference_executor:LocalExecutor"
WRONG = "pytest_asyncexec.broken.construction:Greets"

#: What expressions in `env:` mean besides the inputs.
_CONTEXT = {"github.job": "judge", "strategy.job-index": "3", "join(matrix.*, '-')": "linux-3.11"}


@dataclass
class Ran:
    """What the steps after the action, and the reader of the log, see."""

    status: int
    log: str
    outputs: dict[str, str]
    summary: str


class Runner:
    """Plays GitHub's runner towards the script, in an empty folder."""

    def __init__(self, bash: str, workspace: Path, temporary: Path) -> None:
        self.bash = bash
        self.workspace = workspace
        self.temporary = temporary
        self.environment = {**os.environ, "GITHUB_ACTION_PATH": str(ROOT)}
        self.environment.pop("PYTEST_ADDOPTS", None)
        self.put_first(Path(sys.executable).parent)

    def put_first(self, folder: Path) -> None:
        """What lies in this folder is found before anything else."""
        self.environment["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"

    def run(self, **inputs: str) -> Ran:
        """Run the step with these inputs, whose names have `_` for `-`."""
        given = {name.replace("_", "-"): value for name, value in inputs.items()}
        files = {name: self.temporary / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        for file in files.values():
            file.write_text("")
        script = self.temporary / "script.sh"
        script.write_text(JUDGE["run"], encoding="utf-8", newline="\n")
        ran = subprocess.run(
            [self.bash, "--noprofile", "--norc", "-eo", "pipefail", str(script)],
            cwd=self.workspace,
            env={
                **self.environment,
                **{name: str(file) for name, file in files.items()},
                **{name: _evaluated(value, given) for name, value in JUDGE["env"].items()},
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
        )
        lines = files["GITHUB_OUTPUT"].read_text(encoding="utf-8").splitlines()
        outputs = dict(line.split("=", 1) for line in lines)
        summary = files["GITHUB_STEP_SUMMARY"].read_text(encoding="utf-8")
        return Ran(ran.returncode, ran.stdout, outputs, summary)


def _evaluated(value: str, given: dict[str, str]) -> str:
    def of(match: re.Match[str]) -> str:
        expression = match[1].strip()
        name = expression.removeprefix("inputs.")
        if name == expression:
            return _CONTEXT[expression]
        default: str = ACTION["inputs"][name].get("default", "")
        return given.get(name, default)

    return re.sub(r"\$\{\{(.*?)\}\}", of, value)


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    bash = shutil.which("bash")
    if bash is None or sys.platform == "win32":
        pytest.skip("there is no bash here, or not the one that GitHub's runner has")
    for name in ("workspace", "temporary"):
        (tmp_path / name).mkdir()
    return Runner(bash, tmp_path / "workspace", tmp_path / "temporary")


# Its form.


def test_it_has_the_inputs_and_outputs_that_are_documented() -> None:
    names = ["plugin", "level", "contract", "args", "artifact", "report-dir"]
    assert list(ACTION["inputs"]) == names
    assert list(ACTION["outputs"]) == ["verdict", "level"]
    for name, told in {**ACTION["inputs"], **ACTION["outputs"]}.items():
        assert told["description"].endswith("."), name


def test_only_the_executors_have_to_be_named() -> None:
    inputs = ACTION["inputs"]
    assert [name for name, told in inputs.items() if told["required"]] == ["plugin"]
    assert [name for name, told in inputs.items() if "default" not in told] == ["plugin"]


def test_every_input_reaches_the_script() -> None:
    told = " ".join(JUDGE["env"].values())
    assert set(re.findall(r"inputs\.([\w-]+)", told)) == set(ACTION["inputs"])
    for name in JUDGE["env"]:
        assert re.search(rf"\$\{{?{name}\b|environ\[\"{name}\"\]", JUDGE["run"]), name


def test_no_input_is_ever_a_part_of_the_script() -> None:
    assert "${{" not in JUDGE["run"]


def test_every_output_is_one_that_the_script_writes() -> None:
    written = set(re.findall(r'echo "([\w-]+)=', JUDGE["run"]))
    for name, told in ACTION["outputs"].items():
        assert told["value"] == f"${{{{ steps.{JUDGE['id']}.outputs.{name} }}}}"
        assert name in written
    assert set(re.findall(r"outputs\.([\w-]+)", str(UPLOAD))) <= written


def test_the_report_is_uploaded_also_when_the_step_failed() -> None:
    assert "!cancelled()" in UPLOAD["if"]
    assert re.fullmatch(r"actions/upload-artifact@v\d+", UPLOAD["uses"])


def test_the_projects_own_workflow_uses_it_with_inputs_that_it_has() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    given: list[dict[str, Any]] = [step["with"] for step in steps if step.get("uses") == "./"]
    assert given
    for inputs in given:
        assert set(inputs) <= set(ACTION["inputs"])
        assert "plugin" in inputs
    assert [step for step in steps if step.get("run") == ".ci/run"]
    # What is not green is not shown as green.
    assert "continue-on-error" not in str(workflow)
    assert workflow["permissions"] == {"contents": "read"}


# Its script.


def test_a_right_executor_passes(runner: Runner) -> None:
    runner.environment["PYTHONPATH"] = str(ROOT / "tests")
    quick = "--asyncexec-profile=quick"
    ran = runner.run(plugin="right.workers:make_warm_workers", level="hardened", args=quick)
    assert ran.status == 0, ran.log
    assert ran.outputs == {
        "verdict": "conformant",
        "level": "hardened",
        "report": "asyncexec-report",
        "name": "asyncexec-report-judge-3-linux-3.11",
    }
    assert "make_warm_workers" in ran.summary
    report = runner.workspace / "asyncexec-report"
    assert (report / "make_warm_workers.intoto.json").is_file()
    # Every line of what is uploaded names something that is there.
    for line in UPLOAD["with"]["path"].split("\n")[:-1]:
        pattern = _evaluated(line, {})
        assert list(runner.workspace.glob(pattern)), pattern


def test_a_wrong_executor_fails(runner: Runner) -> None:
    ran = runner.run(plugin=WRONG, args="asyncexec/test_construction.py", report_dir="out")
    assert ran.status == 1, ran.log
    assert ran.outputs["verdict"] == "nonconformant"
    assert ran.outputs["level"] == "none"
    assert ran.outputs["report"] == "out"
    assert "Greets" in ran.summary
    # Only what was selected ran.
    told = json.loads((runner.workspace / "out/report.json").read_text(encoding="utf-8"))
    ran_rules = {r["id"][:3] for r in told["targets"][0]["rules"] if r["outcome"] == "failed"}
    assert ran_rules == {"CON"}


def test_of_several_executors_the_worst_counts(runner: Runner) -> None:
    selection = "-m \"asyncexec(rule='CON-01')\""
    ran = runner.run(plugin=f"{LOCAL}\n{WRONG}\n", args=selection)
    assert (ran.status, ran.outputs["verdict"]) == (1, "nonconformant"), ran.log
    told = json.loads((runner.workspace / "asyncexec-report/report.json").read_bytes())
    assert [target["verdict"] for target in told["targets"]] == ["incomplete", "nonconformant"]


def test_arguments_are_quoted_as_for_a_shell_and_added_to_those_of_the_caller(
    runner: Runner,
) -> None:
    runner.environment["PYTEST_ADDOPTS"] = "--asyncexec-profile=quick"
    ran = runner.run(plugin=LOCAL, args="-m \"asyncexec(rule='CON-01')\"\n-rA")
    assert ran.status == 0, ran.log
    assert "profile quick" in ran.log
    assert re.search(r"PASSED asyncexec/test_construction\.py::\w*CON_01", ran.log)
    assert "CON_02" not in ran.log
    # A selection never certifies anything.
    assert ran.outputs["verdict"] == "incomplete"


def test_a_question_that_pytest_does_not_understand(runner: Runner) -> None:
    ran = runner.run(plugin=LOCAL, level="harder")
    assert ran.status == 4
    assert "there is no 'harder'" in ran.log
    assert (ran.outputs["verdict"], ran.outputs["level"]) == ("incomplete", "none")
    assert ran.outputs["report"] == ""


def test_the_contract_is_passed_on(runner: Runner) -> None:
    ran = runner.run(plugin=LOCAL, contract="1.0", args="-m \"asyncexec(rule='CON-01')\"")
    assert ran.status == 0, ran.log
    assert "executor contract 1.0" in ran.log

    refused = runner.run(plugin=LOCAL, contract="1.2")
    assert refused.status == 4
    assert "this kit has no contract '1.2'; it knows 1.0, 1.1" in refused.log


def test_the_report_of_an_earlier_step_is_not_taken_for_this_ones(runner: Runner) -> None:
    first = runner.run(plugin=WRONG, args="asyncexec/test_construction.py")
    assert first.outputs["verdict"] == "nonconformant"

    then = runner.run(plugin="there.is:None", args="asyncexec/test_construction.py")
    assert then.status == 4
    assert then.outputs["verdict"] == "incomplete"
    assert then.outputs["report"] == ""

    again = runner.run(plugin=WRONG, args="asyncexec/test_construction.py")
    assert again.outputs == first.outputs


def test_a_run_that_judges_nothing_is_not_green(runner: Runner) -> None:
    ran = runner.run(plugin=LOCAL, args="--collect-only -q")
    assert ran.status == 1
    assert "Nothing was judged" in ran.log
    assert ran.outputs["verdict"] == "incomplete"


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"plugin": " \n"}, "plugin is empty"),
        ({"plugin": f"{LOCAL} --version"}, "plugin: --version is an option"),
        ({"plugin": LOCAL, "args": "-k 'one"}, "args cannot be split into words"),
        ({"plugin": LOCAL, "report_dir": ""}, "report-dir is empty"),
        ({"plugin": LOCAL, "artifact": "dist/*.whl\n"}, "artifact: no file matches dist/*.whl."),
    ],
)
def test_inputs_that_make_no_sense(runner: Runner, inputs: dict[str, str], said: str) -> None:
    ran = runner.run(**inputs)
    assert ran.status == 4, ran.log
    # One line, which GitHub shows at the top of the page.
    [line] = ran.log.splitlines()
    assert line.startswith(f"::error title=pytest-asyncexec::{said}")
    assert (ran.outputs["verdict"], ran.outputs["level"]) == ("incomplete", "none")


def test_a_glob_that_matches_two_wheels(runner: Runner) -> None:
    for name in ("a b.whl", "c.whl"):
        (runner.workspace / name).touch()
    ran = runner.run(plugin=LOCAL, artifact="*.whl")
    assert ran.status == 4
    assert "artifact: 2 files match, a b.whl c.whl. Expected is exactly one" in ran.log


def test_no_input_is_read_as_a_command(runner: Runner) -> None:
    evil = '$(touch owned)`touch owned`";touch owned;#'
    for inputs in (
        {"plugin": evil},
        {"plugin": LOCAL, "artifact": evil},
        {"plugin": LOCAL, "level": evil},
        {"plugin": LOCAL, "args": evil},
    ):
        ran = runner.run(**inputs)
        assert ran.status == 4, ran.log
        assert not list(runner.workspace.glob("**/owned"))


def test_the_wheel_is_installed_and_the_certificate_speaks_of_it(
    runner: Runner, tmp_path: Path
) -> None:
    # Everything that is installed here can be imported there.
    site = _other_environment(runner, tmp_path)
    here = sysconfig.get_path("purelib")
    (site / "here.pth").write_text(f"import site; site.addsitedir({here!r})\n")

    # The same name and version twice, and other code.
    old, new = tmp_path / "old", runner.workspace / "my dist"
    _build_tiny_wheel(old, "retries")
    _build_tiny_wheel(new, "lifecycle")
    first = runner.run(plugin="tiny:Executor", artifact=f"{old}/*.whl", args="-k CON_01")
    assert first.status == 0, first.log

    then = runner.run(plugin="tiny:Executor", artifact="my dist/*.whl", args="-k CON_01")
    assert then.status == 0, then.log
    told = json.loads((runner.workspace / "asyncexec-report/Executor.intoto.json").read_bytes())
    assert [subject["name"] for subject in told["subject"]] == ["tiny-1.0-py3-none-any.whl"]
    assert (site / "tiny.py").read_text(encoding="utf-8") == _TINY.format(why="lifecycle")


def test_the_kit_comes_from_the_checkout_of_the_action(runner: Runner, tmp_path: Path) -> None:
    site = _other_environment(runner, tmp_path)
    # It says what it was asked for, and installs nothing.
    (site / "pip.py").write_text("import sys; print('pip:', *sys.argv[1:])")
    # Neither what lies in the folder of the job counts as installed, nor does it get in the way.
    (runner.workspace / "pytest_asyncexec").mkdir()
    (runner.workspace / "json.py").write_text("raise SystemExit(3)")
    ran = runner.run(plugin=LOCAL)
    assert f"pip: install {ROOT}" in ran.log.splitlines()
    assert "No module named pytest" in ran.log
    assert ran.status == 1
    assert ran.outputs["verdict"] == "incomplete"


def _other_environment(runner: Runner, tmp_path: Path) -> Path:
    """Let the script run in an environment without any package, whose folder is returned."""
    place = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
    scheme = {"base": str(place), "platbase": str(place)}
    runner.put_first(Path(sysconfig.get_path("scripts", "venv", scheme)))
    return Path(sysconfig.get_path("purelib", "venv", scheme))


_TINY = """\
# {why}
from pytest_asyncexec.reference_executor import LocalExecutor


class Executor(LocalExecutor):
    pass
"""


def _build_tiny_wheel(folder: Path, why: str) -> None:
    folder.mkdir()
    info = "tiny-1.0.dist-info"
    files = {
        "tiny.py": _TINY.format(why=why),
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in (*files, f"{info}/RECORD"))
    with zipfile.ZipFile(folder / "tiny-1.0-py3-none-any.whl", "w") as archive:
        for name, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(name, text)
