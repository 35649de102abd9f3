"""Wrong by SEC."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import importlib
import itertools
import os
import pickle
import secrets
import subprocess
from pathlib import Path

import cloudpickle
from pytest_asyncexec.reference_executor import ThreadExecutor

from . import breaks
from .streams import Writer

# ---- from_dict -----------------------------------------------------------------------------------


@breaks("SEC-01", "a pickle in base64 as the attribute 'log_stdout', and it unpickles")
class UnpicklesItsAttributes(ThreadExecutor):
    """Wrote objects down as text, and makes objects of them again."""

    def from_dict(self, object_dict):
        for value in object_dict["attributes"].values():
            if isinstance(value, str):
                with contextlib.suppress(Exception):
                    pickle.loads(base64.b64decode(value))
        return super().from_dict(object_dict)


@breaks("SEC-01", "the dotted name of a function under the key 'type', and it opens")
class ComparesTypes(ThreadExecutor):
    """Imports the class that is named, to see whether it is its own."""

    def from_dict(self, object_dict):
        module, _, name = object_dict["type"].rpartition(".")
        if getattr(importlib.import_module(module), name, None) is not type(self):
            raise ValueError(f"not a dictionary of {type(self).__name__}")
        return super().from_dict(object_dict)


@breaks(
    "SEC-01", "as the attribute 'time_limit', and it executes code with 'asyncexec_canary' (exec)"
)
class Calculates(ThreadExecutor):
    """Lets a setting be written as 60 * 60."""

    def from_dict(self, object_dict):
        attributes = dict(object_dict["attributes"])
        for name in ("time_limit", "retries"):
            if isinstance(attributes.get(name), str):
                attributes[name] = eval(attributes[name])
        return super().from_dict({**object_dict, "attributes": attributes})


@breaks("SEC-01", "as the attribute 'options', and it opens 'asyncexec_canary' (open)")
class ReadsItsOptions(ThreadExecutor):
    """Takes the name of a file in place of what would be in it."""

    def __init__(self, options="", **kwargs):
        super().__init__(**kwargs)
        self.options = options

    def from_dict(self, object_dict):
        super().from_dict(object_dict)
        with contextlib.suppress(OSError):
            self.options = Path(self.options).read_text(encoding="utf-8")
        return self


@breaks("SEC-04", "from_dict took 'run', 'setup', 'teardown', 'execute'")
class SetsWhatItReads(ThreadExecutor):
    """Is rehydrated in three lines."""

    def from_dict(self, object_dict):
        for name, value in object_dict["attributes"].items():
            setattr(self, name, value)
        return self


@breaks("SEC-04", "from_dict took '__class__', '__dict__', '__init__'")
class KnowsItsMethods(ThreadExecutor):
    """Asks whether a name is a method's, and forgets that Python has names of its own."""

    def from_dict(self, object_dict):
        attributes = object_dict["attributes"]
        for name in attributes:
            if not name.startswith("__") and callable(getattr(self, name, None)):
                raise ValueError(f"{name!r} is a method")
        self.__dict__.update(attributes)
        return self


# ---- to_dict -------------------------------------------------------------------------------------


@breaks("SEC-02", "to_dict()['attributes']['api_token'] is 'asyncexec-canary-secret'")
class WritesItsToken(ThreadExecutor):
    """Has one more attribute, which is written down like the others."""

    def __init__(self, api_token="", **kwargs):
        super().__init__(**kwargs)
        self.api_token = api_token


@breaks(
    "SEC-02", "to_dict()['attributes']['address'] is 'https://somebody:asyncexec-canary-secret@"
)
class HasItInItsAddress(ThreadExecutor):
    """Leaves its password out, and writes down what it has made of it."""

    def __init__(self, password="", **kwargs):
        super().__init__(**kwargs)
        self._password = password
        self.address = f"https://somebody:{password}@login.example"


@breaks("SEC-02", "account['password'] was given 'asyncexec-canary-secret', and to_dict()")
class HasAnAccount(ThreadExecutor):
    """Keeps together what it needs to log in."""

    def __init__(self, account=None, **kwargs):
        super().__init__(**kwargs)
        self.account = {"user": "somebody", "password": ""} if account is None else account


# ---- ids -----------------------------------------------------------------------------------------


@breaks("SEC-03", "the shell was given 'dispatch; mkdir asyncexec-trap-2' as a part of the command")
class MakesFoldersByCommand(Writer):
    """Makes its folder as it would in a terminal."""

    def target(self, filepath, dispatch_id, results_dir):
        if ".." in dispatch_id or dispatch_id.startswith("/"):
            raise ValueError(f"{dispatch_id!r} is no dispatch id")
        target = super().target(filepath, dispatch_id, results_dir)
        os.system(f"mkdir -p {os.path.dirname(target)}")
        return target


