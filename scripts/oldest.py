"""Print constraints for pip by which the oldest versions are installed that pyproject.toml allows.

    python scripts/oldest.py >constraints.txt
    pip install -c constraints.txt -e '.[test]'

Only what pyproject.toml names itself is held at its bound; what that needs in turn is up to pip.
"""

import itertools
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

PYPROJECT = Path(__file__).parent.parent / "pyproject.toml"
BOUND = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(\[[^]]*\])?\s*>=\s*(?P<version>[0-9.]+)")


def constraints() -> Iterator[str]:
    """Yield `name==version` for each lower bound, that of extras too, and each once."""
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    extras = itertools.chain.from_iterable(project["optional-dependencies"].values())
    found = set()
    for wanted in (*project["dependencies"], *extras):
        bound = BOUND.fullmatch(wanted)
        if bound is not None:
            found.add(f"{bound['name']}=={bound['version']}")
        elif "==" not in wanted:
            raise SystemExit(f"{wanted!r} in {PYPROJECT.name} has no lower bound that can be tried")
    yield from sorted(found)


if __name__ == "__main__":
    print("\n".join(constraints()))
