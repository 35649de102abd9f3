"""How a fresh process judges an executor by one rule: the other end."""

from __future__ import annotations

import faulthandler
import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...contract.catalogue import RULES, contract_of
from ...targets.loading import load_target
from ..instruments import patience
from ..subject.blame import explain
from ..subject.exceptions import CouldNotRun, NotApplicable, RuleViolation
from ..subject.needs import require
from ..subject.subject import Subject
from ..subject.supervising import supervise

#: Seconds for which the process may go on when it has answered.
_TO_END = 20.0


def main(path: Path) -> None:
    """Answer the request in the file `path`, beside it: how the check of the rule ended."""
    request = json.loads(path.read_text(encoding="utf-8"))
    vars(patience).update(request["patience"])
    try:
        answer = _judged(request)
    except BaseException as error:
        answer = {"error": explain(error)}
    path.with_suffix(".answer").write_text(json.dumps(answer), encoding="utf-8")
    # A backend that is broken may keep the interpreter from ending.
    faulthandler.dump_traceback_later(_TO_END, exit=True)


def _judged(request: dict[str, Any]) -> dict[str, Any]:
    subject = Subject(
        load_target(request["spec"]),
        request["profile"],
        request["strength"],
        contract_of(request["contract"]),
    )
    subject.apart = True
    subject.building.mends = request["mends"]
    subject.rule = RULES[request["rule"]]
    module = importlib.import_module(request["module"])
    function: Callable[[Subject], None] = getattr(module, request["function"])
    try:
        subject.preflight()
        subject.tasks.under_template |= request["template"]
        require(subject, subject.rule)
        supervise(subject, function)
    except RuleViolation as violation:
        return {"outcome": "failed", "finding": violation.finding.to_json()}
    except NotApplicable as reason:
        return {"outcome": "not_applicable", "message": str(reason), "lacking": reason.lacking}
    except CouldNotRun as reason:
        return {"outcome": "could_not_run", "message": str(reason)}
    finally:
        subject.close()
    return {"outcome": "passed"}
