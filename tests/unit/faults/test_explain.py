"""What a fault is aimed at, and what it is refused for."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadpath.errors import ConfigurationError
from loadpath.faults import check, parse_fault
from loadpath.spec import Dependency, OpenArrivals, Service, Setup, Workload


def setup(*dependencies: Dependency) -> Setup:
    return Setup(
        service=Service(name="it", directory=Path(), start=("true",), dependencies=dependencies),
        workload=Workload(arrivals=OpenArrivals(1.0), operations=()),
    )


DATABASE = Dependency(name="database", kind="postgres", env={})
CACHE = Dependency(name="cache", kind="valkey", env={})
QUEUE = Dependency(name="queue", kind="nats", env={})
GIVEN = Dependency(name="shared", kind="postgres", env={}, url="postgresql://localhost/x")
OUTSIDE = Dependency(name="outside", kind="http", env={}, url="http://localhost:1")
ALL = setup(DATABASE, CACHE, QUEUE, OUTSIDE)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("drop ack after commit of INSERT INTO link", "database"),
        ("drop request of GET link:*", "cache"),
        ("duplicate of PUB visits.*", "queue"),
        ("drop request of visits.created", "queue"),
        ("drop request of POST /mails", "outside"),
        ("error 40P01", "database"),
        ("error READONLY", "cache"),
        ("error 429", "outside"),
        ("cache killed", "cache"),
    ],
)
def test_a_unit_tells_whom_it_is_sent_to(text: str, target: str) -> None:
    assert check(parse_fault(text), ALL, tapped=True, root=False).target == target


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("databse killed", "there is no dependency databse; did you mean database?"),
        ("queue flushed", "only Valkey can be hit by that, and queue is NATS"),
        ("cache backend killed", "only PostgreSQL can be hit by that, and cache is Valkey"),
        ("service flushed", "only Valkey can be hit by that"),
        ("cache worker killed", "only the service can be hit by that, and cache is Valkey"),
        ("outside killed", "can be hit by that, and outside is HTTP"),
        ("database duplicate of INSERT", "and database is PostgreSQL"),
        ("cache error 40001", "only PostgreSQL can be hit by that"),
        ("database disk full", "that needs root"),
        ("duplicate of INSERT INTO link", "and database is PostgreSQL"),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_reason(text: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        check(parse_fault(text), ALL, tapped=True, root=False)
    assert says in raised.value.message


@pytest.mark.parametrize("how", ["killed", "stopped", "locked link", "disk full"])
def test_what_others_use_is_never_hit_itself(how: str) -> None:
    with pytest.raises(ConfigurationError, match="given by URL"):
        check(parse_fault(f"shared {how}"), setup(GIVEN), tapped=True, root=True)


@pytest.mark.parametrize(
    "how", ["+200ms", "refused", "drop request of SELECT", "slow 1s on SELECT"]
)
def test_the_tap_before_it_may_be_disturbed(how: str) -> None:
    fault = parse_fault(f"shared {how}")
    assert check(fault, setup(GIVEN), tapped=True, root=False) == fault
    with pytest.raises(ConfigurationError, match="no tap stands before shared"):
        check(fault, setup(GIVEN), tapped=False, root=False)


def test_two_of_a_kind_must_be_told_apart() -> None:
    with pytest.raises(ConfigurationError, match="there are database and shared"):
        check(parse_fault("drop ack of INSERT"), setup(DATABASE, GIVEN), tapped=True, root=False)
