"""The executor under test, as checks see it."""

from __future__ import annotations

import contextlib
import gc
import inspect
import logging
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from ...contract.catalogue import Contract, contract_of
from ...contract.finding import Finding, Moment
from ...contract.rule import Profile, Rule
from ...contract.verdict import RuleOutcome
from ...targets.target import Target
from ..instruments.beacon import Attempt, Beacon, NetworkBeacon
from ..instruments.effects import Effects
from ..instruments.guard import guarded
from ..instruments.history import History, Replacement, recorded
from ..instruments.mailbox import Mailbox
from ..instruments.seen import Seen
from .building import Building
from .driving import Driving
from .exceptions import CouldNotRun, NotApplicable, RuleViolation
from .host import NativeHost
from .preflight import Preflight, first_look
from .tasks import Tasks

T = TypeVar("T")


class Subject:
    """One target under judgement.

    Checks use it to build executors, to run tasks and to end: `fail`, `not_applicable`,
    `could_not_run`.
    """

    def __init__(
        self,
        target: Target,
        profile: Profile = "default",
        strength: int | None = None,
        contract: Contract | None = None,
    ) -> None:
        self.target = target
        self.profile = profile
        #: How many values meet in the tasks of the plan; None for what the profile says.
        self.strength = strength
        #: By which it is judged: nothing is told of a rule that another contract has.
        self.contract = contract or contract_of()
        self.findings: dict[str, RuleOutcome] = {}
        #: The rule that is judged at this moment.
        self.rule: Rule | None = None
        self.driving = Driving(lambda: self.rule.id if self.rule else "the first trivial task")
        self.building = Building(target, self.driving.sign)
        self.tasks = Tasks()
        #: The rule after whose check it is not certain that an ordinary task still works.
        self.doubts = ""
        #: The rule whose check has cut tasks short. It went well, and yet the next finding is
        #: believed only where an ordinary task still works.
        self.interrupted = ""
        #: Why nothing more is tried: an ordinary task did not even end.
        self.blocked = ""
        #: Whether this process was made for one rule, on whose backend nobody else has been.
        self.apart = False
        #: Whether each task gets an instance of its own: it was found that one serves no second.
        self.one_task_each = False
        self._spent: list[Any] = []
        #: What checks have found out about it for others: see `Kept`.
        self.kept: dict[object, Any] = {}
        #: What was awaited in the last task that the check of this moment has followed.
        self.followed: History | None = None
        self._preflight: Preflight | None = None
        self._beacons: list[Beacon] = []

    def pick(self, *, quick: T, default: T, thorough: T) -> T:
        """How much of something this run's profile asks for."""
        return {"quick": quick, "default": default, "thorough": thorough}[self.profile]

    def preflight(self) -> Preflight:
        """Build one executor and run one trivial task, once; never raises."""
        if self._preflight is None:
            self._preflight = first_look(self.building, self.driving, self.tasks)
        return self._preflight

    # ---- building ------------------------------------------------------------------------

    @property
    def cls(self) -> type:
        """The class that is judged."""
        return self.building.cls

    def build(self, **attributes: Any) -> Any:
        """A fresh executor from the target, with these attributes set on it."""
        return self.building.build(**attributes)

    def construct(self, **arguments: Any) -> Any:
        """Call the class itself, with these arguments.

        What its constructor demands beyond them is taken from the attributes of the same name
        of an executor that the target built.

        Raises:
            CouldNotRun: a demanded argument is no attribute.
        """
        return self.building.construct(**arguments)

    def parameters(self) -> Mapping[str, inspect.Parameter]:
        """The named parameters of the class's constructor."""
        return self.building.parameters()

    @property
    def built(self) -> str:
        """The class of the first executor that was built, as `module:name`."""
        return self.building.built

    @property
    def first_build(self) -> Effects:
        """What building the first executor did."""
        return self.building.first_build

    # ---- driving -------------------------------------------------------------------------

    def drive(
        self,
        story: Callable[[], Coroutine[Any, Any, T]],
        *,
        longer: float = 0.0,
        progress: Callable[[], object] = lambda: None,
    ) -> T:
        """Run a coroutine function on the subject's watched event loop.

        Args:
            story: called on the loop's thread.
            longer: seconds that it takes by design, on top of the subject's patience.
            progress: a value that changes while the story goes on.

        Raises:
            Hang: it did not end.
        """
        return self.driving.drive(story, longer=longer, progress=progress)

    def drive_apart(self, story: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine function on a fresh event loop that is closed afterwards.

        Raises:
            Hang: nothing came of it for as long as `drive` waits.
        """
        return self.driving.drive_apart(story)

    @property
    def escaped(self) -> list[BaseException]:
        """What left the subject's event loop in a way that would have ended another host's."""
        return self.driving.escaped

    @property
    def patience(self) -> float:
        """Seconds after which a call counts as hung."""
        return self.driving.patience

    def elsewhere(self) -> contextlib.AbstractContextManager[None]:
        """Within this block the check waits for something that has a watchdog of its own."""
        return self.driving.elsewhere()

    def where(self) -> str:
        """Where the event loop stands at this moment, in words."""
        return self.driving.where()

    def keeps(self, rule_id: str) -> bool:
        """Whether a rule is kept, as far as it was judged: nothing waits for what never comes."""
        known = self.findings.get(rule_id)
        return known is None or known.outcome == "passed"

    # ---- tasks ---------------------------------------------------------------------------

    @property
    def folder(self) -> Path:
        """Where everything lies that is removed at the end."""
        return self.tasks.folder

    @property
    def template_host(self) -> bool:
        """Whether this check is run again under this package's own `run_task`."""
        return self.tasks.under_template

    @property
    def host(self) -> NativeHost:
        """The host that hands over the tasks of this check."""
        return self.tasks.host_for(self.build())

    def new_dispatch(self) -> str:
        """A dispatch id that was not used before in this run."""
        return self.tasks.new_dispatch()

    def new_folder(self) -> Path:
        """An empty folder that is removed at the end."""
        return self.tasks.new_folder()

    async def execute(
        self,
        executor: Any,
        function: Callable[..., Any],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        dispatch_id: str | None = None,
        node_id: int = 0,
        results_dir: str | Path | None = None,
        by_value: bool = True,
    ) -> Seen:
        """Run one task through the host and see what comes of it; for use within a story.

        Where it is known that an instance serves one task only, a later one gets a fresh one, so
        that nothing but LIF-08 is broken by that.
        """
        return await self.tasks.execute(
            self._unspent(executor),
            function,
            args,
            kwargs,
            dispatch_id=dispatch_id,
            node_id=node_id,
            results_dir=results_dir,
            by_value=by_value,
        )

    def _unspent(self, executor: Any) -> Any:
        if not self.one_task_each:
            return executor
        if any(executor is each for each in self._spent):
            names = ("log_stdout", "log_stderr", "cache_dir", "time_limit", "retries")
            executor = self.build(
                **{n: getattr(executor, n) for n in names if hasattr(executor, n)}
            )
        self._spent.append(executor)
        return executor

    def run(self, executor: Any, function: Callable[..., Any], *args: Any, **named: Any) -> Seen:
        """Run one task from outside the event loop, followed; `named` as for `execute`."""
        with self.following(executor):
            return self.drive(lambda: self.execute(executor, function, args, **named))

    @contextlib.contextmanager
    def following(self, executor: Any) -> Iterator[None]:
        """What is awaited within this block stands in findings that have no other history."""
        with contextlib.ExitStack() as stack:
            # A class whose methods nobody can replace is judged without.
            with contextlib.suppress(TypeError, AttributeError):
                self.followed = stack.enter_context(recorded(type(executor)))
            yield

    @contextlib.contextmanager
    def recording(self, executor: Any, **replacements: Replacement) -> Iterator[History]:
        """Record `setup`, `run` and `teardown` of the executor's class, see `recorded`."""
        with recorded(type(executor), **replacements) as history:
            yield history

    # ---- how a check ends ----------------------------------------------------------------

    def fail(
        self,
        *,
        seen: object,
        required: str,
        cause: str = "",
        history: History | Sequence[Moment] | None = None,
        reproduce: str = "",
        because: str = "",
    ) -> NoReturn:
        """End the check: the rule is broken.

        Args:
            seen: what was observed, in words.
            required: what would have been right.
            cause: the likely mistake in the executor, as a hint to its author.
            history: the events under the executor, if they were recorded; else those of the last
                task that was followed.
            reproduce: lines of Python, run without pytest; `executor` is at hand.
            because: the id of another rule that is broken, where this would not be seen otherwise.
        """
        __tracebackhide__ = True
        history = self.followed if history is None else history
        if isinstance(history, History):
            history = history.told()
        told = None if history is None else tuple(history)
        lines = f"{self.building.script}\n{inspect.cleandoc(reproduce)}" if reproduce else ""
        because = "" if self.rule is not None and because == self.rule.id else because
        raise RuleViolation(self.rule, Finding(str(seen), required, cause, told, lines, because))

    def beacon(self, answer: Callable[[Attempt, int], None] | None = None) -> Beacon:
        """What tasks of the subject can report to, see `Beacon`."""
        facts = self.preflight()
        beacon = (
            Mailbox(self.new_folder(), answer) if facts.reaches_mailbox else NetworkBeacon(answer)
        )
        self._beacons.append(beacon)
        return beacon

    @property
    def most_at_once(self) -> int:
        """How many attempts have been seen at the same time by now, of one check's tasks."""
        return max((beacon.most_at_once for beacon in self._beacons), default=0)

    def need_beacon(self) -> None:
        """End the check where tasks can neither connect to the suite nor talk to it by files.

        Raises:
            CouldNotRun: attempts can neither be counted nor held.
        """
        facts = self.preflight()
        if not facts.reachable:
            instead = "cannot lock" if facts.shared_files else "do not see"
            raise CouldNotRun(
                f"tasks cannot connect to the suite, and {instead} its files: it cannot count or "
                "hold them"
            )

    def need_free_loop(self, *, lost: str, reproduce: str) -> None:
        """End the check where a running task keeps the event loop from doing what is judged.

        Args:
            lost: what cannot happen while the loop is blocked, in words.
            reproduce: as for `fail`.

        Raises:
            RuleViolation: preflight has found the loop blocked, and where.
        """
        blocked_at = self.preflight().blocks_loop_at
        if blocked_at:
            self.fail(
                seen=f"while a task runs, {blocked_at}; {lost} then",
                required="the event loop goes on while a task runs",
                cause="`run` calls the task itself, or waits for it without `await`",
                reproduce=reproduce,
                because="CNC-03",
            )

    def not_applicable(self, reason: str) -> NoReturn:
        """End the check: the executor honestly lacks what the rule `may_need`, see `Rule`.

        Where it lacks what the rule needs, no check is run: whoever is built shows that.
        """
        raise NotApplicable(reason)

    def could_not_run(self, reason: str) -> NoReturn:
        """End the check: what it needs could not be had."""
        raise CouldNotRun(reason)

    def close_loop(self) -> None:
        """End the event loop; whatever is driven after that is driven on a new one."""
        self.driving.close_loop()

    def close(self) -> None:
        """End the event loop and remove every file of the run."""
        # What is cancelled there are tasks of the executor, which may do what they did before.
        with guarded():
            self.close_loop()
        self.tasks.close()
        self.kept.clear()
        # What asyncio has to say of what tasks have left is in the findings, as far as it matters.
        with _silence("asyncio"):
            gc.collect()


@contextlib.contextmanager
def _silence(name: str) -> Iterator[None]:
    """Within this block, a logger says nothing."""
    logger = logging.getLogger(name)
    former, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = former
