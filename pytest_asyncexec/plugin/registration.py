"""Registers the parts of the plugin that one run needs: all of them or none."""

from __future__ import annotations

import pytest


def register(config: pytest.Config, plugin: object, name: str) -> None:
    """Register a part of the plugin under its name.

    Raises:
        pytest.UsageError: it is blocked. Only all of them together judge a run and tell the truth
            about it.
    """
    if config.pluginmanager.is_blocked(name):
        raise pytest.UsageError(
            f"-p no:{name}: this is a part of what judges executors, and none of it can be left "
            "out.\n  Remove it from the command line, addopts or PYTEST_ADDOPTS; -p no:asyncexec "
            "leaves out the whole."
        )
    config.pluginmanager.register(plugin, name)
