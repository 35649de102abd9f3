"""Whether the attributes of an instance are what they were, after the tasks of the plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from ..instruments.history import History
from ..plan.conditions import Row, in_words, row, unusual
from ..plan.script import script
from ..plan.small import shrunk
from ..subject.subject import Subject
from .batch import Instance, Sight, observe
from .observations import Part, plan_of

#: So many tasks are tried alone, to find the one that does it.
_TRIED: Final = 12


@dataclass(frozen=True, slots=True)
class Changed:
    """One attribute that is another than before, and after which task."""

    name: str
    before: Any
    after: Any
    #: In words.
    task: str
    history: History
    reproduce: str
    #: Whether one task by itself does it.
    alone: bool = True


def changed_setting(
    subject: Subject, names: Sequence[str], parts: Sequence[Part]
) -> Changed | None:
    """The first attribute of these that tasks of these parts of the plan have changed."""
    for part in parts:
        for instance in plan_of(subject).part(part).sight.instances:
            name = _differing(instance, names)
            if name:
                return _by_one_task(subject, instance, name) or Changed(
                    name,
                    instance.before[name],
                    instance.after[name],
                    f"{len(instance.rows)} tasks at once on one instance",
                    History(),
                    script({"turn": "second", "retries": instance.asked["retries"]}),
                    alone=False,
                )
    return None


def _differing(instance: Instance, names: Sequence[str]) -> str:
    for name in names:
        before, after = instance.before[name], instance.after.get(name)
        if instance.after and (after != before or type(after) is not type(before)):
            return name
    return ""


def _by_one_task(subject: Subject, instance: Instance, name: str) -> Changed | None:
    """The task that does it alone, with the fewest conditions."""

    def run(rows: Sequence[Row]) -> Sight:
        return observe(subject, [{**each, "instance": "its own"} for each in rows])

    def changing(rows: Sequence[Row]) -> list[bool]:
        found = [each.rows for each in run(rows).instances if _differing(each, [name])]
        return [[{**each, "instance": "its own"}] in found for each in rows]

    for conditions in instance.rows[:_TRIED]:
        whole = row(**{n: v for n, v in conditions.items() if n not in ("instance", "turn")})
        if not all(changing([whole])):
            continue
        fewest = shrunk(unusual(whole), changing)
        sight = run([row(**fewest)])
        for each in sight.instances:
            if _differing(each, [name]):
                return Changed(
                    name,
                    each.before[name],
                    each.after[name],
                    in_words(fewest),
                    sight.observations[0].history if sight.observations else History(),
                    f"{script(fewest)}\nprint(executor.{name})",
                )
    return None
