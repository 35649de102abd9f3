"""The executor under test: how it is built, what it can do, and what was found out about it."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import inspect
import itertools
import os
import shutil
import tempfile
import traceback
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from ..executor import AsyncBaseExecutor
from ..targets import Target
from ..verdict import Outcome, RuleOutcome
from .beacon import Attempt, Beacon, NetworkBeacon
from .check import CouldNotRun, NotApplicable, RuleViolation
from .effects import Effects, effects, of_library
from .finding import Finding, Moment
from .guard import Guard, guarded
from .history import History, Replacement, recorded
from .host import NativeHost, Seen, TemplateHost, host_for
from .loop import WATCHDOG, Hang, WatchedLoop
from .mailbox import Mailbox
from .preflight import Preflight, first_look
from .probes import ByValue, echo
from .rules import Profile, Rule
from .watch import Watch

T = TypeVar("T")

_PATIENCE_AFTER_A_HANG = 20.0

#: Chapters whose checks cut tasks short, by which even one that is passed may break a backend.
_INTERRUPTING = ("CAN", "CNC")

#: Seconds for an ordinary task that decides nothing but whether others are tried at all.
_PATIENCE_WHERE_IN_DOUBT = 30.0

#: What is said of a rule that only the inherited `execute` breaks.
INHERITED = (
    "the same check passes under this package's run_task; the fault is in the `execute` that the "
    "class inherits."
)

#: So many calls that never end are enough.
_HANGS = 4


class Subject:
    """One target under judgement.

    Checks use it to build executors, to run tasks and to end: `fail`, `not_applicable`,
    `could_not_run`.
    """

    def __init__(self, target: Target, profile: Profile = "default") -> None:
        self.target = target
        self.profile = profile
        self.findings: dict[str, RuleOutcome] = {}
        self.rule: Rule | None = None
        self.folder = Path(tempfile.mkdtemp(prefix="asyncexec-"))
        self._loop: WatchedLoop | None = None
        self._watch = Watch()
        self._hangs: list[str] = []
        #: The rule after whose check it is not certain that an ordinary task still works.
        self._doubts = ""
        #: Why nothing more is tried: an ordinary task did not even end.
        self._blocked = ""
        self._dispatches = itertools.count(1)
        self._preflight: Preflight | None = None
        #: What was awaited in the last task that the check of this moment has followed.
        self._history: History | None = None
        #: The class of the first executor that was built, as `module:name`.
        self.built = ""
        #: What building the first executor did: it may do more than any later one does.
        self.first_build = Effects()
        self._template_host = False

    def pick(self, *, quick: T, default: T, thorough: T) -> T:
        """How much of something this run's profile asks for."""
        return {"quick": quick, "default": default, "thorough": thorough}[self.profile]

    # ---- building ------------------------------------------------------------------------

    def build(self, **attributes: Any) -> Any:
        """A fresh executor from the target, with these attributes set on it."""
        self._watch.sign()
        executor = self.target.build()
        for name, value in attributes.items():
            try:
                setattr(executor, name, value)
            except Exception as error:
                raise CouldNotRun(
                    f"the attribute {name!r} of the executor cannot be set: {error!r}"
                ) from error
        return executor

    @property
    def cls(self) -> type:
        """The class that is judged."""
        if self.target.is_class and isinstance(self.target.build, type):
            return self.target.build
        return type(self.build())

    def construct(self, **arguments: Any) -> Any:
        """Call the class itself, with these arguments.

        What its constructor demands beyond them is taken from the attributes of the same name
        of an executor that the target built.

        Raises:
            CouldNotRun: a demanded argument is no attribute.
        """
        self._watch.sign()
        needed: dict[str, Any] = {}
        model: Any = None
        for name, parameter in self.parameters().items():
            if parameter.default is not parameter.empty or name in arguments:
                continue
            if model is None:
                model = self.build()
            if not hasattr(model, name):
                raise CouldNotRun(
                    f"the constructor demands {name!r}, and what the target builds has no "
                    "attribute of that name to take it from"
                )
            needed[name] = getattr(model, name)
        return self.cls(**needed, **arguments)

    def parameters(self) -> Mapping[str, inspect.Parameter]:
        """The named parameters of the class's constructor."""
        kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        try:
            signature = inspect.signature(self.cls)
        except (TypeError, ValueError):
            return {}
        return {n: p for n, p in signature.parameters.items() if p.kind in kinds}

    # ---- running -------------------------------------------------------------------------

    def drive(self, story: Callable[[], Coroutine[Any, Any, T]], *, longer: float = 0.0) -> T:
        """Run a coroutine function on the subject's watched event loop.

        Args:
            story: called on the loop's thread.
            longer: seconds that it takes by design, on top of the subject's patience.

        Raises:
            Hang: it did not end.
        """
        with self._watch.elsewhere():
            if self._loop is None or not self._loop.usable:
                self._loop = WatchedLoop()
            try:
                return self._loop.drive(story, longer + self.patience)
            except Hang:
                self._loop = None
                self._note_hang()
                raise

    def drive_apart(self, story: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine function on a fresh event loop that is closed afterwards.

        Raises:
            Hang: nothing came of it for as long as `drive` waits.
        """

        async def to_the_end() -> T:
            try:
                return await story()
            finally:
                await asyncio.get_running_loop().shutdown_default_executor()

        with self._watch.elsewhere():
            loop = WatchedLoop()
            try:
                return loop.drive(to_the_end, self.patience)
            except Hang:
                self._note_hang()
                raise
            finally:
                loop.close()

    @property
    def escaped(self) -> list[BaseException]:
        """What left the subject's event loop in a way that would have ended another host's."""
        return [] if self._loop is None else self._loop.escaped

    @property
    def patience(self) -> float:
        """Seconds after which a call counts as hung.

        Who has hung once is not given that long again: the rest of the suite is still to come.
        """
        return min(WATCHDOG, _PATIENCE_AFTER_A_HANG) if self._hangs else WATCHDOG

    def elsewhere(self) -> contextlib.AbstractContextManager[None]:
        """Within this block the check waits for something that has a watchdog of its own."""
        return self._watch.elsewhere()

    def _note_hang(self) -> None:
        self._hangs.append(self.rule.id if self.rule else "the first trivial task")

    @property
    def _hung_in(self) -> str:
        return ", ".join(dict.fromkeys(self._hangs))

    @property
    def template_host(self) -> bool:
        """Whether this check is run again under this package's own `run_task`."""
        return self._template_host

    @property
    def host(self) -> NativeHost:
        """The host that hands over the tasks of this check."""
        native = host_for(self.build())
        return TemplateHost(native) if self._template_host else native

    def new_dispatch(self) -> str:
        """A dispatch id that was not used before in this run."""
        return f"dispatch-{next(self._dispatches)}"

    def new_folder(self) -> Path:
        """An empty folder that is removed at the end."""
        return Path(tempfile.mkdtemp(dir=self.folder))

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
        """Run one task through the host and see what comes of it; for use within a story."""
        host = host_for(executor)
        return await (TemplateHost(host) if self._template_host else host).execute(
            executor,
            ByValue(function) if by_value else function,
            args,
            kwargs,
            dispatch_id=self.new_dispatch() if dispatch_id is None else dispatch_id,
            node_id=node_id,
            results_dir=str(self.folder / "results" if results_dir is None else results_dir),
        )

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
                self._history = stack.enter_context(recorded(type(executor)))
            yield

    @contextlib.contextmanager
    def recording(self, executor: Any, **replacements: Replacement) -> Iterator[History]:
        """Record `setup`, `run` and `teardown` of the executor's class, see `recorded`."""
        with recorded(type(executor), **replacements) as history:
            yield history

    # ---- what it can do ------------------------------------------------------------------

    def preflight(self) -> Preflight:
        """Build one executor and run one trivial task, once; never raises."""
        if self._preflight is None:
            looks: list[Preflight] = []
            with guarded() as guard:
                try:
                    crash = self._watch.call(lambda: looks.append(self._look()), self.patience)
                    if crash is not None:
                        why = f"the first look at it crashed: {_explain(crash)}{_raised_at(crash)}"
                        looks.append(Preflight(run_error=why))
                except Hang as hang:
                    self._note_hang()
                    looks.append(Preflight(build_error=f"building it never ended: {hang}"))
            convicts = {**looks[0].convicts} | ({"HYG-03": guard.harm} if guard.harm else {})
            self._preflight = dataclasses.replace(looks[0], convicts=convicts)
        return self._preflight

    def _look(self) -> Preflight:
        try:
            with effects() as first:
                executor = self.build()
            self.built = f"{type(executor).__module__}:{type(executor).__qualname__}"
            # The first call of a factory may start the backend that its executors need.
            if self.target.is_class:
                self.first_build = first
        except BaseException as error:
            # sys.exit() and pytest.skip(), too, are ways of not giving an executor.
            return Preflight(build_error=_explain(error) + _raised_at(error))
        if not callable(getattr(executor, "execute", None)):
            self._template_host = True
        return first_look(executor, self)

    def where(self) -> str:
        """Where the event loop stands at this moment, in words."""
        return self._loop.where() if self._loop is not None else "no event loop is running"

    def _require(self, rule: Rule) -> None:
        facts = self.preflight()
        if facts.build_error and rule.id != "CON-01":
            raise CouldNotRun("blocked: no executor could be built, see CON-01")
        if rule.id in facts.convicts:
            self.fail(
                seen=f"building one executor and running one trivial task on it: "
                f"{facts.convicts[rule.id]}",
                required="the host goes on as before, and the call ends",
                cause="the line named above",
            )
        if "run" in rule.needs and facts.run_error:
            raise CouldNotRun(f"no task runs: {facts.run_error}")
        if "run" in rule.needs and len(self._hangs) >= _HANGS:
            raise CouldNotRun(f"not tried any more: calls never ended, see {self._hung_in}")
        for need in rule.needs:
            if need in facts.cannot:
                raise NotApplicable(f"the executor declares that it cannot: {need}")
        if "cancel" in rule.needs and not facts.cancels:
            raise NotApplicable("the executor has no cancel of its own")
        if "shared-files" in rule.needs and not facts.shared_files:
            raise NotApplicable("its tasks do not see the suite's files")
        if "run" in rule.needs:
            self._clear_doubts()

    def _clear_doubts(self) -> None:
        """Make sure that an ordinary task works on a fresh executor, where that is in doubt.

        A backend that all instances share, a pool or a client, may have been broken by what an
        earlier check did; no other rule is broken by that.

        Raises:
            CouldNotRun: it does not.
        """
        if self._blocked:
            raise CouldNotRun(self._blocked)
        if not self._doubts:
            return
        blocked = f"blocked: since {self._doubts} was judged, not even an ordinary task completes"

        async def story() -> Seen | None:
            executing = asyncio.ensure_future(self.execute(self.build(), echo, ("ordinary",)))
            seen = await finish(executing, _PATIENCE_WHERE_IN_DOUBT)
            executing.cancel()
            return seen

        def ordinary(subject: Subject) -> None:
            seen = subject.drive(story)
            if seen is None:
                subject._blocked = (
                    f"{blocked}: it had not ended after {_PATIENCE_WHERE_IN_DOUBT:g} s"
                )
                raise CouldNotRun(subject._blocked)
            if not seen.completed or seen.result != "ordinary":
                raise CouldNotRun(f"{blocked}: {seen}")

        try:
            self._attempt(ordinary)
        except RuleViolation:
            self._blocked = f"{blocked}: it never ended"
            raise CouldNotRun(self._blocked) from None
        self._doubts = ""

    # ---- judging -------------------------------------------------------------------------

    def judge(self, rule: Rule, function: Callable[[Subject], None]) -> None:
        """Run the check `function` of `rule` and keep what it found.

        Raises:
            RuleViolation, NotApplicable, CouldNotRun: as the check ended; any other error is
                the check's own crash, and the rule counts as not run.
        """
        __tracebackhide__ = True
        outcome: Outcome = "not_run"
        message, inherited = "", False
        finding: Finding | None = None
        self.rule = rule
        try:
            self.preflight()
            self._require(rule)
            self._attempt(function)
            outcome = "passed"
        except RuleViolation as violation:
            finding = violation.finding
            inherited = self._passes_under_template(rule, function)
            if inherited:
                violation.args = (f"{violation}\n\n  inherited: {INHERITED}",)
            outcome, message = "failed", str(violation)
            raise
        except NotApplicable as reason:
            outcome, message = "not_applicable", str(reason)
            raise
        except CouldNotRun as reason:
            outcome, message = "could_not_run", str(reason)
            raise
        except BaseException as crash:
            message = f"the check itself crashed: {_explain(crash)}"
            raise
        finally:
            self.rule = None
            self.findings[rule.id] = RuleOutcome(
                rule.id, outcome, message, inherited, finding=finding
            )
            went_well = outcome in ("passed", "not_applicable")
            if "run" in rule.needs and not (went_well and rule.id[:3] not in _INTERRUPTING):
                self._doubts = self._doubts or rule.id

    def _attempt(self, function: Callable[[Subject], None]) -> None:
        self._history = None
        try:
            with guarded() as guard:
                error = self._watch.call(lambda: function(self), self.patience)
        except Hang as hang:
            self._note_hang()
            error = hang
        if guard.exits:
            self.fail(
                seen=guard.harm,
                required="the host's process goes on, whatever becomes of a task",
                cause="os._exit() is for the child after a fork; an error is to be raised",
            )
        if isinstance(error, asyncio.CancelledError):
            self.fail(
                seen="a call of the executor's methods ended in CancelledError, and nobody had "
                "cancelled it",
                required="the outcome of the task, or its error; a CancelledError of a backend's "
                "own is told as TaskCancelledError, or with the status CANCELLED",
                cause="the executor cancels the very task of its host: with "
                "asyncio.current_task().cancel(), or, before Python 3.13, with a TaskGroup in "
                "which a task failed after the body of `async with` had ended",
            )
        if isinstance(error, Hang):
            self.fail(
                seen=f"the check never ended: {error}",
                required="every call of the executor's methods ends",
                cause="the line named above waits for something that never happens",
            )
        if error is not None:
            self._end_in(error, guard, function)

    def _end_in(
        self, error: BaseException, guard: Guard, function: Callable[[Subject], None]
    ) -> NoReturn:
        """End the check as it ended itself; what no check foresaw is a finding or our own crash."""
        if isinstance(error, RuleViolation | NotApplicable | CouldNotRun):
            raise error
        lost = isinstance(error, AttributeError) and type(error.obj) is self.cls
        if (
            guard.replaced
            or lost
            or _raised_outside(error, os.path.dirname(inspect.getfile(function)))
        ):
            harm = f"; {guard.harm}" if guard.harm else ""
            self.fail(
                seen=f"the check was ended by {_explain(error)}{_raised_at(error)}{harm}",
                required="an executor keeps its methods and attributes, leaves the host's modules "
                "alone, and raises errors where its caller can expect them",
                cause="the line named above; or an attribute that was deleted while a task ran",
            )
        if isinstance(error, Exception):
            raise error
        # Not even by these may an executor end more than the check of one rule.
        raise RuntimeError(f"the check ended in {error!r}") from error

    def _passes_under_template(self, rule: Rule, function: Callable[[Subject], None]) -> bool:
        if self._template_host or "run" not in rule.needs or not self.execute_is_foreign:
            return False
        self._template_host = True
        try:
            with guarded():
                return self._watch.call(lambda: function(self), self.patience) is None
        except Hang:
            return False
        finally:
            self._template_host = False

    @property
    def execute_is_foreign(self) -> bool:
        """Whether `execute` comes from a base class that is neither the subject's nor ours."""
        cls = self.cls
        definer = next((base for base in cls.__mro__ if "execute" in vars(base)), None)
        return definer not in (None, cls, AsyncBaseExecutor) and (
            definer.__module__ != cls.__module__
        )

    def fail(
        self,
        *,
        seen: object,
        required: str,
        cause: str = "",
        history: History | Sequence[Moment] | None = None,
        reproduce: str = "",
    ) -> NoReturn:
        """End the check: the rule is broken.

        Args:
            seen: what was observed, in words.
            required: what would have been right.
            cause: the likely mistake in the executor, as a hint to its author.
            history: the events under the executor, if they were recorded; else those of the last
                task that was followed.
            reproduce: lines of Python, run without pytest; `executor` is at hand, see `_preamble`.
        """
        __tracebackhide__ = True
        history = self._history if history is None else history
        if isinstance(history, History):
            history = history.told()
        told = None if history is None else tuple(history)
        lines = f"{self._preamble()}\n{inspect.cleandoc(reproduce)}" if reproduce else ""
        raise RuleViolation(self.rule, Finding(str(seen), required, cause, told, lines))

    def beacon(self, answer: Callable[[Attempt, int], None] | None = None) -> Beacon:
        """What tasks of the subject can report to, see `Beacon`."""
        facts = self.preflight()
        if facts.reaches_mailbox:
            return Mailbox(self.new_folder(), answer)
        return NetworkBeacon(answer)

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
            )

    def not_applicable(self, reason: str) -> NoReturn:
        """End the check: the executor honestly lacks what the rule speaks of."""
        raise NotApplicable(reason)

    def could_not_run(self, reason: str) -> NoReturn:
        """End the check: what it needs could not be had."""
        raise CouldNotRun(reason)

    def _preamble(self) -> str:
        module, _, name = self.target.spec.rpartition(":" if ":" in self.target.spec else ".")
        first, _, rest = name.partition(".")
        lines = [f"from {module} import {first}"]
        if module.startswith("covalent"):
            lines.insert(0, "import covalent")
        lines.append(f"executor = {first}{'.' if rest else ''}{rest}()")
        return "\n".join(lines)

    def close_loop(self) -> None:
        """End the event loop; whatever is driven after that is driven on a new one."""
        if self._loop is not None:
            self._loop.close()
            self._loop = None

    def close(self) -> None:
        """End the event loop and remove every file of the run."""
        self.close_loop()
        shutil.rmtree(self.folder, ignore_errors=True)


def _explain(error: BaseException) -> str:
    message = str(error)
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def _raised_outside(error: BaseException, suite: str) -> bool:
    """Whether code that is neither the suite's nor a library's raised it."""
    own = (os.path.dirname(__file__), suite)
    frames = traceback.extract_tb(error.__traceback__)
    last = max((i for i, frame in enumerate(frames) if frame.filename.startswith(own)), default=-1)
    return any(
        not of_library(frame.filename) and "hypothesis" not in Path(frame.filename).parts
        for frame in frames[last + 1 :]
    )


def _raised_at(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not of_library(frame.filename)]
    return f'\nat {own[-1].filename}:{own[-1].lineno}: "{own[-1].line}"' if own else ""


async def finish(executing: asyncio.Future[Seen], limit: float = 60.0) -> Seen | None:
    """Wait for the end of a task that nothing holds any more; None if it does not come.

    The limit is a guard far away, for executors that hang.
    """
    done, _ = await asyncio.wait({executing}, timeout=limit)
    return executing.result() if done else None
