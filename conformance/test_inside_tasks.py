"""RES: what a task may do in its worker, what it finds there, and what it leaves."""

from __future__ import annotations

from collections.abc import Callable

from .check import check
from .instruments.seen import Seen
from .scenarios.recovery import NEXT, has_no_end
from .scenarios.succession import Ending, again_alone, next_alone, succession_of
from .subject.subject import Subject

_EQUAL_TASKS = """
    import asyncio
    from pytest_asyncexec.conformance.subject.host import host_for

    def task(*args):
        import os
        return os.urandom(8).hex()

    async def main():
        both = [host_for(executor).execute(executor, task, [1], dispatch_id=n) for n in "ab"]
        for seen in await asyncio.gather(*both):
            print(seen)
        for n in "cb":
            print(await host_for(executor).execute(executor, task, [1], dispatch_id=n))

    asyncio.run(main())
"""


@check("RES-14")
def test_RES_14_must_run_every_task(subject: Subject) -> None:
    # Two at once, and one after each of them: of the last one the ids have been used, too.
    found = succession_of(subject)
    equal = [*found.of("RES-14"), *(after for _, after in found.next_to("RES-14"))]
    runs = [ending.returned.get("run") for ending in equal]

    for later, run in enumerate(runs):
        if run in runs[:later] and run is not None:
            former = runs.index(run)
            same_ids = equal[former].trial.same_ids
            subject.fail(
                seen=f"a function that returns something else each time it runs was executed "
                f"twice, {'at once' if former // 2 == later // 2 else 'one after the other'}, with "
                f"equal arguments{' and ids' * same_ids}, and returned the same: "
                f"{equal[later].seen}",
                required="each of them is run, however equal they are",
                cause="results are kept by the ids of dispatch and node, which a host uses again "
                "where it runs a node again: let each `execute` have a key of its own"
                if same_ids
                else "results are kept, or tasks that are under way are joined, by function and "
                "arguments: let each `execute` have a key of its own, or tell the backend that "
                "nothing is pure",
                reproduce=_EQUAL_TASKS,
            )
    # Nobody has to take ids that were used.
    lost = [ending.seen for ending, run in zip(equal[:3], runs, strict=False) if run is None]
    if lost:
        subject.could_not_run(f"of tasks that are equal one did not succeed: {lost[0]}")


_OF_THE_SUITE = """
    import asyncio
    from pytest_asyncexec.conformance.instruments.by_value import ByValue
    from pytest_asyncexec.conformance.instruments.in_tasks import {name}
    from pytest_asyncexec.conformance.subject.host import host_for

    async def main():
        for task, args in ((ByValue({name}), {args}), (abs, [-1])):
            print(await host_for(executor).execute(executor, task, args))

    asyncio.run(main())
"""


def _script(ending: Ending) -> str:
    trial = ending.trial
    return _OF_THE_SUITE.format(name=trial.function.__name__, args=list(trial.args))


def _of_the_result(ending: Ending) -> str:
    """What is wrong with a task of which it is known what it returns; or nothing."""
    seen = ending.seen
    if seen.completed and seen.result == ending.trial.result:
        return ""
    if seen.completed and isinstance(seen.result, str) and ending.trial.result == "":
        return seen.result
    return str(seen)


def _wrong_alone(subject: Subject, wrong: Callable[[Ending], str]) -> tuple[Ending, str] | None:
    """The first one of the subject's rule that is wrong among others and by itself."""
    assert subject.rule is not None
    for ending in succession_of(subject).of(subject.rule.id):
        if wrong(ending):
            again = again_alone(subject, ending.trial)
            found = wrong(again)
            if found:
                return again, found
    return None


@check("RES-15")
def test_RES_15_must_keep_what_is_written_from_its_results(subject: Subject) -> None:
    required = "the task's own result, whatever was written; and the next task works"
    found = _wrong_alone(subject, _of_the_result)
    if found is not None:
        ending, wrong = found
        subject.fail(
            seen=f"a task that {ending.trial.what}: {wrong}",
            required=required,
            cause=_cause_by_output(ending.seen),
            reproduce=_script(ending),
        )
    for ending, after in succession_of(subject).next_to("RES-15"):
        if not after.returned:
            again = next_alone(subject, ending.trial)
            if not again.returned:
                subject.fail(
                    seen=f"a task that {ending.trial.what}; {NEXT.format(again.seen)}",
                    required=required,
                    cause=_cause_by_output(again.seen),
                    reproduce=_script(ending),
                )


