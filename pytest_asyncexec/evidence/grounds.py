"""Whether a certificate's outcomes follow from what its executor was found to have and to lack."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from ..contract.rule import DECLARABLE, Rule
from ..contract.wording import printable
from .certificate import Certificate

#: The kit whose certificates say in words alone why a rule is not applicable.
_FIRST_KIT = "0.1.0"

#: Needs without which that kit ran no check of a rule. Not shared files: a connection will do.
_FOUND_BEFOREHAND = ("static", "run", "cancel", "stop")

#: The needs of rules in that kit, where they are others today.
_NEEDS_THEN: Mapping[str, tuple[str, ...]] = {
    "CAN-02": ("run", "stop", "shared-files"),
    "RES-09": ("run", "local-process"),
    "STR-11": ("run", "streams"),
}

#: The rules whose checks could find for themselves, in that kit, that there is nothing to judge:
#: no setup or teardown, methods that are not awaited, a constructor that takes no settings.
_FOUND_BY_CHECKS = {
    *("CAN-01", "CAN-02", "CAN-05", "CAN-06", "CAN-07", "CON-05", "CON-07"),
    *("LIF-03", "LIF-04", "LIF-05", "LIF-10", "LIF-11", "STR-09", "STR-10"),
}

#: What cannot be found without another need.
_IMPLIED: Mapping[str, str] = {
    "run": "static",
    "shared-files": "run",
    "streams": "run",
    "stop": "run",
    "at-most-once": "run",
    "worker-process": "run",
    "local-process": "worker-process",
}


def unfounded(told: Certificate, rules: Mapping[str, Rule]) -> list[str]:
    """What does not follow, in sentences; empty if everything does.

    Args:
        told: what a certificate says.
        rules: those of its contract.
    """
    if "lacking" not in told.extension:
        return [*_passed_without(told, rules, _FOUND_BEFOREHAND), *_groundless_then(told, rules)]
    declared = told.extension["declared"]
    # What is not captured and not declared is for RES-06 to tell.
    shown = {need for rule in rules.values() for need in rule.needs if need != "streams"}
    wrong = [*_passed_without(told, rules, {*shown, *declared}), *_groundless(told, rules)]
    return [*_contradictory(told.extension["needs"], declared), *wrong]


def _contradictory(found: Collection[str], declared: Collection[str]) -> Iterator[str]:
    """What no executor can be found to have and to declare."""
    for word in declared:
        if word not in DECLARABLE and "run" in found:
            yield f"it declares {printable(word)!r}, which no executor can"
        # Files need not be shared where tasks have a connection.
        elif word in found and word != "shared-files":
            yield f"{word} was found, and is declared to be lacking"
    # Whatever is seen of tasks is seen where they run.
    for need, other in _IMPLIED.items():
        if need in found and other not in found:
            yield f"{need} was found, and {other} was not"


def _passed_without(
    told: Certificate, rules: Mapping[str, Rule], shown: Iterable[str]
) -> Iterator[str]:
    """Rules that passed, and cannot have been judged."""
    absent = set(shown) - set(told.extension["needs"])
    for rule_id in told.predicate["passedTests"]:
        lacking = (
            [need for need in rules[rule_id].needs if need in absent] if rule_id in rules else ()
        )
        if lacking:
            yield f"{rule_id} passed, which needs {', '.join(lacking)}, and that was not found"


def _groundless(told: Certificate, rules: Mapping[str, Rule]) -> Iterator[str]:
    """Rules that are called not applicable, and for no need that the executor lacks."""
    found, declared = told.extension["needs"], told.extension["declared"]
    lacking, excused = told.extension["lacking"], told.extension["notApplicable"]
    for rule_id in excused:
        if rule_id not in rules:
            continue
        rule, head = rules[rule_id], f"{rule_id} is called not applicable"
        if "run" in rule.needs and "run" not in found:
            yield f"{head}, and where no task runs it could not run"
        elif not lacking.get(rule_id):
            yield f"{head}, and nothing is said of what the executor lacks"
        else:
            for need in lacking[rule_id]:
                if why := _why_no_ground(need, rule, found, declared):
                    yield f"{head} for want of {need}, {why}"
    for rule_id in lacking:
        if rule_id not in excused:
            yield f"{rule_id} is said to lack {', '.join(lacking[rule_id])}, and was judged"


def _why_no_ground(need: str, rule: Rule, found: Collection[str], declared: Collection[str]) -> str:
    """Why a need is none for want of which a rule is not applicable; nothing where it is one."""
    if need not in rule.excuses:
        return "which it does not need"
    if need in found:
        return "and that was found"
    if need in DECLARABLE and need != "shared-files" and need not in declared:
        return "and that was not declared"
    return ""


def _groundless_then(told: Certificate, rules: Mapping[str, Rule]) -> Iterator[str]:
    """Likewise, in a certificate that says in words alone why rules are not applicable."""
    kit = told.extension["kit"]["version"]
    if kit != _FIRST_KIT:
        yield f"it does not say what the executor lacks, as those of pytest-asyncexec {kit} do"
    found = told.extension["needs"]
    for rule_id in told.extension["notApplicable"]:
        if rule_id not in rules or rule_id in _FOUND_BY_CHECKS:
            continue
        needs = _NEEDS_THEN.get(rule_id, rules[rule_id].needs)
        if all(need in found for need in needs if need not in ("static", "run")):
            yield f"{rule_id} is called not applicable, and needs nothing that was not found"
