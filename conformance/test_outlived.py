"""HYG, what outlives its end: the workers of a host that was killed, and the data of a task."""

from __future__ import annotations

from .check import check
from .scenarios.killed_host import killed_host
from .subject.subject import Subject

_REPRODUCE_KILLED = """
    import asyncio, os, signal, subprocess, sys, tempfile, time
    from pytest_asyncexec.conformance.subject.host import host_for

    def task(path):
        import time
        while True:
            with open(path, "a") as file:
                file.write("still here\\n")
            time.sleep(0.1)

    path = os.path.join(tempfile.mkdtemp(), "signs of life")
    if not (host := os.fork()):
        os.setsid()
        asyncio.run(host_for(executor).execute(executor, task, [path]))
    while not os.path.exists(path):
        time.sleep(0.1)
    os.kill(host, signal.SIGKILL)
    os.waitpid(host, 0)
    for _ in range(4):
        print(os.path.getsize(path), "bytes were written by the task")
        time.sleep(2)
"""


@check("HYG-05", working=False)
def test_HYG_05_should_end_its_workers_with_their_host(subject: Subject) -> None:
    subject.need_beacon()
    host = killed_host(subject)
    if host is None:
        subject.not_applicable("no worker process of it is on this machine")
    left = host.left()
    if host.error:
        subject.could_not_run(
            f"in a host of its own, which was to be killed, no task could be seen: {host.error}"
        )
    if left:
        subject.fail(
            seen=f"a host process ran one task, and was killed (SIGKILL); its task {left}",
            required="the worker processes of a host end with it, however it ends",
            cause="a worker in a session of its own, as `start_new_session` makes it, outlives its "
            "host, and nobody tells it: have it watch a pipe that its host holds open, whose "
            "end the kernel tells, or ask for a signal (prctl with PR_SET_PDEATHSIG on Linux)",
            reproduce=_REPRODUCE_KILLED,
        )
