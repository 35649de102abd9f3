"""The conformance suite: checks that judge any executor class by the rules of the contract."""

from __future__ import annotations

#: The suite's modules in the order in which they run; each holds one chapter of the contract.
#: The last three end workers, which may break a backend for good, after which it is of no use; what
#: does so for certain is in the last two, from several chapters.
CHECK_MODULES = (
    "test_construction",
    "test_serialization",
    "test_context",
    "test_streams",
    "test_lifecycle",
    "test_time_limits",
    "test_refused_limits",
    "test_queues",
    "test_retries",
    "test_cancellation",
    "test_cancelled_often",
    "test_handles",
    "test_requests",
    "test_concurrency",
    "test_security",
    "test_results",
    "test_hygiene",
    "test_breakage",
    "test_deaths",
)
