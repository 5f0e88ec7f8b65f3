"""The promises about the shortener's API, by its tests with larger numbers."""

from __future__ import annotations

import time
from pathlib import Path

from commands import run

LINKS = 1_000_000
EXAMPLES = 100


def plans(clone: Path) -> str:
    """EXPLAIN of every list query with a million links: no sequential scan."""
    return _test(clone, "test_shortener_plans.py", SHORTENER_PLAN_LINKS=str(LINKS))


def schema(clone: Path) -> str:
    """Schemathesis with many made-up requests for each operation."""
    return _test(clone, "test_shortener_openapi.py", SHORTENER_SCHEMA_EXAMPLES=str(EXAMPLES))


def _test(clone: Path, *files: str, **more: str) -> str:
    began_s = time.monotonic()
    pytest = str(clone / ".venv/bin/pytest")
    run([pytest, "-q", *(f"systems/shortener/tests/{file}" for file in files)], clone, **more)
    return f"{time.monotonic() - began_s:.0f} s"


def kills(clone: Path, times: int) -> str:
    """SIGKILL, that often each: the service, a worker, the consumer, NATS, PostgreSQL, Valkey."""
    return _test(
        clone,
        "test_shortener_crash.py",
        "test_shortener_counts.py",
        SHORTENER_KILLS=str(times),
    )


def codes(clone: Path) -> str:
    """Collisions among 10 million codes of each kind; permuted ones never collide."""
    printed = run([".venv/bin/python", "systems/shortener/bench/codes.py"], clone).stdout
    rows = [line.split() for line in printed.strip().splitlines()[1:]]
    return ", ".join(f"{row[0]} {row[2]} of {row[1]}" for row in rows)
