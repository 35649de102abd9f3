"""The pytest plugin: its options, and nothing that costs anything before one of them is used."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare which executors to judge."""
    group = parser.getgroup("asyncexec", "conformance of asynchronous executors")
    group.addoption(
        "--asyncexec-plugin",
        action="append",
        default=[],
        dest="asyncexec_plugin",
        metavar="TARGET",
        help="Judge an executor by the executor contract: pkg.mod:Class, pkg.mod.Class, or "
        "pkg.mod:function for a factory without arguments. May be given several times.",
    )
    group.addoption(
        "--asyncexec-profile",
        default=None,
        dest="asyncexec_profile",
        metavar="PROFILE",
        help="How much each check tries: quick, default or thorough. Every rule is judged in each.",
    )
    group.addoption(
        "--asyncexec-level",
        default=None,
        dest="asyncexec_level",
        metavar="LEVEL",
        help="Demand this level, core, resilient or hardened: below it the run fails, and rules "
        "above it are judged without failing it.",
    )
    group.addoption(
        "--asyncexec-contract",
        default=None,
        dest="asyncexec_contract",
        metavar="VERSION",
        help="Judge by this version of the executor contract, 1.0 or 1.1; else by the newest.",
    )
    group.addoption(
        "--asyncexec-report",
        default=None,
        dest="asyncexec_report",
        metavar="DIR",
        help="Write report.html, report.json, summary.md, a badge and a certificate for each "
        "executor into this folder.",
    )
    group.addoption(
        "--asyncexec-artifact",
        default=None,
        dest="asyncexec_artifact",
        metavar="WHEEL",
        help="The wheel that the certificate speaks of: it has to hold the very code that is "
        "judged.",
    )
    group.addoption(
        "--asyncexec-rules",
        nargs="?",
        const="",
        default=None,
        dest="asyncexec_rules",
        metavar="RULE",
        help="Print the rules of the executor contract and exit; with an id, such as RET-02, all "
        "about one of them, with a chapter, such as RET, its rules.",
    )
    parser.addini(
        "asyncexec_plugins",
        "Executors to judge when --asyncexec-plugin is not given, one per line",
        type="linelist",
        default=[],
    )
    parser.addini("asyncexec_profile", "Default of --asyncexec-profile", default="")
    parser.addini("asyncexec_level", "Default of --asyncexec-level", default="")
    parser.addini("asyncexec_contract", "Default of --asyncexec-contract", default="")
    parser.addini(
        "asyncexec_waivers",
        "Rules that an executor may break for now, one per line: "
        "[TARGET] RULE-ID [until YYYY-MM-DD]: reason",
        type="linelist",
        default=[],
    )


#: Options that make no sense without an executor to judge.
_DEMANDS = (
    *("asyncexec_profile", "asyncexec_level", "asyncexec_contract"),
    *("asyncexec_report", "asyncexec_artifact"),
)


def asked_of(config: pytest.Config) -> list[str]:
    """The options on the command line that ask something of the suite, as they are written."""
    return [f"--{d.replace('_', '-')}" for d in _DEMANDS if config.getoption(d) is not None]


#: Options by which nothing is run.
_RUNS_NOTHING = (
    *("help", "version", "markers", "collectonly", "showfixtures", "show_fixtures_per_test"),
    "asyncexec_rules",
)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Take away what an earlier run has certified, before anything can end this one."""
    given = early_config.known_args_namespace
    folder = early_config.invocation_params.dir / (given.asyncexec_report or "")
    nothing = any(getattr(given, name, None) not in (None, False, 0) for name in _RUNS_NOTHING)
    if nothing or not (given.asyncexec_report or "").strip() or not folder.is_dir():
        return
    from ..report.folder import FolderError, clear_folder

    try:
        clear_folder(folder)
    except FolderError as error:
        raise pytest.UsageError(
            f"--asyncexec-report: an earlier report is still there: {error}\n  Remove it, or name "
            "another folder."
        ) from None


def pytest_cmdline_main(config: pytest.Config) -> pytest.ExitCode | None:
    """Print the catalogue instead of running anything, if that was asked for."""
    word = config.getoption("asyncexec_rules")
    if word is None or config.getoption("help"):
        return None
    from ..contract.catalogue import UnknownRule
    from ..report.catalogue import catalogue, on_this_terminal
    from .contract_asked import contract_asked

    contract = contract_asked(config)
    try:
        on_this_terminal(lambda width: catalogue(word, width, contract))
    except UnknownRule as unknown:
        raise pytest.UsageError(
            f"--asyncexec-rules: {unknown}\n  Write --asyncexec-rules=RET-02 for one rule, "
            "--asyncexec-rules=RET for a chapter, and --asyncexec-rules alone, without paths, for "
            "all of them."
        ) from None
    return pytest.ExitCode.OK


def pytest_configure(config: pytest.Config) -> None:
    """Prepare the judgement, if there is something to judge."""
    config.addinivalue_line(
        "markers",
        "asyncexec(rule): a check of the executor contract, which decides the named rule; "
        "-m \"asyncexec(rule='LIF-03')\" selects one",
    )
    if config.getoption("help") or config.getoption("markers"):
        return
    specs = config.getoption("asyncexec_plugin") or config.getini("asyncexec_plugins")
    asked = asked_of(config)
    if specs or asked or any("asyncexec" in argument for argument in config.args):
        # Only now: whoever has no executor to judge pays for none of it.
        from .run import prepare

        prepare(config, specs, asked)
