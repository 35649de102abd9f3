"""Wrong by TIM and CAN, where tasks cannot connect to the suite."""

from __future__ import annotations

from . import breaks
from .cancellation import AsksPolitely
from .time_limits import AsksItsWorkersNicely, KillsTheWorkerAlone


def offline(function):
    """The function in a process that can open no connection, as behind a strict firewall."""

    # Within another function, so that workers get it by value.
    def unconnected(*args, **kwargs):
        import socket

        reach = socket.socket.connect

        def connect(self, address):
            # Between processes of one machine there is no firewall.
            if self.family == getattr(socket, "AF_UNIX", None):
                return reach(self, address)
            raise OSError(101, "Network is unreachable")

        socket.socket.connect = connect
        return function(*args, **kwargs)

    return unconnected


class _Offline:
    """Its workers share files with everybody, and connect to nobody."""

    async def run(self, function, args, kwargs, task_metadata):
        return await super().run(offline(function), args, kwargs, task_metadata)


@breaks("TIM-03", "a task that ignores SIGTERM was over its time_limit")
class AsksNicelyBehindAFirewall(_Offline, AsksItsWorkersNicely):
    """Sends SIGTERM and waits for a moment, to workers that nobody but its author can reach."""


@breaks("TIM-09", "its child still runs (process")
class KillsTheWorkerBehindAFirewall(_Offline, KillsTheWorkerAlone):
    """Kills the process it has started, and none of those that that one has started, unseen."""


@breaks("CAN-02", "at work and deaf to SIGTERM: execute had ended in CancelledError, and its task")
class AsksPolitelyBehindAFirewall(_Offline, AsksPolitely):
    """Sends SIGTERM and waits a moment, and no connection tells whether the worker obeyed."""
