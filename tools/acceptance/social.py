"""The promises about the social platform, by its tests with larger numbers."""

from __future__ import annotations

from pathlib import Path

from commands import tests

SYSTEM = "systems/social"
EXAMPLES = 100
STATUSES = 1_000_000


def plans(clone: Path) -> str:
    """EXPLAIN of every list, on pages in the middle of a million statuses and follows."""
    return tests(clone, SYSTEM, "test_social_plans.py", SOCIAL_PLAN_STATUSES=str(STATUSES))


def schema(clone: Path) -> str:
    """Schemathesis with many made-up requests for each operation, and at every bound."""
    return tests(
        clone,
        SYSTEM,
        "test_social_openapi.py",
        SOCIAL_SCHEMA_EXAMPLES=str(EXAMPLES),
        SOCIAL_SCHEMA_PHASES="coverage,fuzzing",
    )


def kills(clone: Path, times: int) -> str:
    """SIGKILL, that often each: the web process, the worker, Valkey, NATS, PostgreSQL."""
    return tests(clone, SYSTEM, "test_social_crash.py", SOCIAL_KILLS=str(times))
