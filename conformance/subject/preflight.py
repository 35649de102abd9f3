"""Before anything is judged: build one executor, run one trivial task, and look at what happens."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import io
import os
import re
import secrets
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ...base.executor import AsyncBaseExecutor
from ...base.plain import BaseExecutor
from ...contract.rule import DECLARABLE, NEEDS
from ...contract.wording import printable, short
from ..instruments import patience
from ..instruments.beacon import Attempt, Beacon, NetworkBeacon
from ..instruments.guard import Guard, guarded
from ..instruments.loop import Hang
from ..instruments.mailbox import Mailbox
from ..instruments.probes import look_around
from ..instruments.process_state import ProcessState, may_be_there_to_stay
from ..instruments.seen import Seen
from .blame import explain, raised_at
from .building import Building
from .driving import Driving
from .tasks import Tasks

THIS_PROCESS = "this process"
ANOTHER_PROCESS = "another process of this machine"


@dataclass(frozen=True, slots=True)
class Preflight:
    """What one built executor and one trivial task showed."""

    build_error: str = ""
    run_error: str = ""
    place: str = ""
    shared_files: bool = False
    #: Whether tasks can connect to the suite; and if not, talk to it through files that they share.
    reaches_beacon: bool = False
    reaches_mailbox: bool = False
    captures_streams: bool = False
    #: The needs that a look at the executor itself shows to be met; no task is run for them.
    offers: frozenset[str] = frozenset()
    cannot: frozenset[str] = frozenset()
    #: How long the trivial task took. It decides nothing: waits and limits are chosen by it.
    seconds: float = 0.0
    #: Where the executor kept the event loop from running for as long as its task ran.
    blocks_loop_at: str = ""
    #: How the task changed what all of this process shares.
    changes: tuple[str, ...] = ()
    #: Rules that are broken so badly that nothing else can be found out: what was seen, by id.
    convicts: Mapping[str, str] = field(default_factory=dict)

    @property
    def reachable(self) -> bool:
        """Whether tasks can be talked to while they run."""
        return self.reaches_beacon or self.reaches_mailbox

    @property
    def cancels(self) -> bool:
        """Whether it has a `cancel` of its own."""
        return "cancel" in self.offers

    @property
    def declared_absent(self) -> frozenset[str]:
        """What it declares that it cannot do, but for what was found all the same."""
        # A task has its line home over files that are shared, or over a connection: either will do.
        return self.cannot - {"shared-files"} if self.reachable else self.cannot

    @property
    def is_local(self) -> bool:
        """Whether tasks run on this machine: a fresh process has a fresh backend then."""
        return self.place in (THIS_PROCESS, ANOTHER_PROCESS)

    @property
    def needs(self) -> tuple[str, ...]:
        """What of all that rules need was found, see `rule.NEEDS`."""
        runs = not self.build_error and not self.run_error
        found = {
            **{need: need in self.offers for need in NEEDS},
            "static": not self.build_error,
            "run": runs,
            "shared-files": self.shared_files or self.reachable,
            "streams": self.captures_streams,
            "stop": runs,
            "worker-process": self.place not in ("", THIS_PROCESS),
            "local-process": self.place == ANOTHER_PROCESS,
            "at-most-once": runs,
        }
        return tuple(need for need in NEEDS if found[need] and need not in self.declared_absent)

    @property
    def summary(self) -> str:
        """One line for people: what this executor can do."""
        if self.build_error:
            return f"could not be built: {_in_a_line(printable(self.build_error))}"
        if self.run_error:
            return f"builds, but runs no task: {_in_a_line(printable(self.run_error))}"
        facts = [
            f"tasks run in {self.place}",
            "shared files" if self.shared_files else "no shared files",
            "streams captured" if self.captures_streams else "streams not captured",
            "cancel of its own" if self.cancels else "no cancel of its own",
        ]
        if not self.reaches_beacon:
            facts.append("no connection to the suite")
        if self.blocks_loop_at:
            facts.append("a running task blocks the host's event loop")
        if self.cannot:
            facts.append(f"declares that it cannot: {', '.join(sorted(self.cannot))}")
        return ", ".join(facts)


def first_look(building: Building, driving: Driving, tasks: Tasks) -> Preflight:
    """Build one executor and run one trivial task; never raises."""
    looks: list[Preflight] = []
    with guarded() as guard:
        try:
            crash = driving.call(lambda: looks.append(_look(building, driving, tasks, guard)))
            if crash is not None:
                why = f"the first look at it crashed: {explain(crash)}{raised_at(crash)}"
                looks.append(Preflight(run_error=why))
        except Hang as hang:
            driving.note_hang()
            looks.append(Preflight(build_error=f"building it never ended: {hang}"))
    convicts = {**looks[0].convicts} | ({"HYG-03": guard.harm} if guard.harm else {})
    return replace(looks[0], convicts=convicts)


def _look(building: Building, driving: Driving, tasks: Tasks, guard: Guard) -> Preflight:
    try:
        executor = building.first()
    except BaseException as error:
        # sys.exit() and pytest.skip(), too, are ways of not giving an executor.
        return Preflight(build_error=explain(error) + raised_at(error))
    if not building.target.is_class:
        # A cluster in this process sets variables for its workers, and again for each new one.
        guard.keep_environment()
    if not callable(getattr(executor, "execute", None)):
        tasks.under_template = True
    wrong = _no_executor(executor)
    if wrong:
        return Preflight(
            build_error=f"{building.target.spec} gave {short(executor)}, which is no executor: "
            f"{wrong}"
        )
    declared = getattr(executor, "cannot", ())
    cannot = frozenset({declared} if isinstance(declared, str) else declared)
    offers = _offers(executor, building, tasks)
    unknown = sorted(map(str, cannot - DECLARABLE))
    if unknown:
        return Preflight(
            offers=offers,
            run_error=f"its attribute `cannot` names {', '.join(unknown)}; what an executor can "
            f"declare is {', '.join(sorted(DECLARABLE))}",
        )
    folder, marker = tasks.new_folder(), secrets.token_hex(8)
    (folder / "from-suite").write_text(marker, encoding="utf-8")
    rescues = _Rescue(driving), _Rescue(driving)

    async def story() -> Seen:
        mailbox = lines[1].address if lines[1:] else ""
        executing = asyncio.ensure_future(
            tasks.execute(executor, look_around, (str(folder), marker, lines[0].address, mailbox))
        )

        # The event loop itself lets the task go on: who blocks it has to wait for the rescue.
        async def let_go(line: Beacon, rescue: _Rescue) -> None:
            if await line.reported(1, executing):
                rescue.not_needed(line.attempts[0])

        await asyncio.gather(*map(let_go, lines, rescues))
        return await executing

    with contextlib.ExitStack() as stack:
        lines: list[Beacon] = [stack.enter_context(NetworkBeacon(rescues[0]))]
        with contextlib.suppress(OSError):
            lines.append(stack.enter_context(Mailbox(tasks.new_folder(), rescues[1])))
        # An executor that runs tasks in this process lets the probe's marker through.
        stack.enter_context(unseen())
        begun, state = time.monotonic(), ProcessState()
        try:
            seen = driving.drive(story)
        except Hang as hang:
            why = f"a trivial task never ended: {hang}"
            # A backend that cannot be reached may keep a task from beginning, but not from ending.
            convicts = {"LIF-09": why} if any(line.attempts for line in lines) else {}
            if "the event loop is blocked" in why:
                convicts["CNC-03"] = why
            if "was stopped, or closed" in why:
                convicts["HYG-03"] = why
            return Preflight(run_error=why, offers=offers, cannot=cannot, convicts=convicts)
        finally:
            changes = tuple(state.changes())
            # Nobody could tell later that it was another one before.
            state.restore("path")
    if not seen.completed or not isinstance(seen.result, dict):
        ends_hosts = seen.error is not None and not isinstance(
            seen.error, Exception | asyncio.CancelledError
        )
        return Preflight(
            run_error=_why_not(seen),
            offers=offers,
            cannot=cannot,
            convicts={"RES-08": f"{seen}, which ends the host"} if ends_hosts else {},
        )
    found = seen.result
    blocked_at = rescues[0].blocked_at or rescues[1].blocked_at
    return Preflight(
        place=_place(found["host"], found["pid"]),
        shared_files=found["shares_files"] and (folder / "from-task").is_file(),
        reaches_beacon=found["reaches_beacon"],
        reaches_mailbox=found["reaches_mailbox"],
        captures_streams=f"{marker} out" in seen.stdout and f"{marker} err" in seen.stderr,
        offers=offers,
        cannot=cannot,
        seconds=0.0 if blocked_at else time.monotonic() - begun,
        blocks_loop_at=blocked_at,
        changes=tuple(each for each in changes if not may_be_there_to_stay(each)),
    )


def _no_executor(found: Any) -> str:
    """Why `found` is not what a target has to build, or an empty string."""
    if isinstance(found, type):
        return "it is a class; the factory has to return an instance of it"
    if inspect.iscoroutine(found):
        found.close()  # nobody is going to await it, of which Python would warn
        return "it is a coroutine; the factory has to build the executor before it returns"
    return "" if callable(getattr(found, "run", None)) else "it has no method `run`"


class _Rescue:
    """Lets the trivial task go on in the event loop's place, and says where that was blocked."""

    def __init__(self, driving: Driving) -> None:
        self._driving = driving
        self._told = threading.Event()
        self.blocked_at = ""

    def not_needed(self, attempt: Attempt) -> None:
        self._told.set()
        attempt.tell(do="return", value=None)

    def __call__(self, attempt: Attempt, number: int) -> None:
        # Nobody else can use the thread of the loop while the task itself does.
        hello = attempt.hello
        is_on_the_loop = (hello["pid"], hello["thread"]) == (os.getpid(), self._driving.thread)
        if is_on_the_loop or not self._told.wait(patience.RESCUE):
            self.blocked_at = self._driving.where()
            attempt.tell(do="return", value=None)


