"""What a rule of the executor contract is, and what may be asked and needed by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Obligation = Literal["MUST", "SHOULD"]
Level = Literal["core", "resilient", "hardened"]
Profile = Literal["quick", "default", "thorough"]

#: From the least to the most demanding; each level includes the ones before it.
LEVELS: tuple[Level, ...] = ("core", "resilient", "hardened")

#: The version of a rule that is of none yet: it is judged and told, and never counted.
CANDIDATE = "candidate"

#: What a rule may need of an executor before it can be judged.
NEEDS: Mapping[str, str] = MappingProxyType(
    {
        "static": "an instance; no backend",
        "run": "tasks really run",
        "shared-files": "tasks and the suite see the same file system, or have a connection",
        "streams": "what tasks print is captured",
        "cancel": "a `cancel` of the executor's own",
        "setup": "a `setup`",
        "teardown": "a `teardown`",
        "settings": "a constructor that takes `time_limit` or `retries`",
        "awaited-execute": "`execute` is awaited, so that it can be cancelled",
        "awaited-writes": "`write_streams_to_file` is awaited",
        "stop": "a running task can be stopped",
        "worker-process": "tasks run in another process than the host",
        "local-process": "tasks run in a worker process on this machine",
        "at-most-once": "the backend runs no task again by itself where a worker is lost",
    }
)

#: The needs that an executor may declare it does not meet, in its attribute `cannot`.
DECLARABLE = frozenset({"stop", "streams", "shared-files", "at-most-once"})


@dataclass(frozen=True, slots=True)
class Rule:
    """One sentence of the contract, under an id that never changes its meaning."""

    id: str
    obligation: Obligation
    level: Level
    needs: tuple[str, ...]
    sentence: str
    #: What goes wrong for the users of a platform when the rule is broken.
    why: str = ""
    #: How the check decides it.
    how: str = ""
    #: Where the promise was made that this rule holds an executor to.
    source: str = ""
    #: The version of the contract that stated it first, or `CANDIDATE`.
    since: str = "1.0"
    #: What the check can do without, and has nothing to judge where that is all there is.
    may_need: tuple[str, ...] = ()
    #: Rules without which this one cannot be judged fairly: what breaks them breaks it, too.
    presupposes: tuple[str, ...] = ()

    @property
    def excuses(self) -> tuple[str, ...]:
        """The needs for want of which the rule may be not applicable."""
        return tuple(n for n in (*self.needs, *self.may_need) if n not in ("static", "run"))

    @property
    def chapter(self) -> str:
        """The three letters that begin the id."""
        return self.id[:3]

    def __str__(self) -> str:
        return f"{self.id} ({self.obligation}, {self.level}): {self.sentence}"


@dataclass(frozen=True, slots=True)
class Chapter:
    """The rules whose ids begin with the same three letters."""

    letters: str
    title: str
    source: str

    def rule(
        self,
        head: tuple[str, Obligation, Level, str],
        sentence: str,
        *,
        why: str,
        how: str,
        source: str = "",
        since: str = "1.0",
        may_need: str = "",
        presupposes: str = "",
    ) -> Rule:
        """One entry: id, obligation, level and needs, then prose in which line ends mean nothing.

        Args:
            source: where the promise was made, if not where the others of the chapter were.
            may_need: needs that the check can do without, with spaces between.
            presupposes: ids of rules, with spaces between.
        """
        rule_id, obligation, level, needs = head
        prose = (sentence, why, how, source or self.source)
        sentence, why, how, source = (" ".join(text.split()) for text in prose)
        return Rule(
            rule_id,
            obligation,
            level,
            tuple(needs.split()),
            sentence,
            why,
            how,
            source,
            since,
            tuple(may_need.split()),
            tuple(presupposes.split()),
        )
