"""The subject: preflight, needs, and the ways in which the judging of a rule can end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pytest_asyncexec.conformance.instruments.loop import Hang
from pytest_asyncexec.conformance.subject.exceptions import (
    CouldNotRun,
    NotApplicable,
    RuleViolation,
)
from pytest_asyncexec.conformance.subject.judging import judge
from pytest_asyncexec.conformance.subject.kept import Kept
from pytest_asyncexec.conformance.subject.subject import Subject
from pytest_asyncexec.reference_executor import LocalExecutor, ThreadExecutor

from pytest_asyncexec.contract.catalogue import RULES
from pytest_asyncexec.contract.rule import NEEDS
from pytest_asyncexec.contract.verdict import RuleOutcome
from pytest_asyncexec.targets.target import Target

STATIC, RUN = RULES["CON-02"], RULES["LIF-08"]


class NoBackend(ThreadExecutor):
    async def run(self, function, args, kwargs, task_metadata):
        raise ConnectionRefusedError("nobody listens at login.example:22")


class CannotBeBuilt(ThreadExecutor):
    def __init__(self):
        raise KeyError("QUEUE is not set")


class Foreign:
    """Somebody's base class, whose template forgets to run the task."""

    cannot = ThreadExecutor.cannot
    __module__ = "somebody.base"

    async def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        metadata = {"dispatch_id": dispatch_id, "node_id": node_id, "results_dir": results_dir}
        await self.setup(metadata)
        return await self.run(function, args, kwargs, metadata), "", "", "COMPLETED"


class Derived(Foreign):
    async def setup(self, task_metadata):
        pass

    async def run(self, function, args, kwargs, task_metadata):
        return await asyncio.to_thread(function, *args, **kwargs)

    async def teardown(self, task_metadata):
        pass


@pytest.fixture
def subject_of() -> Iterator[Callable[[Callable[[], Any]], Subject]]:
    subjects: list[Subject] = []

    def make(build: Callable[[], Any]) -> Subject:
        name = build.__qualname__
        target = Target(f"{build.__module__}:{name}", name, build, isinstance(build, type))
        subjects.append(Subject(target))
        return subjects[-1]

    yield make
    for subject in subjects:
        subject.close()


def test_preflight_of_an_executor_in_this_process(subject_of) -> None:
    facts = subject_of(ThreadExecutor).preflight()

    assert facts.place == "this process"
    assert facts.shared_files
    assert facts.reaches_beacon
    assert not facts.captures_streams
    assert not facts.cancels
    assert "declares that it cannot: stop, streams" in facts.summary


def test_preflight_of_an_executor_in_other_processes(subject_of) -> None:
    facts = subject_of(LocalExecutor).preflight()

    assert facts.place == "another process of this machine"
    assert facts.shared_files
    assert facts.reaches_beacon
    assert facts.captures_streams
    assert facts.cancels


def test_preflight_prints_nothing(subject_of, capfd) -> None:
    subject_of(ThreadExecutor).preflight()

    assert capfd.readouterr() == ("", "")


def test_without_a_backend_static_rules_are_judged_and_the_others_could_not_run(subject_of) -> None:
    subject = subject_of(NoBackend)

    judge(subject, STATIC, lambda subject: None)
    with pytest.raises(CouldNotRun, match="nobody listens at login"):
        judge(subject, RUN, lambda subject: None)

    assert subject.findings["CON-02"].outcome == "passed"
    assert subject.findings["LIF-08"].outcome == "could_not_run"


def test_what_cannot_be_built_blocks_every_rule(subject_of) -> None:
    subject = subject_of(CannotBeBuilt)

    for rule in (STATIC, RUN):
        with pytest.raises(CouldNotRun, match="blocked: no executor could be built"):
            judge(subject, rule, lambda subject: None)
    assert "QUEUE is not set" in subject.preflight().summary


def test_a_factory_that_returns_something_else_cannot_be_judged(subject_of) -> None:
    async def later():
        return ThreadExecutor()

    def a_class():
        return ThreadExecutor

    def awaits_nothing():
        return later()

    for build, says in (
        (dict, "has no method `run`"),
        (a_class, "it is a class"),
        (awaits_nothing, "it is a coroutine"),
    ):
        assert says in subject_of(build).preflight().summary