@breaks("SEC-03", "with the dispatch id '$(mkdir asyncexec-trap-3)-dispatch'")
class QuotesByHand(Writer):
    """Has met ids with a blank, and puts them between quotation marks."""

    def target(self, filepath, dispatch_id, results_dir):
        if ".." in dispatch_id or dispatch_id.startswith("/") or '"' in dispatch_id:
            raise ValueError(f"{dispatch_id!r} is no dispatch id")
        if ";" in dispatch_id:
            raise ValueError(f"{dispatch_id!r} is a command")
        target = super().target(filepath, dispatch_id, results_dir)
        subprocess.run(f'touch "{target}"', shell=True, check=False, capture_output=True)
        return target


@breaks("SEC-03", "outside of its directory there is now a/b/c/d/e/f/g/asyncexec-escaped")
class NamesItsFilesByIds(ThreadExecutor):
    """Puts a task where its ids say, wherever that is."""

    async def run(self, function, args, kwargs, task_metadata):
        name = "{dispatch_id}-{node_id}.pkl".format(**task_metadata)
        path = Path(self.cache_dir or ".", name)
        with contextlib.suppress(OSError, ValueError):
            await asyncio.to_thread(path.write_bytes, b"a task")
        return await super().run(function, args, kwargs, task_metadata)


@breaks("SEC-03", "there was for a while a/b/c/d/e/f/g/asyncexec-escaped-dispatch-0.job")
class TidiesUpWhereItWas(ThreadExecutor):
    """Puts a task where its ids say, and leaves no trace of that when it is over."""

    async def run(self, function, args, kwargs, task_metadata):
        job = Path(self.cache_dir or ".", "{dispatch_id}-{node_id}.job".format(**task_metadata))
        await asyncio.to_thread(job.write_bytes, b"a task")
        try:
            return await super().run(function, args, kwargs, task_metadata)
        finally:
            job.unlink()


@breaks("SEC-03", "the shell was given 'dispatch; mkdir asyncexec-trap-2' as a part of the command")
class AsksForTheLog(ThreadExecutor):
    """Fetches what a failed job has left, by a command."""

    async def run(self, function, args, kwargs, task_metadata):
        try:
            return await super().run(function, args, kwargs, task_metadata)
        except Exception:
            await asyncio.to_thread(os.system, f"cat {task_metadata['dispatch_id']}.log 2>&-")
            raise


# ---- the files of a task -------------------------------------------------------------------------


class KeepsItsTask(ThreadExecutor):
    """Puts a task into a file for as long as it runs."""

    async def run(self, function, args, kwargs, task_metadata):
        path = self.path(task_metadata)
        path.write_bytes(cloudpickle.dumps(args))
        path.chmod(self.mode)
        try:
            return await super().run(function, args, kwargs, task_metadata)
        finally:
            path.unlink()

    mode = 0o600

    def path(self, task_metadata):
        return Path(self.cache_dir, f"{secrets.token_hex(8)}.pkl")


@breaks("SEC-05", "is in the file (random) with the mode 0644")
class LetsEverybodyRead(KeepsItsTask):
    """Has never heard of a mode."""

    mode = 0o644


@breaks("SEC-05", "nothing in (dispatch id)-N.pkl is drawn at random")
class NamesItByItsIds(KeepsItsTask):
    """Finds it again by the ids of the task."""

    def path(self, task_metadata):
        return Path(self.cache_dir, "{dispatch_id}-{node_id}.pkl".format(**task_metadata))


@breaks("SEC-05", "nothing in task-N.pkl is drawn at random")
class CountsItsTasks(KeepsItsTask):
    """Takes the next number, as two tasks of one name would clash."""

    numbers = itertools.count(1)

    def path(self, task_metadata):
        return Path(self.cache_dir, f"task-{next(self.numbers)}.pkl")


@breaks("SEC-05", "/(random) with the mode 0644")
class HasAFolderOfItsOwn(KeepsItsTask):
    """Does not ask for the folder for temporary files: it is /tmp, as everybody knows."""

    mode = 0o644

    def path(self, task_metadata):
        return Path("/tmp", "job-{dispatch_id}-{node_id}".format(**task_metadata))


@breaks("SEC-05", "is in the file (random) with the mode 0644")
class SpillsWhatIsLarge(KeepsItsTask):
    """Sends little by itself, and much by a file that everybody reads."""

    mode = 0o644

    async def run(self, function, args, kwargs, task_metadata):
        if len(cloudpickle.dumps(args)) < 1 << 16:
            return await ThreadExecutor.run(self, function, args, kwargs, task_metadata)
        return await super().run(function, args, kwargs, task_metadata)
