"""The promises about the shortener's API, by its tests with larger numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from commands import Broken, loadpath, run, tests

SYSTEM = "systems/shortener"
LINKS = 1_000_000
EXAMPLES = 100


def plans(clone: Path) -> str:
    """EXPLAIN of every list query with a million links: no sequential scan."""
    return tests(clone, SYSTEM, "test_shortener_plans.py", SHORTENER_PLAN_LINKS=str(LINKS))


def schema(clone: Path) -> str:
    """Schemathesis with many made-up requests for each operation, and at every bound."""
    return tests(
        clone,
        SYSTEM,
        "test_shortener_openapi.py",
        SHORTENER_SCHEMA_EXAMPLES=str(EXAMPLES),
        SHORTENER_SCHEMA_PHASES="coverage,fuzzing",
    )


def kills(clone: Path, times: int) -> str:
    """SIGKILL, that often each: the service, a worker, the consumer, NATS, PostgreSQL, Valkey."""
    return tests(
        clone,
        SYSTEM,
        "test_shortener_crash.py",
        "test_shortener_counts.py",
        SHORTENER_KILLS=str(times),
    )


def codes(clone: Path) -> str:
    """Collisions among 10 million codes of each kind; permuted ones never collide."""
    printed = run([".venv/bin/python", "systems/shortener/bench/codes.py"], clone).stdout
    rows = [line.split() for line in printed.strip().splitlines()[1:]]
    return ", ".join(f"{row[0]} {row[2]} of {row[1]}" for row in rows)


def grows(clone: Path) -> str:
    """Without the index on visits growth is accused and the index found; with it nobody is."""
    without, growth = _growth(clone, "off")
    accused = {
        name for each in without["statements"] if each["findings"] for name in each["operations"]
    }
    found = [each["record"]["ddl"] for each in without["indexes"] if each["recommended"]]
    if not any(" ON visit (link_id" in ddl for ddl in found):
        raise Broken(f"recommended: {found}; accused: {sorted(accused)}")
    waits = next(each for each in growth["alone"] if each["operation"].endswith("/visits"))["p50_s"]
    if waits["growth-4-indexed"] > waits["growth-4"] / 2:
        raise Broken(f"driving says otherwise: {waits}")
    with_it, _ = _growth(clone, "on")
    said = [each["findings"] for each in with_it["statements"] if each["findings"]]
    if said:
        raise Broken(f"accused with the index: {said}")
    grown_ms, indexed_ms = (1000 * waits[name] for name in ("growth-4", "growth-4-indexed"))
    return f"{grown_ms:.1f} ms without the index at 4 × users, {indexed_ms:.1f} ms with it"


def _growth(clone: Path, index: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The database and all figures of an answer on growth, with that setting of the index."""
    seed = "python -m shortener seed --links 20000 --visits 60000"
    overrides = [f"knobs.visit_index.default={index}", f"dependencies.database.seed={seed}"]
    words = [word for each in overrides for word in ("--set", each)]
    printed = loadpath(clone, "ask", "growth", "systems/shortener", "--json", "-q", *words)
    growth = json.loads(printed)["answers"][0]["figures"]["growth"]
    return growth["databases"][0], growth
