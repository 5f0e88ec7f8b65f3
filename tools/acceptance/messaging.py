"""The promises about the messaging server, by its tests with larger numbers."""

from __future__ import annotations

from pathlib import Path

from commands import tests

SYSTEM = "systems/messaging"
EXAMPLES = 100
CONVERSATIONS = 1_000
EVENTS = 5_000_000


def schema(clone: Path) -> str:
    """Schemathesis with many made-up requests for each operation, and at every bound."""
    return tests(
        clone,
        SYSTEM,
        "test_messaging_openapi.py",
        MESSAGING_SCHEMA_EXAMPLES=str(EXAMPLES),
        MESSAGING_SCHEMA_PHASES="coverage,fuzzing",
    )


def model(clone: Path) -> str:
    """Random conversations: what every client is told is what the reference model says."""
    return tests(
        clone,
        SYSTEM,
        "test_messaging_model.py",
        MESSAGING_MODEL_EXAMPLES=str(CONVERSATIONS),
        MESSAGING_MODEL_VARIANTS="all",
    )


def plans(clone: Path) -> str:
    """How PostgreSQL runs every statement with millions of events: no sequential scan."""
    return tests(clone, SYSTEM, "test_messaging_plans.py", MESSAGING_PLAN_EVENTS=str(EVENTS))


def kills(clone: Path, times: int) -> str:
    """SIGKILL, that often each: a worker, the service, NATS, Valkey, PostgreSQL."""
    return tests(clone, SYSTEM, "test_messaging_crash.py", MESSAGING_KILLS=str(times))