def _cause_by_output(seen: Seen) -> str:
    if has_no_end(seen):
        return (
            "somebody waits for the end of a worker before reading what it writes, and the worker "
            "for room in the pipe: read meanwhile, or let output go to files"
        )
    if "UnicodeDecodeError" in seen.everything_said:
        return (
            "what is written need not be text, and is decoded as if it were: decode it with "
            '`errors="backslashreplace"`'
        )
    return (
        "results come by the standard output or error of the worker: send them by a file or a "
        "descriptor of their own, and give the worker other descriptors 1 and 2"
    )


_LEFT_BEHIND = """
    import asyncio, time
    from pytest_asyncexec.conformance.subject.host import host_for

    def task(seconds):
        import subprocess, sys, threading, time
        {starts}

    async def main():
        begun = time.monotonic()
        print(await host_for(executor).execute(executor, task, [20]))
        print(f"after {{time.monotonic() - begun:.1f}} s")

    asyncio.run(main())
"""

_STARTS_A_CHILD = (
    'subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({seconds})"]{more})'
)
_STARTS_A_THREAD = "threading.Thread(target=time.sleep, args=[seconds], daemon=True).start()"


def _of_the_wait(ending: Ending) -> str:
    """What is wrong with the outcome of a task that has left something; or nothing."""
    if ending.held_up:
        ends = "never, and not then either" if has_no_end(ending.seen) else "only then"
        return (
            f"the task had returned and nothing came; what it had left was let go, and the "
            f"outcome came {ends}: {ending.seen}"
        )
    return ""


@check("RES-16")
def test_RES_16_must_not_wait_for_what_a_task_leaves(subject: Subject) -> None:
    subject.need_beacon()

    found = _wrong_alone(subject, _of_the_wait)

    if found is not None:
        ending, wrong = found
        child = "child" in ending.trial.what
        more = ", start_new_session=True" if "session" in ending.trial.what else ""
        starts = _STARTS_A_CHILD.replace("{more}", more) if child else _STARTS_A_THREAD
        subject.fail(
            seen=f"a task that {ending.trial.what}: {wrong}",
            required="the outcome, as soon as the function has returned and its worker is done",
            cause="a pipe is read to its end, which comes when the last one closes it that has "
            "inherited it: end the reading when the worker has ended, or let output go to files"
            if child
            else "all threads are joined, daemon ones too",
            reproduce=_LEFT_BEHIND.format(starts=starts),
        )
    for ending in succession_of(subject).of("RES-16"):
        if not ending.seen.completed:
            _need_success(subject, again_alone(subject, ending.trial))


def _need_success(subject: Subject, ending: Ending) -> None:
    if not ending.seen.completed:
        subject.could_not_run(f"a task that {ending.trial.what} does not succeed: {ending.seen}")


@check("RES-17")
def test_RES_17_should_let_tasks_start_processes(subject: Subject) -> None:
    found = _wrong_alone(subject, _of_the_result)

    if found is not None:
        ending, wrong = found
        subject.fail(
            seen=f"a task that {ending.trial.what}: {wrong}",
            required="it works as in a script, and a child finds the modules that the task finds",
            cause=_cause_of_no_child(ending.seen, wrong),
            reproduce=_script(ending),
        )


def _cause_of_no_child(seen: Seen, wrong: str) -> str:
    if "daemonic" in seen.everything_said:
        return (
            "its workers are daemonic processes of multiprocessing, as those of a Pool, which may "
            "have no children: start them another way"
        )
    if "import" in wrong:
        return (
            "the worker's script puts its own folder on the import path, also where a child loads "
            "it again as `__mp_main__`: start it with `-P`, and leave the path alone at import"
        )
    return (
        "the worker's script does its work when it is loaded again in a child, for lack of "
        '`if __name__ == "__main__"`; or the task runs where an event loop runs already'
    )


@check("RES-18")
def test_RES_18_should_end_the_input_of_tasks(subject: Subject) -> None:
    found = _wrong_alone(subject, _of_the_result)

    if found is not None:
        ending, wrong = found
        subject.fail(
            seen=f"a task that {ending.trial.what}: {wrong}",
            required='the end of the input, at once: `sys.stdin.read()` is "", `input()` raises '
            "EOFError",
            cause="the worker has a pipe for its standard input that stays open, or the terminal "
            "of its host: give it `stdin=subprocess.DEVNULL`, and talk to it another way",
            reproduce=_script(ending),
        )
