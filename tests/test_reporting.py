"""--asyncexec-report and --asyncexec-artifact: what is written, when, and what is refused."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import small_suite
from pytest_asyncexec.evidence import schemas
from pytest_asyncexec.evidence.certificate import EXTENSION
from small_suite import GOOD, executor, run, squeezed, verdict

pytest_plugins = ["pytester"]

FILES = {
    *("Good.intoto.json", "Good.sha256sums", "report.json", "report.html", "summary.md"),
    *("badge.svg", "badge.json"),
}


@pytest.fixture(autouse=True)
def _suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    small_suite.install(pytester)
    for name in ("GITHUB_STEP_SUMMARY", "GITHUB_RUN_ID"):
        monkeypatch.delenv(name, raising=False)


def read(pytester: pytest.Pytester, name: str = "report.json") -> Any:
    return json.loads((pytester.path / "out" / name).read_text(encoding="utf-8"))


def extension(pytester: pytest.Pytester, name: str = "Good") -> Any:
    return read(pytester, f"{name}.intoto.json")["predicate"][EXTENSION]


#: A factory in a module of its own, and a report on what it builds.
MADE = ("--asyncexec-plugin=mine:make", "--asyncexec-report=out")


def wheel_of_executors(pytester: pytest.Pytester, code: str = "") -> str:
    """The option that names a wheel of executors.py as it is, or with other code."""
    code = code or (pytester.path / "executors.py").read_text()
    name = "executors-1.0-py3-none-any.whl"
    with zipfile.ZipFile(pytester.path / name, "w") as archive:
        archive.writestr("executors.py", code)
        archive.writestr("executors-1.0.dist-info/METADATA", "Name: executors")
    return f"--asyncexec-artifact={name}"


# ---- what is written ---------------------------------------------------------------------


def test_all_reports_are_written(pytester: pytest.Pytester) -> None:
    result = run(pytester, GOOD, "--asyncexec-report=out")

    assert result.ret == 0
    assert set(os.listdir(pytester.path / "out")) == FILES
    assert f"report: {pytester.path / 'out' / 'report.html'}" in result.stdout.str()
    assert all((pytester.path / "out" / name).stat().st_size for name in FILES)


def test_report_and_certificate_fulfil_their_schemas(pytester: pytest.Pytester) -> None:
    odd = executor(pytester, CON_06="fail", RET_01="quote", LIF_03="could not run")
    run(pytester, GOOD, odd, "--asyncexec-report=out")

    for schema, names in (
        ("report", ["report.json"]),
        ("certificate", ["Good.intoto.json", "Odd.intoto.json"]),
        ("badge", ["badge.json", "Good.badge.json", "Odd.badge.json"]),
    ):
        for name in names:
            schemas.validate(schema, read(pytester, name))  # type: ignore[arg-type]
            validator = jsonschema.Draft7Validator(schemas.schema(schema))  # type: ignore[arg-type]
            validator.validate(read(pytester, name))


def test_the_report_tells_every_rule_of_every_target(pytester: pytest.Pytester) -> None:
    odd = executor(pytester, CON_06="fail", RET_01="quote", LIF_03="could not run")
    run(pytester, GOOD, odd, "--asyncexec-report=out")

    told = read(pytester)
    assert (told["verdict"], told["level"]) == ("nonconformant", None)
    good, bad = told["targets"]
    assert (good["target"], good["verdict"], good["level"]) == ("Good", "conformant", "hardened")
    assert [rule["outcome"] for rule in good["rules"]] == ["passed"] * 4
    assert bad["spec"] == "odd:Odd"
    assert {rule["id"]: rule["outcome"] for rule in bad["rules"]} == {
        "CON-01": "passed",
        "CON-06": "failed",
        "LIF-03": "could_not_run",
        "RET-01": "failed",
    }
    assert bad["rules"][1]["finding"]["seen"] == "CON-06 was broken"
    assert bad["rules"][1]["finding"]["required"] == "that it is kept"
    assert bad["rules"][3]["finding"]["seen"] == "it said \\x00 \\x1b[31m \\udc80"
    assert bad["rules"][2]["message"] == "there is no backend"


def test_xdist_makes_no_difference(pytester: pytest.Pytester) -> None:
    odd = executor(pytester, RET_01="fail", LIF_03="not applicable")

    def told(*options: str, **named: Any) -> Any:
        run(pytester, odd, "--asyncexec-report=out", *options, **named)
        found = read(pytester)
        for key in ("finished", "kit"):
            del found[key]
        for rule in found["targets"][0]["rules"]:
            del rule["seconds"]
        return found

    assert told() == told("-n", "2", plugins=["xdist.plugin"])


def test_a_selection_is_never_certified_as_conformant(pytester: pytest.Pytester) -> None:
    result = run(pytester, GOOD, "--asyncexec-report=out", "-k", "RET_01")

    assert result.ret == 0
    told = read(pytester)
    assert (told["verdict"], told["level"], told["selection"]) == ("incomplete", None, True)
    assert read(pytester, "Good.intoto.json")["predicate"]["result"] == "FAILED"
    assert extension(pytester)["notRun"].keys() == {"CON-01", "CON-06", "LIF-03"}


def test_waivers_stand_in_the_certificate(pytester: pytest.Pytester) -> None:
    pytester.makeini(
        "[pytest]\nasyncexec_waivers =\n  Odd RET-01 until 2999-01-31: issue 17, mended in 2.0\n"
    )
    odd = executor(pytester, RET_01="fail")
    result = run(pytester, odd, "--asyncexec-report=out")

    assert result.ret == 0
    assert read(pytester, "Odd.intoto.json")["predicate"]["warnedTests"] == ["RET-01"]
    reason = "issue 17, mended in 2.0 (until 2999-01-31)"
    assert extension(pytester, "Odd")["waived"] == {"RET-01": reason}
    assert extension(pytester, "Odd")["level"] == "core"


def test_a_run_that_is_cut_short_is_told_as_incomplete(pytester: pytest.Pytester) -> None:
    odd = executor(pytester, CON_01="fail")
    result = run(pytester, odd, "-x", "--asyncexec-report=out")

    assert result.ret == 1
    reason = extension(pytester, "Odd")["notRun"]["RET-01"]
    assert "the run ended before its check: stopping after 1 failures" in reason


def test_an_error_in_the_users_own_files_certifies_nothing(pytester: pytest.Pytester) -> None:
    # What an earlier run certified must not be taken for this one's.
    run(pytester, GOOD, "--asyncexec-report=out")
    pytester.makepyfile(test_mine="raise RuntimeError")
    result = run(pytester, GOOD, "--asyncexec-report=out")

    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert read(pytester)["verdict"] == "incomplete"
    assert extension(pytester)["verdict"] == "incomplete"


def test_an_error_at_the_end_of_a_run_loses_no_report(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(broken="def pytest_sessionfinish():\n    raise OSError('no space left')\n")
    run(pytester, GOOD, "--asyncexec-report=out", plugins=["broken"])

    assert read(pytester)["verdict"] == "conformant"


def test_what_an_earlier_run_left_is_removed(pytester: pytest.Pytester) -> None:
    run(pytester, GOOD, "--asyncexec-plugin=executors:Other", "--asyncexec-report=out")
    own = pytester.path / "out" / "notes.txt"
    own.write_text("mine")
    assert (pytester.path / "out" / "Other.intoto.json").exists()
    run(pytester, GOOD, "--asyncexec-report=out")

    assert set(os.listdir(pytester.path / "out")) == FILES | {"notes.txt"}


def test_what_an_earlier_run_found_is_gone_when_this_one_dies(pytester: pytest.Pytester) -> None:
    run(pytester, GOOD, "--asyncexec-report=out")
    pytester.makepyfile(death="import os\ndef pytest_runtest_logstart():\n    os._exit(1)\n")
    run(pytester, GOOD, "--asyncexec-report=out", plugins=["death"])

    assert os.listdir(pytester.path / "out") == []


@pytest.mark.parametrize("error", ["RuntimeError", "KeyboardInterrupt"])
def test_what_an_earlier_run_certified_is_gone_when_nothing_is_judged(
    pytester: pytest.Pytester, error: str
) -> None:
    pytester.makepyfile(mine="def make():\n    from executors import Good\n    return Good()\n")
    run(pytester, *MADE, wheel_of_executors(pytester))
    assert (pytester.path / "out" / "make.intoto.json").exists()

    pytester.makepyfile(broken=f"def pytest_collection_modifyitems():\n    raise {error}\n")
    run(pytester, *MADE, wheel_of_executors(pytester), plugins=["broken"])
    assert read(pytester)["verdict"] == "incomplete"
    assert extension(pytester, "make")["verdict"] == "incomplete"


def test_files_of_others_are_left_alone(pytester: pytest.Pytester) -> None:
    folder = pytester.mkdir("out")
    (folder / "report.json").write_text('{"targets": [{"target": "logo"}]}')
    (folder / "logo.badge.svg").write_text("a logo")
    (folder / "other.intoto.json").write_text('{"predicate": {}}')
    run(pytester, GOOD, "--asyncexec-report=out")

    assert {"logo.badge.svg", "other.intoto.json"} <= set(os.listdir(folder))


@pytest.mark.parametrize(
    ("mistake", "files"),
    [
        (("asyncexec", "test_typo.py"), {}),
        (("--asyncexec-level=highest",), {}),
        (("--no-such-option",), {}),
        (("--asyncexec-plugin=executors:Missing",), {}),
        ((), {"conftest.py": "raise RuntimeError"}),
        ((), {"pytest.ini": "[pytest]\nasyncexec_waivers =\n  RET-99: there is none\n"}),
        (("--asyncexec-artifact=missing.whl",), {}),
        (("-p", "no:asyncexec-ending"), {}),
    ],
    ids=["path", "level", "option", "target", "conftest", "waiver", "artifact", "blocked"],
)
def test_a_run_that_ends_by_a_mistake_leaves_no_earlier_report(
    pytester: pytest.Pytester, mistake: Sequence[str], files: Mapping[str, str]
) -> None:
    run(pytester, GOOD, "--asyncexec-report=out")
    assert read(pytester)["verdict"] == "conformant"
    for name, text in files.items():
        (pytester.path / name).write_text(text, encoding="utf-8")
    result = run(pytester, GOOD, "--asyncexec-report=out", *mistake)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert os.listdir(pytester.path / "out") == []


@pytest.mark.parametrize(
    "option", ["--collect-only", "--fixtures", "--fixtures-per-test", "--help", "--asyncexec-rules"]
)
def test_what_runs_nothing_leaves_an_earlier_report(pytester: pytest.Pytester, option: str) -> None:
    run(pytester, GOOD, "--asyncexec-report=out")
    run(pytester, GOOD, "--asyncexec-report=out", option)

    assert read(pytester)["verdict"] == "conformant"


def test_a_class_that_pythons_own_library_made_is_certified_where_it_was_named(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(
        dynamic="import types\nfrom executors import Good\n"
        "Dynamic = types.new_class('Dynamic', (Good,))\n"
        "def make(): return types.new_class('Made', (Good,))()\n"
    )
    targets = [f"--asyncexec-plugin=dynamic:{name}" for name in ("Dynamic", "make")]
    result = run(pytester, *targets, "--asyncexec-report=out")

    listing = (pytester.path / "out" / "Dynamic.sha256sums").read_text(encoding="utf-8")
    assert listing.endswith("  dynamic.py\n")
    assert result.ret == 1
    said = squeezed(result)
    assert "no certificate of make: what dynamic:make builds says that it is of the module" in said
    assert not (pytester.path / "out" / "make.intoto.json").exists()


def test_a_waiver_that_is_not_needed_is_certified_by_nothing(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nasyncexec_waivers =\n  RET-01: issue 17\n")
    result = run(pytester, GOOD, "--asyncexec-report=out")

    assert result.ret == 1
    assert "no certificate of Good: RET-01 is waived and passes" in squeezed(result)
    assert not (pytester.path / "out" / "Good.intoto.json").exists()
    objection = "RET-01 is waived and passes: remove its waiver from asyncexec_waivers."
    assert read(pytester)["targets"][0]["objections"] == [objection]
    for name in ("report.html", "summary.md"):
        text = (pytester.path / "out" / name).read_text(encoding="utf-8")
        assert "RET-01 is waived and passes" in text


def test_a_check_that_was_not_left_in_order_has_not_passed(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        "import pytest\n"
        "@pytest.fixture(autouse=True)\n"
        "def broken(request):\n"
        "    yield\n"
        "    assert 'RET_01' not in request.node.name\n"
    )
    result = run(pytester, GOOD, "--asyncexec-report=out")

    assert result.ret == 1
    assert extension(pytester)["verdict"] == "incomplete"
    reason = extension(pytester)["notRun"]["RET-01"]
    assert reason.startswith("its check was not left in order: ")


def test_a_name_of_any_length(pytester: pytest.Pytester) -> None:
    name = "A" * 240
    pytester.makepyfile(long=f"from executors import Good\nclass {name}(Good): ...\n")
    result = run(pytester, f"--asyncexec-plugin=long:{name}", "--asyncexec-report=out")

    assert result.ret == 0
    assert f"{name[:50]}.intoto.json" in os.listdir(pytester.path / "out")


def test_two_targets_with_the_same_name(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        more="import executors\n\nclass Good(executors.Good): ...\n\nclass GOOD(Good): ...\n"
    )
    more = ("--asyncexec-plugin=more:Good", "--asyncexec-plugin=more:GOOD")
    run(pytester, GOOD, *more, "--asyncexec-report=out")

    # Some file systems do not tell GOOD from Good.
    certificates = {n for n in os.listdir(pytester.path / "out") if n.endswith(".intoto.json")}
    assert certificates == {
        "executors-Good.intoto.json",
        "more-Good.intoto.json",
        "GOOD.intoto.json",
    }
    names = [target["target"] for target in read(pytester)["targets"]]
    assert names == ["executors:Good", "more:Good", "GOOD"]


def test_nothing_is_written_when_tests_are_only_collected(pytester: pytest.Pytester) -> None:
    run(pytester, GOOD, "--asyncexec-report=out", "--collect-only")

    assert os.listdir(pytester.path / "out") == []


# ---- GitHub ------------------------------------------------------------------------------


def test_the_summary_is_appended_to_that_of_the_step(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = pytester.path / "step.md"
    step.write_text("# before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(step))
    run(pytester, GOOD, "--asyncexec-report=out")

    written = (pytester.path / "out" / "summary.md").read_text(encoding="utf-8")
    assert step.read_text(encoding="utf-8") == f"# before\n{written}"


def test_a_summary_that_cannot_be_appended_is_told(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(pytester.path))
    result = run(pytester, GOOD, "--asyncexec-report=out")

    assert result.ret == 1
    assert "GITHUB_STEP_SUMMARY cannot be written" in squeezed(result)


def test_the_address_of_the_run_is_told(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://github.example")
    monkeypatch.setenv("GITHUB_REPOSITORY", "me/mypkg")
    monkeypatch.setenv("GITHUB_RUN_ID", "17")
    run(pytester, GOOD, "--asyncexec-report=out")

    url = "https://github.example/me/mypkg/actions/runs/17"
    assert read(pytester)["url"] == url
    assert read(pytester, "Good.intoto.json")["predicate"]["url"] == url


# ---- what a certificate is bound to ------------------------------------------------------


def test_without_a_wheel_it_is_bound_to_what_is_installed(pytester: pytest.Pytester) -> None:
    run(pytester, GOOD, "--asyncexec-report=out")

    (subject,) = read(pytester, "Good.intoto.json")["subject"]
    assert subject["name"] == "executors"
    assert subject["digest"].keys() == {"sha256"}
    (inner,) = extension(pytester)["subject"]
    assert inner["digest"] == {**subject["digest"], "dirHash": subject["digest"]["sha256"]}
    # What was signed is a file that a tool which verifies can be given.
    listing = (pytester.path / "out/Good.sha256sums").read_bytes()
    assert hashlib.sha256(listing).hexdigest() == subject["digest"]["sha256"]
    assert listing.endswith(b"  executors.py\n")


def test_with_a_wheel_it_is_bound_to_that(pytester: pytest.Pytester) -> None:
    result = run(pytester, GOOD, "--asyncexec-report=out", wheel_of_executors(pytester))

    assert result.ret == 0
    (subject,) = read(pytester, "Good.intoto.json")["subject"]
    assert subject["name"] == "executors-1.0-py3-none-any.whl"
    assert subject["digest"].keys() == {"sha256"}
    assert not (pytester.path / "out/Good.sha256sums").exists()


def test_a_factory_is_bound_by_the_class_that_it_builds(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(mine="from executors import Good\n\ndef make():\n    return Good()\n")
    result = run(pytester, *MADE, wheel_of_executors(pytester))

    assert result.ret == 0
    told = read(pytester, "make.intoto.json")
    assert told["subject"][0]["name"] == "executors-1.0-py3-none-any.whl"
    kit, factory = told["predicate"]["configuration"]
    assert kit["name"].startswith("pytest-asyncexec-")
    assert factory["name"] == "factory mine:make"
    # One in the executor's own package is a part of what is certified.
    own = (pytester.path / "executors.py").read_text() + "\ndef make():\n    return Good()\n"
    (pytester.path / "executors.py").write_text(own)
    artifact = wheel_of_executors(pytester, own)
    run(pytester, "--asyncexec-plugin=executors:make", "--asyncexec-report=out", artifact)
    assert len(read(pytester, "make.intoto.json")["predicate"]["configuration"]) == 1


def test_a_class_that_builds_something_else_is_not_certified(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        front="import other\nclass Good:\n    run = 1\n    def __new__(cls):\n"
        "        return other.X()\n",
        other="import executors\nclass X(executors.Good): ...\n",
    )
    name = "front-1.0-py3-none-any.whl"
    with zipfile.ZipFile(pytester.path / name, "w") as archive:
        archive.writestr("front.py", (pytester.path / "front.py").read_text())
    options = ("--asyncexec-plugin=front:Good", f"--asyncexec-artifact={name}")
    result = run(pytester, *options, "--asyncexec-report=out")

    assert result.ret == 1
    assert "does not hold other, which is judged" in squeezed(result)


def test_a_factory_that_imports_late_is_bound_by_its_class_too(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(mine="def make():\n    from executors import Good\n    return Good()\n")
    run(pytester, *MADE, "-n", "2", plugins=["xdist.plugin"])

    assert read(pytester, "make.intoto.json")["subject"][0]["name"] == "executors"


def test_a_class_whose_module_is_none_is_bound_by_where_it_was_named(
    pytester: pytest.Pytester,
) -> None:
    # As Covalent's own executors are, which are loaded from files.
    pytester.makepyfile(
        mine="from executors import Good\n"
        "class Mine(Good):\n    __module__ = '/some/where/mine'\n"
        "def make():\n    return Mine()\n"
    )
    result = run(pytester, "--asyncexec-plugin=mine:Mine", "--asyncexec-report=out")

    assert result.ret == 0
    assert read(pytester, "Mine.intoto.json")["subject"][0]["name"] == "mine"
    result = run(pytester, "--asyncexec-plugin=mine:make", "--asyncexec-report=out")
    assert result.ret == 1
    assert "no certificate of make: the module '/some/where/mine'" in squeezed(result)


def test_a_factory_that_builds_something_else_is_not_certified(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        mine="from executors import Good\nclass Mine(Good): ...\ndef make():\n    return Mine()\n"
    )
    result = run(pytester, *MADE, wheel_of_executors(pytester))

    assert verdict(result, "make").startswith("conformant")
    assert result.ret == 1
    said = squeezed(result)
    assert "no certificate of make: executors-1.0-py3-none-any.whl does not hold mine" in said
    assert not (pytester.path / "out" / "make.intoto.json").exists()
    assert (pytester.path / "out" / "report.html").exists()


def test_a_factory_that_is_no_function_of_its_own(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        mine="import functools\nfrom executors import Good\nm = functools.partial(Good)\n"
    )
    run(pytester, "--asyncexec-plugin=mine:m", "--asyncexec-report=out")

    told = read(pytester, "m.intoto.json")
    assert told["subject"][0]["name"] == "executors"
    digest = hashlib.sha256((pytester.path / "mine.py").read_bytes()).hexdigest()
    assert told["predicate"]["configuration"][1]["digest"] == {"sha256": digest}


def test_a_factory_that_builds_nothing_is_not_certified_for_a_wheel(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(mine="def make():\n    raise KeyError('QUEUE')\n")
    result = run(pytester, *MADE, wheel_of_executors(pytester))

    assert result.ret == 1
    assert "no certificate of make: nothing was built" in squeezed(result)


# ---- what is refused ---------------------------------------------------------------------


def _refused(result: pytest.RunResult) -> str:
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "Traceback" not in result.stderr.str() + result.stdout.str()
    return " ".join(result.stderr.str().split())


def test_a_wheel_of_other_code_is_refused(pytester: pytest.Pytester) -> None:
    artifact = wheel_of_executors(pytester, "class Good: ...")

    said = _refused(run(pytester, GOOD, "--asyncexec-report=out", artifact))
    assert "executors-1.0-py3-none-any.whl is not what is judged: executors.py in it is" in said
    assert "pip install --force-reinstall --no-deps" in said


def test_a_wheel_that_is_not_there_is_refused(pytester: pytest.Pytester) -> None:
    missing = "--asyncexec-artifact=dist/no-1.0-py3-none-any.whl"

    assert "is not there" in _refused(run(pytester, GOOD, "--asyncexec-report=out", missing))


def test_a_wheel_without_a_report_is_refused(pytester: pytest.Pytester) -> None:
    said = _refused(run(pytester, GOOD, wheel_of_executors(pytester)))

    assert "Add --asyncexec-report=DIR" in said


def test_a_report_about_nobody_is_refused(pytester: pytest.Pytester) -> None:
    said = _refused(run(pytester, "--asyncexec-report=out"))

    assert "--asyncexec-report asks something of the executor conformance suite" in said


@pytest.mark.parametrize("value", ["", "  "])
def test_an_empty_path_is_refused(pytester: pytest.Pytester, value: str) -> None:
    said = _refused(run(pytester, GOOD, f"--asyncexec-report={value}"))

    assert "--asyncexec-report: a path is expected" in said


def test_a_folder_that_cannot_be_written_to_is_refused(pytester: pytest.Pytester) -> None:
    # A file where the folder should be: root may write anywhere else.
    (pytester.path / "out").write_text("in the way")

    said = _refused(run(pytester, GOOD, "--asyncexec-report=out"))
    assert "out cannot be written to" in said
    said = _refused(run(pytester, GOOD, "--asyncexec-report=out/deeper"))
    assert "deeper cannot be written to" in said


def test_a_report_that_cannot_be_written_in_the_end_fails_the_run(
    pytester: pytest.Pytester,
) -> None:
    # A folder in the place of one of the files, made while the suite runs.
    pytester.makepyfile(
        late="import os\ndef pytest_runtestloop():\n    os.makedirs('out/report.html')\n"
    )
    result = run(pytester, GOOD, "--asyncexec-report=out", plugins=["late"])

    assert result.ret == 1
    assert "the report is not written" in squeezed(result)
    assert "Traceback" not in result.stdout.str()
    left = set(os.listdir(pytester.path / "out"))
    assert not {name for name in left if name.startswith(".")}
    assert "report.json" not in left


def test_a_stale_report_does_not_outlive_one_that_cannot_be_written(
    pytester: pytest.Pytester,
) -> None:
    run(pytester, GOOD, "--asyncexec-report=out")
    html = pytester.path / "out" / "report.html"
    html.unlink()
    html.mkdir()
    odd = executor(pytester, RET_01="fail")
    result = run(pytester, odd, "--asyncexec-report=out")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert not (pytester.path / "out" / "Good.intoto.json").exists()
    result.stderr.fnmatch_lines(["*an earlier report is still there: *report.html*"])


def test_paths_are_those_of_where_the_run_was_started(pytester: pytest.Pytester) -> None:
    inner = pytester.mkdir("inner")
    Path(inner / "conftest.py").write_text("import os\nos.chdir('/')\n")
    run(pytester, GOOD, "--asyncexec-report=out", "inner", "asyncexec")

    assert (pytester.path / "out" / "report.json").exists()


def test_a_plugin_that_a_conftest_loads_leaves_no_earlier_certificate(
    pytester: pytest.Pytester,
) -> None:
    run(pytester, GOOD, "--asyncexec-report=out")
    pytester.makeconftest("pytest_plugins = ['pytest_asyncexec.plugin', 'small_suite']\n")
    pytester.makeini("[pytest]\nasyncexec_waivers =\n  RET-01: issue 17\n")
    result = pytester.runpytest_subprocess(
        "--disable-plugin-autoload", GOOD, "--asyncexec-report=out"
    )

    assert "no certificate of Good: RET-01 is waived and passes" in squeezed(result)
    assert not (pytester.path / "out" / "Good.intoto.json").exists()
