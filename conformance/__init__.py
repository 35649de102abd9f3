"""The conformance suite: checks that judge any executor class by the rules of the contract."""

from __future__ import annotations

#: The suite's modules in the order in which they run; most hold one chapter of the contract.
#: From `test_hygiene` on they end workers or change them, after which a backend may be of no use;
#: what breaks one for certain is in the last three, from several chapters.
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
    "test_many_at_once",
    "test_security",
    "test_results",
    "test_hygiene",
    "test_outlived",
    "test_inside_tasks",
    "test_isolation",
    "test_breakage",
    "test_deaths",
    "test_neighbours",
)
