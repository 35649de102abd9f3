"""CAN, by job handles: whether a host can cancel a task by one, and no other task with it."""

from __future__ import annotations

from .check import check
from .scenarios.calls_of_cancel import revoked
from .scenarios.handles import Revoked
from .subject.subject import Subject

_REPRODUCE = """
    import asyncio, json, time
    from unittest import mock
    from pytest_asyncexec.conformance.subject.host import call_method, host_for

    handles = []
    # The host hears what comes to the method that the others override.
    cls = [c for c in type(executor).__mro__ if "set_job_handle" in vars(c)][-1]
    original = cls.set_job_handle

    def set_job_handle(self, handle):
        handles.append(handle)
        return original(self, handle)

    def begin(node):
        work = host_for(executor).execute(executor, time.sleep, [20], node_id=node)
        return asyncio.ensure_future(work)

    async def main():
        tasks, jobs = {}, {}
        for node in (0, 1, 2):
            tasks[node] = begin(node)
            await asyncio.sleep(3)
            jobs[node] = handles[-1] if handles else None
        another = type(executor)()
        another.from_dict(json.loads(json.dumps(executor.to_dict())))
        metadata = {"dispatch_id": "dispatch", "node_id": 1, "results_dir": "."}
        print("cancel:", jobs[1], await call_method(another.cancel, metadata, jobs[1]))
        print("node 1", await tasks.pop(1))
        tasks[3] = begin(3)
        await asyncio.sleep(3)
        print("again:", jobs[1], await call_method(executor.cancel, metadata, jobs[1]))
        for node, task in tasks.items():
            print("node", node, await task)

    with mock.patch.object(cls, "set_job_handle", set_job_handle):
        asyncio.run(main())
"""


@check("CAN-08")
def test_CAN_08_must_end_a_running_task_by_its_job_handle(subject: Subject) -> None:
    found = _revoked(subject)
    if found.target is None:
        subject.could_not_run("no task was left to be cancelled by its handle, see CAN-09")
    if found.wrong:
        subject.fail(
            seen=f"{found.wrong}",
            required="set_job_handle is called as soon as the backend knows the job; by that "
            "handle `cancel` returns True and ends the task, whichever instance is asked",
            cause="the handle is told too late, or names what the instance alone knows: a table of "
            "jobs on `self`, a number that counts its own tasks",
            history=found.history,
            reproduce=_REPRODUCE,
        )


@check("CAN-09")
def test_CAN_09_must_not_end_any_task_but_the_one_of_the_handle(subject: Subject) -> None:
    found = _revoked(subject)
    if found.hit:
        subject.fail(
            seen="\nlikewise ".join(found.hit),
            required="tasks that nobody has cancelled go on, and end with their own results",
            cause="the job is looked for by what several tasks have in common: the dispatch, the "
            "node, the instance, a process or its group, or the one that was begun last; or a "
            "handle that is not known any more is taken for that of another one, or is that of "
            "another one by now: a number or a slot that is given again",
            history=found.history,
            reproduce=_REPRODUCE,
        )
    if not found.ended:
        subject.could_not_run("no task was ended by its handle, see CAN-08")


def _revoked(subject: Subject) -> Revoked:
    subject.need_beacon()
    subject.need_free_loop(lost="nobody can cancel anything", reproduce=_REPRODUCE)
    found = revoked(subject)
    if not any(task.attempt for task in found.tasks):
        subject.could_not_run(f"no task ever started: {found.tasks[0].seen}")
    return found
