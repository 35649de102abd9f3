"""What is done with an executor in an interpreter of its own: this end of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from ...contract.finding import Finding
from ..instruments import patience
from ..subject.exceptions import CouldNotRun, NotApplicable, RuleViolation
from ..subject.subject import Subject

#: Seconds for the check of one rule: a guard, far beyond all that it waits for itself.
_FOR_A_RULE = 900.0


def in_fresh_process(subject: Subject, text: str) -> dict[str, Any]:
    """Rehydrate in an interpreter of its own, and run a task there: see `rehydrated`."""
    return _ask(subject, "rehydrated", text=text)


def on_event_loops_of_a_fresh_process(subject: Subject, loops: int) -> dict[str, Any]:
    """Run a task on so many event loops of another process, one after the other."""
    return _ask(subject, "rehydrated", loops=loops)


def in_main_thread_of_a_fresh_process(subject: Subject) -> dict[str, Any]:
    """Run tasks from the main thread of another process, and see what of it they have changed."""
    return _ask(subject, "rehydrated", main_thread=True)


def judge_in_fresh_process(subject: Subject, function: Callable[[Subject], None]) -> None:
    """Judge by the subject's rule where nobody has broken anything, and end as that ends.

    Args:
        subject: who is judged.
        function: decides it; of a module, not within another function.
    """
    assert subject.rule is not None
    found = _ask(
        subject,
        "apart",
        _FOR_A_RULE,
        rule=subject.rule.id,
        module=function.__module__,
        function=function.__name__,
        profile=subject.profile,
        strength=subject.strength,
        patience={name: value for name, value in vars(patience).items() if name.isupper()},
    )
    if found.get("outcome") == "passed":
        return
    if found.get("outcome") == "failed":
        raise RuleViolation(subject.rule, Finding.from_json(found["finding"]))
    if found.get("outcome") == "not_applicable":
        raise NotApplicable(found["message"])
    if found.get("outcome") == "could_not_run":
        raise CouldNotRun(found["message"])
    raise CouldNotRun(f"in a process of its own it could not be judged: {found['error']}")


def _ask(
    subject: Subject, other_end: str, limit: float | None = None, **wanted: Any
) -> dict[str, Any]:
    folder = subject.new_folder()
    request = folder / "request"
    content = {
        "spec": subject.target.spec,
        **wanted,
        "sys_path": sys.path,
        "results_dir": str(folder / "results"),
        "template": subject.template_host,
        "mends": subject.building.mends,
    }
    request.write_text(json.dumps(content), encoding="utf-8")
    limit = subject.patience if limit is None else limit
    code = (
        "import faulthandler, json, pathlib, sys\n"
        # Whoever waits for it may be gone before it hangs for good.
        f"faulthandler.dump_traceback_later({limit + 30}, exit=True)\n"
        "path = pathlib.Path(sys.argv[1])\n"
        "sys.path[:] = json.loads(path.read_text(encoding='utf-8'))['sys_path']\n"
        f"from {__package__}.{other_end} import main\n"
        "main(path)"
    )
    # Not by pipes: whatever it leaves running would hold them open.
    said = request.with_suffix(".stderr")
    try:
        with subject.elsewhere(), said.open("wb") as stderr:
            done = subprocess.run(
                [sys.executable, "-c", code, str(request)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                timeout=limit,
            )
    except subprocess.TimeoutExpired:
        return {"stage": "the whole", "error": f"nothing for {limit:g} s"}
    answer = request.with_suffix(".answer")
    if not answer.exists():
        last = said.read_text(encoding="utf-8", errors="replace").strip()[-300:]
        return {
            "stage": "the whole",
            "error": f"the death of the process (exit code {done.returncode}) {last}",
        }
    found: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
    return found
