"""Options that select are the user's to give; what a hook takes away leaves its rule open."""

from __future__ import annotations

import pytest

from small_suite import GOOD, executor, install, run, squeezed, verdict

pytest_plugins = ["pytester"]

_TAKES_RET = "[i for i in items if 'RET_01' not in i.name]"

HOOKS = {
    "silently": (
        f"def pytest_collection_modifyitems(items): items[:] = {_TAKES_RET}",
        "its check was taken from the list of tests; look at pytest_collection_modifyitems in "
        "hooks.py",
    ),
    "announced": (
        "def pytest_collection_modifyitems(config, items):\n"
        f"    kept = {_TAKES_RET}\n"
        "    config.hook.pytest_deselected(items=[i for i in items if i not in kept])\n"
        "    items[:] = kept\n",
        "deselected by a hook, hooks.py:3",
    ),
    "never collected": (
        "import pytest\n@pytest.hookimpl(tryfirst=True)\n"
        "def pytest_pycollect_makeitem(name):\n    return [] if 'RET_01' in name else None",
        "its check was never collected; look at pytest_pycollect_makeitem in hooks.py",
    ),
}


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """A folder with the small suite and its executors."""
    install(pytester)
    return pytester


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["alone", "workers"])
@pytest.mark.parametrize("hook", HOOKS)
def test_one_rule_taken_away_is_named(
    suite: pytest.Pytester, hook: str, workers: list[str]
) -> None:
    code, reason = HOOKS[hook]
    suite.makepyfile(hooks=code)

    result = run(suite, GOOD, *workers, plugins=["xdist", "hooks"])

    assert result.ret == 1
    assert verdict(result).startswith("incomplete, level core: 3 passed, 0 failed")
    assert f"not run RET-01 MUST {reason}" in squeezed(result)


@pytest.mark.parametrize(
    "arguments",
    [
        ["-k", "RET_01 or LIF_03"],
        ["-m", "asyncexec(rule='RET-01') or asyncexec(rule='LIF-03')"],
        ["--deselect", "asyncexec/test_alpha.py"],
        ["asyncexec/test_beta.py"],
    ],
    ids=lambda arguments: arguments[0],
)
@pytest.mark.parametrize("hook", ["silently", "announced"])
def test_what_an_option_would_have_selected_is_missed(
    suite: pytest.Pytester, hook: str, arguments: list[str]
) -> None:
    suite.makepyfile(hooks=HOOKS[hook][0])

    result = run(suite, GOOD, *arguments, plugins=["hooks"])

    assert result.ret == 1
    assert verdict(result).startswith("incomplete (selection), level none: 1 passed")
    assert f"not run RET-01 MUST {HOOKS[hook][1]}" in squeezed(result)


def test_what_was_never_collected_is_missed_in_a_selection_too(suite: pytest.Pytester) -> None:
    suite.makepyfile(hooks=HOOKS["never collected"][0])

    assert run(suite, GOOD, "asyncexec/test_beta.py", plugins=["hooks"]).ret == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["-k", "LIF_03"],
        ["-m", "asyncexec(rule='LIF-03')"],
        ["--deselect", "asyncexec/test_beta.py::test_RET_01_must_attempt_once"],
        ["asyncexec/test_alpha.py"],
    ],
    ids=lambda arguments: arguments[0],
)
@pytest.mark.parametrize("hook", ["silently", "announced"])
def test_what_nobody_asked_for_is_not_missed(
    suite: pytest.Pytester, hook: str, arguments: list[str]
) -> None:
    suite.makepyfile(hooks=HOOKS[hook][0])

    result = run(suite, GOOD, *arguments, plugins=["hooks"])

    assert result.ret == 0
    assert "RET-01" not in result.stdout.str()


def test_what_failed_last_is_selected_by_an_option(suite: pytest.Pytester) -> None:
    odd = executor(suite, LIF_03="fail")
    run(suite, odd)
    executor(suite)

    suite.makepyfile(hooks="def pytest_collection_modifyitems(items): items.clear()")
    taken = run(suite, odd, "--lf", plugins=["hooks"])
    again = run(suite, odd, "--lf")

    assert again.ret == 0
    assert verdict(again, "Odd").startswith("incomplete (selection), level none: 1 passed")
    assert taken.ret == 1
    assert "its check was taken from the list of tests" in squeezed(taken)


def test_a_run_that_was_cut_short_says_so(suite: pytest.Pytester) -> None:
    result = run(suite, executor(suite, CON_01="fail"), "-x")

    assert "3 rules" not in result.stdout.str()
    assert "LIF-03 MUST the run ended before its check: stopping after 1 fail" in squeezed(result)


def test_a_mark_changes_no_outcome(suite: pytest.Pytester) -> None:
    suite.makeini("[pytest]\nxfail_strict = true\n")
    suite.makeconftest(
        """
        import pytest
        def pytest_collection_modifyitems(items):
            for item in items:
                if "RET_01" in item.name:
                    item.add_marker(pytest.mark.xfail(reason="known"))
        """
    )

    result = run(suite, GOOD)

    assert result.ret == 1
    assert verdict(result).startswith("incomplete")
    assert "RET-01 MUST the check passed, but the test was then failed" in squeezed(result)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (
            "def pytest_runtest_protocol(item):\n    raise OSError('no space left')",
            "the run ended before its check: internal error, OSError: no space left",
        ),
        (
            "import pytest\ndef pytest_runtest_protocol(item):\n    pytest.exit('enough')",
            "the run ended before its check: enough",
        ),
    ],
    ids=["internal error", "exit"],
)
def test_what_ended_the_run_is_named(suite: pytest.Pytester, code: str, reason: str) -> None:
    suite.makepyfile(hooks=code)

    result = run(suite, GOOD, "--asyncexec-report=out", plugins=["hooks"])

    assert result.ret != 0
    told = (suite.path / "out" / "report.json").read_text(encoding="utf-8")
    assert reason in told
    assert "look at" not in told


@pytest.mark.parametrize("selected", [[], ["asyncexec/test_beta.py"]], ids=["all", "selection"])
def test_workers_that_die_before_anything_is_judged(
    suite: pytest.Pytester, selected: list[str]
) -> None:
    suite.makepyfile(
        deadly="""
        import os, signal
        from executors import Good
        class Deadly(Good):
            def __init__(self):
                os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    options = ["--asyncexec-plugin=deadly:Deadly", "-n", "2", "--max-worker-restart=0"]

    result = run(suite, *options, *selected, plugins=["xdist"])

    assert result.ret == 1
    assert verdict(result, "Deadly").startswith("incomplete")
