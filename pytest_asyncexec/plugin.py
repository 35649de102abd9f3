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
    parser.addini(
        "asyncexec_plugins",
        "Executors to judge when --asyncexec-plugin is not given, one per line",
        type="linelist",
        default=[],
    )


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
    if specs or any("asyncexec" in argument for argument in config.args):
        # Only now: whoever has no executor to judge pays for none of it.
        from .run import prepare

        prepare(config, specs)
