"""The changes that a task can make to its process for good, found by their marks and put back.

The functions here run within tasks, see `leftovers`. Each change has a mark that no worker has by
itself; whoever finds one can put everything back, so that nothing else suffers from it.
"""

from __future__ import annotations

from typing import Any, Final

#: The changes by the rule that forbids to leave them; neighbours are made by one task in `quick`.
CHANGES: Final = {
    "ISO-01": (
        ("environment variables", "the working directory", "the umask", "the import path"),
        ("sys.stdout", "sys.stderr", "sys.stdin"),
    ),
    "ISO-02": (
        ("signal handlers",),
        ("the signal mask", "timers"),
        ("resource limits",),
        (
            *("the locale", "the time zone", "context variables", "the decimal context"),
            *("warning filters", "log handlers"),
        ),
    ),
}

#: Stands in whatever is left that can hold a name.
_MARK: Final = "ASYNCEXEC_LEFT"
_ZONE: Final = "QXZ"
_UMASK: Final = 0o025
_PRECISION: Final = 11
_LINE: Final = 4711
_LIMITS: Final = (1021, 251)
_LOCALES: Final = ("C.UTF-8", "C.utf8", "en_US.UTF-8", "en_US.utf8")
_DAY: Final = 86_400


def found_changes() -> list[str]:
    """The changes whose marks are there. What nobody has imported nobody has changed."""
    import contextlib
    import contextvars
    import os
    import sys
    import time
    import warnings

    found = []

    def note(change: str, there: object) -> None:
        if there:
            found.append(change)

    note("environment variables", any(_MARK in name + text for name, text in os.environ.items()))
    with contextlib.suppress(OSError):
        note("the working directory", os.getcwd() == _other_folder())
    mask = os.umask(0o077)
    os.umask(mask)
    note("the umask", mask == _UMASK)
    note("the import path", any(_MARK in str(entry) for entry in sys.path))
    for name in ("stdout", "stderr", "stdin"):
        note(f"sys.{name}", hasattr(getattr(sys, name), _MARK))
    with contextlib.suppress(ImportError, AttributeError):
        import _signal  # type: ignore[import-not-found]

        handlers = [_signal.getsignal(number) for number in (_signal.SIGUSR1, _signal.SIGUSR2)]
        note("signal handlers", getattr(handlers[0], "__name__", "") == _MARK)
        blocked = _signal.pthread_sigmask(_signal.SIG_BLOCK, ())
        note("the signal mask", _signal.SIGWINCH in blocked)
        clocks = _signal.ITIMER_REAL, _signal.ITIMER_VIRTUAL, _signal.ITIMER_PROF
        note("timers", any(_signal.getitimer(clock)[0] > _DAY / 2 for clock in clocks))
    with contextlib.suppress(ImportError, AttributeError):
        import resource

        note("resource limits", resource.getrlimit(resource.RLIMIT_NOFILE)[0] in _LIMITS)
    with contextlib.suppress(ImportError):
        import _locale

        note("the locale", _locale.setlocale(_locale.LC_TIME) in _LOCALES)
    note("the time zone", time.tzname[0] == _ZONE)
    note("context variables", any(var.name == _MARK for var in contextvars.copy_context()))
    decimal, logging = sys.modules.get("decimal"), sys.modules.get("logging")
    note("the decimal context", decimal and decimal.getcontext().prec == _PRECISION)
    note("warning filters", any(each[4] == _LINE for each in warnings.filters))
    names = [handler.name for handler in logging.getLogger().handlers] if logging else []
    note("log handlers", _MARK in names)
    return found


def _other_folder() -> str:
    """A folder that is there everywhere, and that nobody works in."""
    import os

    return os.path.dirname(os.path.realpath(os.__file__))


def make_change(change: str) -> bool:
    """Make one change, and remember how to take it back; False where it cannot be made."""
    import sys
    import types

    # Not a global of this function, which has others wherever it arrives.
    memory = sys.modules.setdefault(_MARK, types.ModuleType(_MARK))
    undo = vars(memory).setdefault("undo", [])
    try:
        if change.startswith("sys."):
            _replace_stream(change[4:], undo)
        elif change in ("signal handlers", "the signal mask", "timers", "resource limits"):
            return _change_by_system(change, undo)
        elif change in ("environment variables", "the working directory", "the umask"):
            _change_surroundings(change, undo)
        else:
            return _change_in_python(change, undo)
    except (ImportError, AttributeError, OSError, ValueError):
        # Not on this system, or not in another thread than the main one.
        return False
    return True


