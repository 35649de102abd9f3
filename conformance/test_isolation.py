"""ISO: what is there of one task when the next one runs."""

from __future__ import annotations

from collections.abc import Iterator

from .check import check
from .instruments.changes import CHANGES
from .scenarios.fresh_process import in_main_thread_of_a_fresh_process
from .scenarios.succession import Ending, Succession, again_alone, succession_of
from .subject.subject import Subject

_LOOK_AROUND = """
    import asyncio
    from pytest_asyncexec.conformance.instruments.by_value import ByValue
    from pytest_asyncexec.conformance.instruments.leftovers import {names}
    from pytest_asyncexec.conformance.subject.host import host_for

    async def run(task, *args):
        seen = await host_for(executor).execute(executor, ByValue(task), args)
        print(seen)

    async def main():
        {first}
        await asyncio.gather(*(run(look) for _ in range(8)))

    asyncio.run(main())
"""


@check("ISO-01")
def test_ISO_01_must_give_each_task_surroundings_of_its_own(subject: Subject) -> None:
    _judge_changes(subject)


@check("ISO-02")
def test_ISO_02_should_give_each_task_a_process_as_new(subject: Subject) -> None:
    _judge_changes(subject)


def _judge_changes(subject: Subject) -> None:
    assert subject.rule is not None
    found = succession_of(subject)
    changes = [change for group in CHANGES[subject.rule.id] for change in group]
    made = {each for ending in found.first for each in ending.returned.get("left", ())}
    there = {
        each
        for ending in (*found.first, *found.second)
        for each in ending.returned.get("found", ())
    }
    # A mark that every worker had before anybody made it is no mark.
    kept = [change for change in changes if change in there & made]
    if kept:
        subject.fail(
            seen=f"a task changed {kept[0]}, and a later one found it so"
            + (f"; likewise {', '.join(kept[1:])}" if kept[1:] else ""),
            required="a task finds what a worker has that nobody has used",
            cause="workers serve one task after the other, and nobody puts back what a task has "
            "changed: fork each task from a process that is never used itself, start a fresh "
            "one, or put everything back and end the worker where that cannot be done",
            reproduce=_LOOK_AROUND.format(
                names="leave, look", first=f"await run(leave, {', '.join(map(repr, kept))})"
            ),
        )
    _need_both(subject, found, made & set(changes))
    for ending in found.of(subject.rule.id):
        if not ending.returned:
            again = again_alone(subject, ending.trial)
            if not again.returned:
                subject.could_not_run(
                    f"a task that {ending.trial.what} does not succeed: {again.seen}"
                )


def _need_both(subject: Subject, found: Succession, made: set[str]) -> None:
    """End the check where nothing was changed, or nobody came to look."""
    if not made:
        tried = found.of(subject.rule.id if subject.rule else "")
        seen = next((ending.seen for ending in tried if not ending.returned), "nothing")
        subject.could_not_run(f"no task could change anything of its process: {seen}")
    _need_lookers(subject, found)


def _need_lookers(subject: Subject, found: Succession) -> None:
    if not any("found" in ending.returned for ending in found.second):
        seen = next((ending.seen for ending in found.second), "none ran")
        subject.could_not_run(f"no task that was to look around succeeded: {seen}")


@check("ISO-03")
def test_ISO_03_must_give_late_words_to_nobody_else(subject: Subject) -> None:
    found = succession_of(subject)

    for writer in found.of("ISO-03"):
        for other in (*found.first, *found.second):
            said = other.seen.everything_said
            if other.trial is not writer.trial and writer.trial.word in said:
                lines = [line for line in said.splitlines() if writer.trial.word in line]
                how = lines[0].partition(writer.trial.word)[2].strip()
                subject.fail(
                    seen=f"a task that {writer.trial.what}; what it wrote {how} is in the outcome "
                    f"of a later one: {other.seen}",
                    required="late words are in the outcome of the task that has left them, or "
                    "nowhere",
                    cause="the worker, its streams or its files serve several tasks: end what a "
                    "task has left before the next one comes, give each task descriptors of its "
                    "own, and let no callback of a task outlive it",
                    reproduce=_LATE_WORDS,
                )
    if not any(ending.seen.completed for ending in found.of("ISO-03")):
        seen = next((ending.seen for ending in found.of("ISO-03")), "none ran")
        subject.could_not_run(f"no task could leave words: {seen}")
    _need_lookers(subject, found)


