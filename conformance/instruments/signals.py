"""Signals that a host ignores or blocks, and whether its tasks do likewise."""

from __future__ import annotations

from typing import Final

#: None by which anybody ends a process: a host that stops its workers politely can do so.
IGNORED: Final = ("SIGHUP", "SIGQUIT", "SIGUSR1")
BLOCKED: Final = ("SIGUSR2", "SIGWINCH")


def refuse_signals() -> None:
    """Ignore some signals and block others, in the main thread and in all that start from now on.

    For a process that nobody else uses: it is not undone.
    """
    import signal

    for name in IGNORED:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {getattr(signal, name) for name in BLOCKED})


def refused_signals() -> list[str]:
    """Which of them are ignored or blocked where this runs, in words; for a task."""
    import signal

    found = [
        f"{name} is ignored"
        for name in IGNORED
        if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) is signal.SIG_IGN
    ]
    if hasattr(signal, "pthread_sigmask"):
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        found += [f"{name} is blocked" for name in BLOCKED if getattr(signal, name) in mask]
    return found
