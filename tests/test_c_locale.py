"""Where the file system has no names beyond ASCII, a right executor is right as well."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.skipif(sys.platform == "win32", reason="the locale decides over names on POSIX only")
def test_file_names_are_such_as_can_exist(tmp_path: Path) -> None:
    target = "pytest_asyncexec.reference_executor:LocalExecutor"
    options = [
        "-p",
        "no:cacheprovider",
        "--asyncexec-profile=quick",
        f"--asyncexec-plugin={target}",
    ]
    chapters = [f"asyncexec/test_{name}.py" for name in ("streams", "serialization")]

    run = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *chapters],
        cwd=tmp_path,
        env=os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        capture_output=True,
        check=False,
    )

    assert run.returncode == 0, run.stdout.decode()