_LATE_WORDS = """
    import asyncio
    from pytest_asyncexec.conformance.subject.host import host_for

    def leaves_words():
        import atexit, threading, time

        class Freed:
            def __del__(self):
                print("words of the first task, when freed", flush=True)

        def write():
            for _ in range(20):
                time.sleep(0.2)
                print("words of the first task, by a thread", flush=True)

        cycle = [Freed()]
        cycle.append(cycle)
        atexit.register(print, "words of the first task, at exit", flush=True)
        threading.Thread(target=write, daemon=True).start()

    def next_one():
        import gc, subprocess, sys, time
        gc.collect()
        time.sleep(1)
        # For this a worker may be ended.
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3)"])

    async def main():
        for task in (leaves_words, *(next_one,) * 4):
            print(await host_for(executor).execute(executor, task))

    asyncio.run(main())
"""


@check("ISO-04")
def test_ISO_04_should_draw_other_numbers_in_each_task(subject: Subject) -> None:
    found = succession_of(subject)
    drawn: dict[str, Ending] = {}

    for ending, number in _numbers(found):
        former = drawn.setdefault(number, ending)
        if former is ending:
            continue
        seeded = any(each.returned.get("seeded") for each in (former, ending))
        subject.fail(
            seen=f"two tasks drew the same random number, {number}"
            + (": one had seeded its generator, and left it so to the other" if seeded else ""),
            required="no task draws the numbers of another",
            cause="the generators of a worker stay as a task has left them"
            if seeded
            else "workers are copies of one process, of which the generators were copied, too; or "
            "somebody seeds them before each task: seed anew, from os.urandom, in each copy",
            reproduce=_LOOK_AROUND.format(
                names="draw_again, look", first="await run(draw_again)" if seeded else "..."
            ),
        )
    if len({id(ending) for ending in drawn.values()}) < 2:
        seen = next((ending.seen for ending in found.second), "none ran")
        subject.could_not_run(f"no two tasks drew a number: {seen}")


def _numbers(found: Succession) -> Iterator[tuple[Ending, str]]:
    for ending in (*found.first, *found.second):
        for number in ending.returned.get("drawn", ()):
            yield ending, number


@check("ISO-05")
def test_ISO_05_should_give_tasks_their_signals_back(subject: Subject) -> None:
    there = in_main_thread_of_a_fresh_process(subject)
    if "signals" not in there:
        wrong = there.get("error", "a task that was to look at its signals did not succeed")
        subject.could_not_run(f"in a process of its own: {wrong}")

    if there["signals"]:
        subject.fail(
            seen=f"the host ignored or blocked some signals, and its task did likewise: "
            f"{', '.join(there['signals'])}",
            required="what a process inherits is put back: no signal is ignored or blocked when a "
            "task begins",
            cause="a child inherits ignored and blocked signals, whatever `restore_signals` says "
            "of SIGPIPE: let the worker set them to SIG_DFL, and unblock all, before its first "
            "task",
            reproduce="""
                import asyncio, signal
                from pytest_asyncexec.conformance.subject.host import host_for

                def task():
                    import signal
                    return signal.getsignal(signal.SIGHUP), signal.pthread_sigmask(0, [])

                signal.signal(signal.SIGHUP, signal.SIG_IGN)
                signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
                print(asyncio.run(host_for(executor).execute(executor, task)))
            """,
        )
