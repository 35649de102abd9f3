"""What is done with an executor in an interpreter of its own: this end of it."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, Final

from ...contract.finding import Finding
from ..instruments import patience
from ..subject.exceptions import CouldNotRun, NotApplicable, RuleViolation
from ..subject.kept import Kept
from ..subject.subject import Subject

#: Seconds for what ends at the same time; it decides nothing.
_GRACE: Final = 1.0

#: Seconds for the check of one rule: a guard, far beyond all that it waits for itself.
_FOR_A_RULE = 900.0


def in_fresh_process(subject: Subject, text: str) -> dict[str, Any]:
    """Rehydrate in an interpreter of its own, and run a task there: see `rehydrated`.

    What another rule will ask of one is done at the same time: on a slow backend, for one wait.
    """
    fresh, other = _Fresh(subject, "rehydrated", text=text), _main_thread.of(subject)
    with subject.elsewhere():
        answer = fresh.answer
        other.give_up_after(_GRACE + 2 * subject.preflight().seconds)
    return answer


def on_event_loops_of_a_fresh_process(subject: Subject, loops: int) -> dict[str, Any]:
    """Run a task on so many event loops of another process, one after the other."""
    return _ask(subject, "rehydrated", loops=loops)


_main_thread: Final = Kept(lambda subject: _Fresh(subject, "rehydrated", main_thread=True))


def in_main_thread_of_a_fresh_process(subject: Subject) -> dict[str, Any]:
    """Run tasks from the main thread of another process, and see what of it they have changed."""
    begun = _main_thread.of(subject)
    if begun.is_given_up:
        return _ask(subject, "rehydrated", main_thread=True)
    with subject.elsewhere():
        return begun.answer


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
        contract=subject.contract.version,
        patience={name: value for name, value in vars(patience).items() if name.isupper()},
    )
    if found.get("outcome") == "passed":
        return
    if found.get("outcome") == "failed":
        raise RuleViolation(subject.rule, Finding.from_json(found["finding"]))
    if found.get("outcome") == "not_applicable":
        raise NotApplicable(found["message"], found["lacking"])
    if found.get("outcome") == "could_not_run":
        raise CouldNotRun(found["message"])
    raise CouldNotRun(f"in a process of its own it could not be judged: {found['error']}")


def _ask(
    subject: Subject, other_end: str, limit: float | None = None, **wanted: Any
) -> dict[str, Any]:
    with subject.elsewhere():
        return _Fresh(subject, other_end, limit, **wanted).answer


class _Fresh:
    """An interpreter of its own, at work on one request from now on.

    Args:
        subject: whom it is about.
        other_end: the module that answers there.
        limit: seconds after which nothing is expected of it any more.
        wanted: the request.
    """

    def __init__(
        self, subject: Subject, other_end: str, limit: float | None = None, **wanted: Any
    ) -> None:
        folder = subject.new_folder()
        self._request = folder / "request"
        content = {
            "spec": subject.target.spec,
            **wanted,
            "sys_path": sys.path,
            "results_dir": str(folder / "results"),
            "template": subject.template_host,
            "mends": subject.building.mends,
        }
        self._request.write_text(json.dumps(content), encoding="utf-8")
        self._limit = subject.patience if limit is None else limit
        self._begun = time.monotonic()
        #: Whether it has no answer, for nobody has waited for it.
        self.is_given_up = False
        code = (
            "import faulthandler, json, pathlib, sys\n"
            # Whoever waits for it may be gone before it hangs for good.
            f"faulthandler.dump_traceback_later({self._limit + 30}, exit=True)\n"
            "path = pathlib.Path(sys.argv[1])\n"
            "sys.path[:] = json.loads(path.read_text(encoding='utf-8'))['sys_path']\n"
            f"from {__package__}.{other_end} import main\n"
            "main(path)"
        )
        # Not by pipes: whatever it leaves running would hold them open.
        self._said = self._request.with_suffix(".stderr")
        with self._said.open("wb") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-c", code, str(self._request)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
            )

    def give_up_after(self, seconds: float) -> None:
        """Wait for its end, but not for longer than this: no child process is in others' way."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.is_given_up = True
            self._end()

    def _end(self) -> None:
        self._process.kill()
        self._process.wait()

    @functools.cached_property
    def answer(self) -> dict[str, Any]:
        """What it has found out, or `error` and at what `stage` that was; waits for it."""
        try:
            self._process.wait(max(0.0, self._begun + self._limit - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._end()
            return {"stage": "the whole", "error": f"nothing for {self._limit:g} s"}
        answer = self._request.with_suffix(".answer")
        if not answer.exists():
            last = self._said.read_text(encoding="utf-8", errors="replace").strip()[-300:]
            code = self._process.returncode
            return {
                "stage": "the whole",
                "error": f"the death of the process (exit code {code}) {last}",
            }
        found: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
        return found
