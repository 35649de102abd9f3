"""Makes the arrays of tasks anew: `pip install covertable==3.2.0`, then run this file.

Covertable takes constraints and any strength; allpairspy, better known, makes pairs alone. It is
needed here only: what it makes lies beside the suite, so that no release of it changes a verdict.
"""

from __future__ import annotations

from pathlib import Path

import covertable
from pytest_asyncexec.conformance import plan
from pytest_asyncexec.conformance.plan.array import written
from pytest_asyncexec.conformance.plan.conditions import CONDITIONS, CONSTRAINTS


def main() -> None:
    """Write the rows in which every value, every pair and every triple occurs."""
    values = {name: list(condition.crossed) for name, condition in CONDITIONS.items()}
    constraints = [
        {"operator": "fn", "requires": list(constraint.of), "evaluate": constraint.holds}
        for constraint in CONSTRAINTS
    ]
    for name, strength in {"ones.txt": 1, "pairs.txt": 2, "triples.txt": 3}.items():
        rows = covertable.make(values, strength=strength, constraints=constraints)
        file = Path(plan.__path__[0], name)
        file.write_text(f"# made by scripts/covering_array.py\n{written(rows)}", encoding="ascii")
        print(file.name, len(rows))


if __name__ == "__main__":
    main()