def _place(host: str, pid: int) -> str:
    if host != socket.gethostname():
        return "another machine"
    return THIS_PROCESS if pid == os.getpid() else ANOTHER_PROCESS


@contextlib.contextmanager
def unseen() -> Iterator[None]:
    """Within this block what this process prints is thrown away."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


def _offers(executor: Any, building: Building, tasks: Tasks) -> frozenset[str]:
    """The needs that an executor meets by what it and its class are."""
    method = "run" if tasks.under_template else "execute"
    writes = getattr(executor, "write_streams_to_file", None)
    found = {
        "cancel": _overrides_cancel(type(executor)),
        "setup": callable(getattr(executor, "setup", None)),
        "teardown": callable(getattr(executor, "teardown", None)),
        "settings": building.takes("time_limit") or building.takes("retries"),
        "awaited-execute": inspect.iscoroutinefunction(getattr(executor, method, None)),
        # Of one without such a method CON-04 tells.
        "awaited-writes": writes is None or inspect.iscoroutinefunction(writes),
    }
    return frozenset(need for need, met in found.items() if met)


def _overrides_cancel(cls: type) -> bool:
    definer = next((base for base in cls.__mro__ if "cancel" in vars(base)), None)
    if definer is None or definer in (AsyncBaseExecutor, BaseExecutor):
        return False
    return definer.__module__ != "covalent.executor.base"


def _why_not(seen: Seen) -> str:
    said = seen.stderr.strip().splitlines()
    return f"{seen}" + (f" (last line of stderr: {said[-1]})" if said and not seen.error else "")


def _in_a_line(text: str) -> str:
    """The first line of what went wrong, and where it did, if that is known."""
    if not text.strip():
        return text
    first, *others = text.strip().splitlines()
    at = re.match(r'(at .+:\d+): "', others[-1]) if others else None
    return f"{first}, {at[1]}" if at else first
