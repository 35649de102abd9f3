"""The worker program of `LocalExecutor`, started by hand and without any of its care."""

from __future__ import annotations

import asyncio
import os
import pickle
import socket
import sys

import cloudpickle

from . import tasks
from .ours import WORKER, messages

__all__ = ["bare"]


async def bare(value: int) -> None:
    """Start the program, hand it the trivial task, take its answer, and wait for its end.

    This is for POSIX systems. Nothing it prints is kept and nothing it starts is killed.
    """
    ours, its = socket.socketpair()
    its_lifeline, lifeline = os.pipe()
    try:
        with ours:
            with its:
                head = pickle.dumps((sys.path, None))
                # It fits into the socket's buffer, so nobody need be there to read it.
                for piece in messages.pieces(
                    0, head, cloudpickle.dumps((tasks.identity, [value], {}))
                ):
                    ours.sendall(piece)
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-P", "-u", WORKER, "once"),
                    *(str(its_lifeline), str(its.fileno())),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.DEVNULL,
                    pass_fds=(its.fileno(), its_lifeline),
                    start_new_session=True,
                )
            code = await process.wait()
            with ours.makefile("rwb", buffering=0) as control:
                message = messages.receive(control, control)
    finally:
        os.close(its_lifeline)
        os.close(lifeline)
    if code != 0 or message is None:
        raise RuntimeError(f"the worker ended with code {code}, its answer is {message!r}")
    tasks.check([pickle.loads(message[2])], range(value, value + 1))