@pytest.mark.parametrize("ending", [SystemExit, pytest.skip.Exception, pytest.exit.Exception])
def test_however_a_constructor_ends_it_could_not_be_built(subject_of, ending) -> None:
    class Ends(ThreadExecutor):
        def __init__(self):
            raise ending("no licence")

    facts = subject_of(Ends).preflight()

    assert f": no licence, at {__file__}:" in facts.summary
    assert f"at {__file__}:" in facts.build_error
    assert 'raise ending("no licence")' in facts.build_error


@pytest.mark.parametrize(
    ("rule_id", "reason"),
    [
        ("TIM-02", "declares that it cannot: stop"),
        ("RES-06", "declares that it cannot: streams"),
        ("CAN-04", "no cancel of its own"),
    ],
)
def test_what_is_honestly_absent_is_not_applicable(subject_of, rule_id, reason) -> None:
    subject = subject_of(ThreadExecutor)

    with pytest.raises(NotApplicable, match=reason):
        judge(subject, RULES[rule_id], lambda subject: None)
    assert subject.findings[rule_id].outcome == "not_applicable"


class Bare:
    """Has nothing but `run`, and of a constructor with settings nothing either."""

    cannot = ("stop",)

    def run(self, function, args, kwargs, task_metadata):
        return function(*args, **kwargs)

    def execute(self, function, args, kwargs, dispatch_id, results_dir, node_id=-1):
        return function(*args, **kwargs), "", "", "COMPLETED"

    def write_streams_to_file(self, stream_strings, filepaths, dispatch_id, results_dir):
        pass


@pytest.mark.parametrize(
    ("rule_id", "lacking", "reason"),
    [
        ("LIF-03", ("teardown",), "the executor has no teardown"),
        ("LIF-04", ("setup",), "the executor has no setup"),
        ("CON-07", ("settings",), "the constructor takes neither time_limit nor retries"),
        ("CAN-01", ("awaited-execute",), "execute is synchronous"),
        ("CAN-06", ("teardown", "awaited-execute"), "the executor has no teardown"),
        ("STR-09", ("awaited-writes",), "hosts call it on a thread"),
        ("RES-09", ("worker-process",), "tasks run in the host's own process"),
        ("TIM-09", ("stop", "local-process"), "it cannot: stop"),
    ],
)
def test_what_is_lacking_is_found_before_a_check_is_run(
    subject_of, rule_id, lacking, reason
) -> None:
    subject = subject_of(Bare)

    with pytest.raises(NotApplicable, match=reason):
        judge(subject, RULES[rule_id], lambda subject: pytest.fail("it was run"))
    assert subject.findings[rule_id].lacking == lacking
    assert not set(lacking) & set(subject.preflight().needs)


def test_an_executor_that_has_everything_lacks_nothing(subject_of) -> None:
    facts = subject_of(LocalExecutor).preflight()

    assert facts.needs == tuple(NEEDS)


def test_a_check_says_not_applicable_for_want_of_what_the_rule_may_need(subject_of) -> None:
    subject = subject_of(Bare)

    with pytest.raises(NotApplicable):
        judge(subject, RULES["CON-05"], lambda subject: subject.not_applicable("no cancel"))
    assert subject.findings["CON-05"].lacking == ("cancel",)


def test_a_check_that_says_so_for_nothing_is_wrong_itself(subject_of) -> None:
    subject = subject_of(ThreadExecutor)

    with pytest.raises(RuntimeError, match="the check itself is wrong: it is Monday"):
        judge(subject, STATIC, lambda subject: subject.not_applicable("it is Monday"))
    found = subject.findings[STATIC.id]
    assert (found.outcome, found.lacking) == ("not_run", ())
    assert "no need of CON-02" in found.message


@pytest.mark.parametrize("named", ["static", "run", "streems", ["stop", "cancel"]])
def test_what_nobody_can_declare_is_no_excuse(subject_of, named) -> None:
    class Excused(ThreadExecutor):
        cannot = named

    facts = subject_of(Excused).preflight()
    assert facts.run_error.startswith("its attribute `cannot` names ")
    assert facts.run_error.endswith("can declare is at-most-once, shared-files, stop, streams")
    assert set(facts.needs) - facts.offers == {"static"}


