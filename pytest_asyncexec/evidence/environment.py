"""In which circumstances a run judged: the kit and its digest, Python, the platform, the time."""

from __future__ import annotations

import functools
import importlib.util
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from .artifact import dir_hash, source_files

DISTRIBUTION = "pytest-asyncexec"

_KIT = __name__.partition(".")[0]
_PACKAGES = ("", ".conformance", ".reference_executor", ".broken")


@dataclass(frozen=True, slots=True)
class Environment:
    """What judged, on what, and when."""

    kit: str
    #: The kit's own files, as in-toto's `dirHash`.
    kit_digest: str
    python: str
    platform: str
    #: The version of hypothesis.
    hypothesis: str
    #: In UTC, as `2026-01-31T23:59:59Z`.
    finished: str
    #: The run in CI, where there is one.
    url: str = ""

    @classmethod
    def here(cls) -> Environment:
        """That of this process, at this moment."""
        return cls(
            metadata.version(DISTRIBUTION),
            kit_digest(),
            platform.python_version(),
            f"{platform.system()} {platform.release()} {platform.machine()}",
            metadata.version("hypothesis"),
            datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            _run_url(),
        )

    @property
    def build(self) -> str:
        """The kit's version, and so much of its digest that unreleased ones are told apart."""
        return f"{self.kit} ({self.kit_digest[:12]})"

    def to_json(self) -> dict[str, Any]:
        """As it stands in report.json."""
        told: dict[str, Any] = {
            "kit": {"version": self.kit, "digest": {"dirHash": self.kit_digest}},
            "python": self.python,
            "platform": self.platform,
            "hypothesis": self.hypothesis,
            "finished": self.finished,
        }
        return {**told, "url": self.url} if self.url else told

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Environment:
        """What `to_json` gave."""
        kit = told["kit"]
        return cls(
            kit["version"],
            kit["digest"]["dirHash"],
            told["python"],
            told["platform"],
            told["hypothesis"],
            told["finished"],
            told.get("url", ""),
        )


@functools.cache
def kit_digest() -> str:
    """The digest of the files of this package, wherever their folders lie."""
    places: dict[str, list[Path]] = {}
    for inner in _PACKAGES:
        name = f"{_KIT}{inner}"
        spec = importlib.util.find_spec(name)
        found = spec.submodule_search_locations if spec is not None else None
        places[name] = [Path(place) for place in found or ()]
    return dir_hash(source_files(places))


def _run_url() -> str:
    """The address of the run in GitHub Actions."""
    names = ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")
    server, repository, run = (os.environ.get(name, "") for name in names)
    return f"{server}/{repository}/actions/runs/{run}" if server and repository and run else ""
