"""What each version of the contract froze: `python -m pytest_asyncexec.contract.frozen` prints it.

Frozen is what is normative: of every rule its id, obligation, level and sentence. Why it is there,
how it is decided and what it needs may be told better, or decided more sharply, at any time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from types import MappingProxyType

from .catalogue import VERSIONS, Contract, contract_of

#: The digests, as they were when the versions were made. That of a version in the making is empty.
DIGESTS: Mapping[str, str] = MappingProxyType(
    {
        "1.0": "ede8796630dc87dbca6e197fd6a9943ad47adaca04fdfe2018b36cd78c7e701a",
        "1.1": "10bd7f5404d38d2ddad789aef6b6b75f356a8e573f1c53abfb9784979d94617c",
    }
)


def digest_of(contract: Contract) -> str:
    """The SHA-256, in hexadecimal, of a contract's rules as canonical JSON, in the order of ids."""
    rules = [
        {"id": r.id, "obligation": r.obligation, "level": r.level, "sentence": r.sentence}
        for r in sorted(contract.rules.values(), key=lambda rule: rule.id)
    ]
    text = json.dumps(rules, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


if __name__ == "__main__":
    for version in VERSIONS:
        print(f'        "{version}": "{digest_of(contract_of(version))}",')