def test_a_violation_explains_itself(subject_of) -> None:
    subject = subject_of(ThreadExecutor)

    def check(subject: Subject) -> None:
        subject.fail(seen="this\nand that", required="something else", reproduce="print(executor)")

    with pytest.raises(RuleViolation) as violation:
        judge(subject, STATIC, check)

    message = str(violation.value)
    assert message.startswith(str(STATIC))
    assert "  seen:      this\n             and that\n" in message
    assert "  required:  something else" in message
    assert "ThreadExecutor()\n      print(executor)" in message
    finding = subject.findings["CON-02"].finding
    assert finding is not None
    assert finding.seen == "this\nand that"
    assert finding.history is None
    assert subject.findings["CON-02"] == RuleOutcome("CON-02", "failed", message, finding=finding)


def test_a_crash_of_the_check_is_no_verdict(subject_of) -> None:
    subject = subject_of(ThreadExecutor)

    def check(subject: Subject) -> None:
        raise ZeroDivisionError("a mistake of ours")

    with pytest.raises(ZeroDivisionError):
        judge(subject, STATIC, check)

    finding = subject.findings["CON-02"]
    assert finding.outcome == "not_run"
    assert "a mistake of ours" in finding.message


def test_a_hang_is_a_violation(subject_of) -> None:
    def check(subject: Subject) -> None:
        raise Hang("the event loop was blocked at somewhere")

    subject = subject_of(ThreadExecutor)
    with pytest.raises(RuleViolation, match="blocked at somewhere"):
        judge(subject, STATIC, check)


def test_a_fault_of_an_inherited_execute_is_marked(subject_of) -> None:
    # The base's template never awaits teardown; the executor's own methods are right.
    subject = subject_of(Derived)

    def check(subject: Subject) -> None:
        executor = subject.build()
        with subject.recording(executor) as history:
            subject.run(executor, abs, -1)
        if history.count("teardown") != 1:
            subject.fail(seen="no teardown", required="teardown")

    with pytest.raises(RuleViolation, match="inherited: the same check passes"):
        judge(subject, RUN, check)
    assert subject.findings["LIF-08"].inherited


def test_settings_that_a_foreign_base_leaves_out_of_their_domain_are_mended(subject_of) -> None:
    # The template would refuse them, and every rule be broken by that.
    class Legacy(Derived):
        def __init__(self) -> None:
            super().__init__()
            vars(self).update(time_limit="", retries=False)

    subject, seen = subject_of(Legacy), []

    def check(subject: Subject) -> None:
        executor = subject.build()
        seen.append((executor.time_limit, executor.retries))
        subject.fail(seen="it", required="else")

    with pytest.raises(RuleViolation):
        judge(subject, RUN, check)
    assert seen == [("", False), (-1, 0)]


def test_a_fault_of_its_own_is_not_marked(subject_of) -> None:
    class Faulty(Derived):
        pass

    subject = subject_of(Faulty)

    def check(subject: Subject) -> None:
        subject.fail(seen="wrong under every host", required="right")

    with pytest.raises(RuleViolation) as violation:
        judge(subject, RUN, check)
    assert "inherited" not in str(violation.value)


def test_a_constructor_is_given_what_a_built_executor_has(subject_of) -> None:
    class Demanding(ThreadExecutor):
        def __init__(self, address, port=22, **kwargs):
            super().__init__(**kwargs)
            self.address = address
            self.port = port

    def make() -> Demanding:
        return Demanding("login.example")

    executor = subject_of(make).construct(port=2222)

    assert (executor.address, executor.port) == ("login.example", 2222)


def test_a_demand_that_is_no_attribute_could_not_run(subject_of) -> None:
    class Secretive(ThreadExecutor):
        def __init__(self, password):
            super().__init__()

    def make() -> Secretive:
        return Secretive("known to the factory alone")

    with pytest.raises(CouldNotRun, match="demands 'password'"):
        subject_of(make).construct()


def test_attributes_are_set_on_what_is_built(subject_of) -> None:
    assert subject_of(ThreadExecutor).build(retries=2).retries == 2


@pytest.mark.parametrize("hosts_differ", [True, False])
def test_what_is_known_under_one_host_is_known_under_another_where_they_do_not_differ(
    hosts_differ: bool,
) -> None:
    kept = Kept(lambda _: object(), hosts_differ=hosts_differ)
    subject = Subject(Target("tests:LocalExecutor", "LocalExecutor", LocalExecutor, True))
    native = kept.of(subject)
    subject.tasks.under_template = True

    assert (kept.of(subject) is native) is not hosts_differ
