"""Synchronous executors that are wrong, on the base class for plain methods: by ordinary rules."""

from __future__ import annotations

import threading
import time

from pytest_asyncexec import BaseExecutor, TaskCancelledError

from . import breaks


@breaks("CNC-01", "it got what belongs to")
class KeepsTheResultOnSelf(BaseExecutor):
    """Keeps the result of its task in an attribute until it is fetched, and has one for all."""

    cannot = frozenset({"stop", "streams"})

    def run(self, function, args, kwargs, task_metadata):
        self._result = function(*args, **kwargs)
        # Every real backend has the result a little later.
        time.sleep(0.05)
        return self._result


class _Abandons(BaseExecutor):
    """Does the work in a thread, which nobody can stop, and says otherwise."""

    cannot = frozenset({"streams"})

    def run(self, function, args, kwargs, task_metadata):
        ended = []
        over = threading.Event()

        def work():
            try:
                ended.append((function(*args, **kwargs), None))
            except BaseException as error:
                ended.append((None, error))
            finally:
                over.set()

        threading.Thread(target=work, daemon=True).start()
        while not over.wait(0.01):
            if self.get_cancel_requested():
                raise TaskCancelledError("nobody waits for it any more")
        [(result, error)] = ended
        if error is not None:
            raise error
        return result


@breaks("TIM-03", "a task that was held in a blocking call")
class AbandonsWhatIsLate(_Abandons):
    """Looks whether its task is still wanted, and goes home when it is not; the work goes on."""


@breaks("CAN-02", "its task still runs (process")
class AbandonsWhatIsCancelled(_Abandons):
    """Says that the work is cancelled, and means that it no longer looks at it."""

    def cancel(self, task_metadata, job_handle):
        return True


@breaks("LIF-02", "in the bracket, teardown was called 2 times")
class TearsDownItself(BaseExecutor):
    """Tears down where it is done, and does not know that it is called for that."""

    cannot = frozenset({"stop", "streams"})

    def run(self, function, args, kwargs, task_metadata):
        try:
            return function(*args, **kwargs)
        finally:
            self.teardown(task_metadata)

    def teardown(self, task_metadata):
        pass
