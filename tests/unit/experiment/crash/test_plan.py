"""The default plan: what matters most for what the taps saw, and nothing that cannot be done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from loadpath.experiment.crash.plan import Seen, default_plan
from loadpath.faults import parse_fault
from loadpath.spec import Dependency, OpenArrivals, Service, Setup, Workload


def setup(*kinds: str, workers: int = 1, url: str | None = None) -> Setup:
    """A service that needs one of each kind, called by its kind."""
    return Setup(
        service=Service(
            name="shop",
            directory=Path(),
            start=("shop",),
            workers=workers,
            dependencies=tuple(_needs(kind, url) for kind in kinds),
        ),
        workload=Workload(arrivals=OpenArrivals(1.0), operations=()),
    )


def _needs(kind: Any, url: str | None) -> Dependency:
    return Dependency(name=kind, kind=kind, env={}, url=url)


def seen(kind: Any, verb: str, shape: str, count: int = 1, *, awaited: bool = True) -> Seen:
    return Seen(kind, kind, verb, shape, count, awaited)


def names(found: Any) -> list[str]:
    return [fault.name for fault in found]


def test_first_come_the_database_the_cache_and_the_service() -> None:
    plan = default_plan(setup("valkey", "postgres"), [], limit=3)
    assert names(plan) == ["postgres killed", "valkey killed", "service killed"]


def test_one_of_several_workers_is_killed_before_all_of_them() -> None:
    plan = names(default_plan(setup(workers=2), [], limit=9))
    assert plan.index("service worker killed") < plan.index("service killed")


def test_a_dependency_given_by_url_is_reached_through_its_tap_alone() -> None:
    calls = [seen("postgres", "execute", "SELECT $1")]
    plan = default_plan(setup("postgres", url="postgresql://elsewhere/x"), calls, limit=99)
    own = [fault for fault in plan if fault.target == "postgres"]
    assert own and all(fault.NEEDS.tap for fault in own)


def test_the_write_that_a_reply_waits_for_is_dropped_not_the_most_frequent() -> None:
    calls = [
        seen("postgres", "execute", "INSERT INTO visit(id) VALUES ($1)", 90, awaited=False),
        seen("postgres", "execute", "WITH made AS (INSERT INTO link(code) VALUES ($1)) SELECT", 3),
        seen("postgres", "execute", "SELECT url FROM link", 900),
    ]
    plan = names(default_plan(setup("postgres"), calls, limit=99))
    dropped = [name for name in plan if "drop" in name]
    assert dropped == [
        "postgres drop ack after commit of WITH made AS (INSERT INTO link, first 5",
        "postgres drop request of WITH made AS (INSERT INTO link, first 5",
    ]


def test_what_nothing_was_sent_to_is_killed_and_no_more() -> None:
    calls = [seen("postgres", "execute", "SELECT $1")]
    plan = default_plan(setup("postgres", "valkey"), calls, limit=99)
    assert names(f for f in plan if f.target == "valkey") == ["valkey killed"]


def test_every_fault_of_a_plan_can_be_told_on_the_command_line() -> None:
    calls = [
        seen("postgres", "execute", 'UPDATE "orders" SET total = $1'),
        seen("nats", "PUB", "orders.{}.made"),
        seen("nats", "PUB", "_INBOX.{}"),
        seen("valkey", "GET", "item:{}"),
    ]
    for fault in default_plan(setup("postgres", "valkey", "nats", "http"), calls, limit=99):
        assert parse_fault(fault.name) == fault


def test_a_plan_is_no_longer_than_asked() -> None:
    assert len(default_plan(setup("postgres", "valkey"), [], limit=2)) == 2


def test_of_two_statements_of_followed_writes_that_comes_first_which_little_else_calls() -> None:
    crossed = [
        Seen(
            "postgres", "postgres", "query", f"INSERT INTO {table} VALUES ($1)", count, True, share
        )
        for table, count, share in (("a", 90, 0.8), ("b", 9, 1.0), ("c", 900, 0.2))
    ]
    told = names(default_plan(setup("postgres"), crossed, limit=24))
    assert [name for name in told if "drop ack" in name] == [
        "postgres drop ack after commit of INSERT INTO b, first 5"
    ]
