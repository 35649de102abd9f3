"""Writing in a process whose locale is not UTF-8: Python reads its locale when it starts."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from ...contract.wording import short_error
from ..subject.subject import Subject

_CODE = """
import ast, asyncio, locale, os, sys, traceback
from pathlib import Path
from pytest_asyncexec.conformance.subject.host import call_method
from pytest_asyncexec.targets.loading import load_target

folder, spec = sys.argv[1:]
texts = ast.literal_eval(sys.stdin.buffer.read().decode("ascii"))
executor = load_target(spec).build()
told = []
for number, text in enumerate(texts):
    path = os.path.join(folder, str(number))
    try:
        asyncio.run(call_method(executor.write_streams_to_file, [text], [path], "d", folder))
    except Exception as error:
        told.append(f"it raised {type(error).__name__}: {error}".replace(folder, "..."))
    else:
        told.append("it returned")
Path(folder, "report").write_text(ascii((locale.getencoding(), told)), encoding="ascii")
"""


def write_in_the_c_locale(
    subject: Subject, texts: Sequence[str], folder: Path
) -> tuple[str, list[str]]:
    """Write each text to the file of its number, in a process whose locale is not UTF-8.

    Returns that locale's encoding, and how each call ended.
    """
    environment = {k: v for k, v in os.environ.items() if k != "LANG" and not k.startswith("LC_")}
    environment |= {
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    try:
        ended = subprocess.run(
            # -P: what lies in the working directory is found where this process finds it.
            [sys.executable, "-P", "-c", _CODE, str(folder), subject.target.spec],
            input=ascii(list(texts)).encode("ascii"),
            env=environment,
            capture_output=True,
            timeout=120,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        subject.could_not_run(f"no process with another locale: {short_error(error)}")
    report = folder / "report"
    if not report.is_file():
        said = ended.stderr.decode("utf-8", "replace").strip().splitlines() or ["nothing"]
        subject.could_not_run(
            f"the executor could not be built in a process of the locale C: {said[-1]}"
        )
    encoding, told = ast.literal_eval(report.read_text(encoding="ascii"))
    if encoding.lower().replace("_", "-") in ("utf-8", "utf8"):
        subject.could_not_run("even the locale C means UTF-8 on this system")
    return encoding, told