def _change_surroundings(change: str, undo: list[Any]) -> None:
    import os

    if change == "environment variables":
        path = os.environ.get("PATH", "")
        undo.append(lambda: (os.environ.pop(_MARK, None), os.environ.update(PATH=path)))
        os.environ[_MARK] = "a secret of an earlier task"
        os.environ["PATH"] = f"{path}{os.pathsep}{_MARK}"
    elif change == "the working directory":
        before = os.getcwd()
        os.chdir(_other_folder())
        undo.append(lambda: os.chdir(before))
    else:
        mask = os.umask(_UMASK)
        undo.append(lambda: os.umask(mask))


def _replace_stream(name: str, undo: list[Any]) -> None:
    import io
    import os
    import sys

    former = getattr(sys, name)
    mode = "r" if name == "stdin" else "w"
    stream = io.TextIOWrapper(io.FileIO(os.open(os.devnull, os.O_RDWR), mode))
    vars(stream)[_MARK] = True
    setattr(sys, name, stream)
    undo.append(lambda: setattr(sys, name, former))


def _change_by_system(change: str, undo: list[Any]) -> bool:
    import signal

    def handler(*_: Any) -> None:
        pass

    handler.__name__ = _MARK
    if change == "signal handlers":
        for number, new in ((signal.SIGUSR1, handler), (signal.SIGUSR2, signal.SIG_IGN)):
            former = signal.signal(number, new)
            undo.append(lambda number=number, former=former: signal.signal(number, former))
    elif change == "the signal mask":
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGWINCH})
        undo.append(lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGWINCH}))
    elif change == "timers":
        for clock in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF):
            signal.setitimer(clock, _DAY)
            undo.append(lambda clock=clock: signal.setitimer(clock, 0))
    else:
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        lower = [limit for limit in _LIMITS if limit < soft or soft == resource.RLIM_INFINITY]
        if not lower:
            return False
        resource.setrlimit(resource.RLIMIT_NOFILE, (lower[0], hard))
        undo.append(lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard)))
    return True


def _change_in_python(change: str, undo: list[Any]) -> bool:
    import contextlib
    import os
    import sys
    import time
    import warnings

    if change == "the import path":
        sys.path.insert(0, _MARK)
        undo.append(lambda: sys.path.remove(_MARK))
    elif change == "the locale":
        import _locale

        former = _locale.setlocale(_locale.LC_TIME)
        for name in _LOCALES:
            with contextlib.suppress(Exception):  # of a class that is the module's own
                _locale.setlocale(_locale.LC_TIME, name)
                undo.append(lambda: _locale.setlocale(_locale.LC_TIME, former))
                return True
        return False
    elif change == "the time zone":
        zone = os.environ.get("TZ")

        def set_zone(name: str | None) -> None:
            if name is None:
                os.environ.pop("TZ", None)
            else:
                os.environ["TZ"] = name

        set_zone(f"{_ZONE}-5:17")
        time.tzset()
        # The variable is another rule's; the zone stays what it is.
        set_zone(zone)
        undo.append(time.tzset)
    elif change == "context variables":
        import contextvars

        variable: Any = contextvars.ContextVar(_MARK)
        token = variable.set("of an earlier task")
        undo.append(lambda: variable.reset(token))
    elif change == "the decimal context":
        import decimal

        context = decimal.getcontext().copy()
        decimal.getcontext().prec = _PRECISION
        undo.append(lambda: decimal.setcontext(context))
    elif change == "warning filters":
        warnings.simplefilter("ignore", BytesWarning, _LINE)
        filters: list[Any] = warnings.filters  # type: ignore[assignment]
        added = filters[0]
        undo.append(lambda: filters.remove(added))
    else:
        import logging

        handler = logging.NullHandler()
        handler.name = _MARK
        logging.getLogger().addHandler(handler)
        undo.append(lambda: logging.getLogger().removeHandler(handler))
    return True


def put_back() -> None:
    """Take back what was changed here, the last first."""
    import contextlib
    import sys

    memory = sys.modules.pop(_MARK, None)
    for step in reversed(vars(memory).get("undo", []) if memory else []):
        with contextlib.suppress(Exception):
            step()
