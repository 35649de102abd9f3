"""RET: how often a failing task is attempted. Attempts are counted by their lines home."""

from __future__ import annotations

from collections.abc import Callable

from .beacon import Attempt, Beacon
from .check import check
from .history import History
from .host import Seen
from .probes import report_home
from .subject import Subject
from .wording import says

_CAUSE = (
    "`retries` is the number of attempts after the first that failed; nobody but `execute` "
    "(or the backend, declared in `enforces`) can make them"
)
_REPRODUCE = """
    import asyncio
    from pathlib import Path
    from pytest_asyncexec.conformance.host import host_for

    def fail(log):
        with open(log, "a") as file:
            file.write("attempt\\n")
        raise ValueError("on purpose")

    executor.retries = {retries}
    print(asyncio.run(host_for(executor).execute(executor, fail, ["/tmp/attempts"])))
    print(Path("/tmp/attempts").read_text())
"""


def _attempts(
    subject: Subject, retries: int, answer: Callable[[Attempt, int], None]
) -> tuple[Seen, int, History]:
    """Run one task with `retries`; what was seen, how many attempts reported, the history."""
    subject.need_beacon()
    executor = subject.build(retries=retries)
    with subject.recording(executor) as history, Beacon(answer) as beacon:
        seen = subject.run(executor, report_home, beacon.address)
    return seen, len(beacon.attempts), history


def _fail(attempt: Attempt, number: int) -> None:
    attempt.tell(do="raise", type="ValueError", message=f"failure of attempt {number}")


@check("RET-01")
def test_RET_01_must_attempt_once_without_retries(subject: Subject) -> None:
    # A task that fails is worth trying again; without retries nobody may.
    seen, attempts, history = _attempts(subject, 0, _fail)

    if attempts != 1:
        subject.fail(
            seen=f"a failing task with retries=0 was attempted {attempts} times; {seen}",
            required="exactly one attempt",
            cause=_CAUSE,
            history=history,
            reproduce=_REPRODUCE.format(retries=0),
        )


@check("RET-02")
def test_RET_02_must_return_the_first_success(subject: Subject) -> None:
    for retries in range(4):
        for failures in range(retries + 1):

            def answer(attempt: Attempt, number: int, failures: int = failures) -> None:
                if number <= failures:
                    _fail(attempt, number)
                else:
                    attempt.tell(do="return", value=f"result of attempt {number}")

            seen, attempts, history = _attempts(subject, retries, answer)

            expected = f"result of attempt {failures + 1}"
            if attempts != failures + 1 or not seen.completed or seen.result != expected:
                subject.fail(
                    seen=f"with retries={retries} a task that fails {failures} times first was "
                    f"attempted {attempts} times; {seen}",
                    required=f"{failures + 1} attempts and the result {expected!r}",
                    cause=_CAUSE,
                    history=history,
                    reproduce=_REPRODUCE.format(retries=retries),
                )


@check("RET-03")
def test_RET_03_must_give_up_after_the_last_retry(subject: Subject) -> None:
    for retries in (1, 3):
        seen, attempts, history = _attempts(subject, retries, _fail)

        last = f"failure of attempt {retries + 1}"
        # It may be the cause of the error that is raised, but that is none of those before it.
        error = seen.error
        earlier = [f"failure of attempt {number}" for number in range(1, retries + 1)]
        lost = last not in seen.everything_said or (
            error is not None and not says(error, last) and any(says(error, one) for one in earlier)
        )
        if attempts != retries + 1 or seen.completed or lost:
            subject.fail(
                seen=f"with retries={retries} a task that always fails was attempted {attempts} "
                f"times; {seen}",
                required=f"{retries + 1} attempts, and then the error of the last one, {last!r}",
                cause=_CAUSE,
                history=history,
                reproduce=_REPRODUCE.format(retries=retries),
            )
