"""By which version of the contract a run is to judge."""

from __future__ import annotations

import pytest

from ..contract.catalogue import CONTRACT_VERSION, Contract, UnknownContract, contract_of


def contract_asked(config: pytest.Config) -> Contract:
    """The version of `--asyncexec-contract`, or else of the configuration, or the newest.

    Raises:
        pytest.UsageError: this kit does not know it.
    """
    given = config.getoption("asyncexec_contract")
    where = "--asyncexec-contract"
    if given is None:
        given = config.getini("asyncexec_contract") or CONTRACT_VERSION
        where = "asyncexec_contract in the configuration"
    try:
        return contract_of(given)
    except UnknownContract as unknown:
        raise pytest.UsageError(
            f"{where}: {unknown}.\n  Name one of them, or install a version of pytest-asyncexec "
            f"that knows contract {given!r}."
        ) from None
