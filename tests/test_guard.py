"""The guard: what an executor does to its host is put right, and can be told."""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pytest_asyncexec.conformance.instruments.guard import HostExit, guarded


def test_nothing_done_is_no_harm() -> None:
    with guarded() as guard:
        pass

    assert guard.harm == ""


def test_nobody_ends_the_process() -> None:
    with guarded() as guard, pytest.raises(HostExit):
        os._exit(0)  # to be refused

    assert "os._exit(0) was called" in guard.harm
    assert "# to be refused" in guard.harm


def test_nobody_leaves_the_host_without_room_for_its_calls() -> None:
    limit = sys.getrecursionlimit()

    with guarded() as guard:
        sys.setrecursionlimit(60)  # to be refused, too
        assert sys.getrecursionlimit() == limit
        sys.setrecursionlimit(limit + 1)
        assert sys.getrecursionlimit() == limit + 1
        sys.setrecursionlimit(limit)

    assert guard.harm.startswith("sys.setrecursionlimit(60) was called")
    assert "# to be refused, too" in guard.harm
    assert guard.replaced == []


def test_a_plugin_that_limits_the_run_may_end_it() -> None:
    # As pytest-timeout does, from a thread of its own.
    code = (
        "import os, types\n"
        "from pytest_asyncexec.conformance.instruments.guard import guarded\n"
        "timeout = types.ModuleType('pytest_timeout')\n"
        "exec('import os\\ndef end(): os._exit(7)', vars(timeout))\n"
        "with guarded():\n"
        "    timeout.end()\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 7


@pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX only")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_may_exit() -> None:
    with guarded() as guard:
        child = os.fork()
        if not child:
            os._exit(7)
        _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 7
    assert guard.harm == ""


def test_replaced_functions_are_put_back() -> None:
    wait, sleep = asyncio.wait, time.sleep

    with guarded() as guard:
        asyncio.wait = None
        time.sleep = print
        del asyncio.gather

    assert asyncio.wait is wait
    assert time.sleep is sleep
    assert callable(asyncio.gather)
    assert sorted(guard.replaced) == ["asyncio.gather", "asyncio.wait", "time.sleep"]
    assert "asyncio.wait" in guard.harm


def test_streams_environment_and_folder_are_as_before(tmp_path: Path) -> None:
    streams, folder, path = (sys.stdout, sys.stderr), os.getcwd(), os.environ.get("PATH")

    with guarded():
        sys.stdout = sys.stderr = io.StringIO()
        os.environ["ASYNCEXEC_ADDED"] = "1"
        os.environ.pop("PATH", None)
        os.chdir(tmp_path)

    assert (sys.stdout, sys.stderr) == streams
    assert os.getcwd() == folder
    assert os.environ.get("PATH") == path
    assert "ASYNCEXEC_ADDED" not in os.environ
