"""What is done with an executor in an interpreter of its own: this end of it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from ..subject.host import TemplateHost
from ..subject.subject import Subject


def in_fresh_process(subject: Subject, text: str) -> dict[str, Any]:
    """Rehydrate in an interpreter of its own, and run a task there: see `rehydrated`."""
    return _ask(subject, text=text)


def on_event_loops_of_a_fresh_process(subject: Subject, loops: int) -> dict[str, Any]:
    """Run a task on so many event loops of another process, one after the other."""
    return _ask(subject, loops=loops)


def _ask(subject: Subject, **wanted: Any) -> dict[str, Any]:
    folder = subject.new_folder()
    request = folder / "request"
    content = {
        "spec": subject.target.spec,
        **wanted,
        "sys_path": sys.path,
        "results_dir": str(folder / "results"),
        "template": isinstance(subject.host, TemplateHost),
    }
    request.write_text(json.dumps(content), encoding="utf-8")
    limit = subject.patience
    code = (
        "import faulthandler, json, pathlib, sys\n"
        # Whoever waits for it may be gone before it hangs for good.
        f"faulthandler.dump_traceback_later({limit + 30}, exit=True)\n"
        "path = pathlib.Path(sys.argv[1])\n"
        "sys.path[:] = json.loads(path.read_text(encoding='utf-8'))['sys_path']\n"
        f"from {__package__}.rehydrated import main\n"
        "main(path)"
    )
    try:
        with subject.elsewhere():
            done = subprocess.run(
                [sys.executable, "-c", code, str(request)],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=limit,
            )
    except subprocess.TimeoutExpired:
        return {"stage": "the whole", "error": f"nothing for {limit:g} s"}
    answer = request.with_suffix(".answer")
    if not answer.exists():
        said = done.stderr.decode(errors="replace").strip()[-300:]
        return {
            "stage": "the whole",
            "error": f"the death of the process (exit code {done.returncode}) {said}",
        }
    found: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
    return found
