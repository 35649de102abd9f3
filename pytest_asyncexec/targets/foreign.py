"""Platforms that have to be imported in a certain way before a plugin of theirs can be."""

from __future__ import annotations

import atexit
import contextlib
import importlib
import importlib.abc
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

_PLACES = ("HOME", "XDG_CONFIG_DIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME")


def prepare_covalent() -> None:
    """Import `covalent` so that it leaves the user's own configuration alone.

    Importing Covalent reads a configuration file and makes folders under the home directory. For
    the length of the import that is a temporary folder; the configuration stays there for as long
    as the process lives, and for the processes it starts. HOME itself is given back, because
    executors look for keys in `~/.ssh`.
    """
    if "covalent" in sys.modules:
        return
    folder = tempfile.mkdtemp(prefix="asyncexec-covalent-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["COVALENT_CONFIG_DIR"] = os.path.join(folder, "config")
    saved = {name: os.environ.pop(name, None) for name in _PLACES}
    os.environ["HOME"] = folder
    try:
        importlib.import_module("covalent")
    finally:
        for name, value in saved.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


class _CovalentFirst(importlib.abc.MetaPathFinder):
    """Prepares Covalent when it, or a plugin published for it, is about to be imported."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        if fullname.startswith("covalent") and "." not in fullname:
            sys.meta_path.remove(self)
            # A plugin that is there without Covalent says so better than we could.
            with contextlib.suppress(ModuleNotFoundError):
                prepare_covalent()
        return None


def stand_by() -> None:
    """From now on the first import that reaches Covalent, however deep or late, finds it prepared.

    Targets need not name Covalent themselves: a factory may import it when it is called.
    """
    if not any(isinstance(finder, _CovalentFirst) for finder in sys.meta_path):
        sys.meta_path.insert(0, _CovalentFirst())
