"""An interpreter of its own, at work on one request."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
import time
from typing import Any

from ..subject.subject import Subject


class Fresh:
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
        #: The process itself.
        self.process: subprocess.Popen[bytes]
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
            self.process = subprocess.Popen(
                [sys.executable, "-c", code, str(self._request)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                # What an executor does to its process group there, it does to nobody else.
                start_new_session=True,
            )

    def give_up_after(self, seconds: float) -> None:
        """Wait for its end, but not for longer than this: no child process is in others' way."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.is_given_up = True
            self.end()

    def end(self) -> None:
        """Kill it, and nothing that it has started."""
        self.process.kill()
        self.process.wait()

    @functools.cached_property
    def answer(self) -> dict[str, Any]:
        """What it has found out, or `error` and at what `stage` that was; waits for it."""
        try:
            self.process.wait(max(0.0, self._begun + self._limit - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.end()
            return {"stage": "the whole", "error": f"nothing for {self._limit:g} s"}
        answer = self._request.with_suffix(".answer")
        if not answer.exists():
            last = self._said.read_text(encoding="utf-8", errors="replace").strip()[-300:]
            code = self.process.returncode
            return {
                "stage": "the whole",
                "error": f"the death of the process (exit code {code}) {last}",
            }
        found: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
        return found
