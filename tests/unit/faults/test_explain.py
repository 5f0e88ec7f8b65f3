"""What a fault is aimed at, and what it is refused for."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import msgspec
import pytest

from loadpath.deploy import Deployment, Guard, RunningDependency
from loadpath.errors import ConfigurationError, LoadpathError
from loadpath.faults import FAULTS, Fault, Stage, check, parse_fault, refusal
from loadpath.faults.tap_fault import TapFault
from loadpath.faults.worker_killed import WorkerKilled
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


@pytest.mark.parametrize("kind", FAULTS, ids=lambda kind: " ".join(kind.KEYWORD))
def test_what_others_use_is_reached_by_an_order_to_its_tap_or_not_at_all(kind: type[Fault]) -> None:
    fault = parse_fault(kind.EXAMPLE)
    of = min(fault.kinds() or {"postgres"})
    given = Dependency(name="shared", kind=of, env={}, url=f"{of}://localhost/x")
    aimed = msgspec.structs.replace(fault, target="shared")
    why = refusal(aimed, setup(given), tapped=True, root=True)
    if issubclass(kind, TapFault):
        # An order is all that it does: nothing else of it could reach the server.
        assert (kind.prepare, kind.onset, kind.heal) == (
            Fault.prepare,
            TapFault.onset,
            Fault.heal,
        )
        assert (why is None) is not kind.NEEDS.writes
        untapped = refusal(aimed, setup(given), tapped=False, root=True)
        assert untapped is not None
    elif kind is WorkerKilled:
        assert why is not None and "only the service can be hit" in why
    else:
        assert why is not None and "given by URL" in why


def test_nothing_is_sent_twice_to_what_others_use_unless_writes_may_reach_it() -> None:
    outside = setup(OUTSIDE)
    fault = parse_fault("duplicate of POST /mails")
    with pytest.raises(ConfigurationError, match="--allow-writes"):
        check(fault, outside, tapped=True, root=False)
    allowed = msgspec.structs.replace(outside, allow_writes=True)
    assert check(fault, allowed, tapped=True, root=False).target == "outside"


def test_a_stage_hands_out_no_server_that_others_use() -> None:
    def server(embedded: bool) -> RunningDependency:
        return RunningDependency(
            kind="postgres",
            host="127.0.0.1",
            port=1,
            user="",
            password="",
            name="",
            version="",
            url="",
            embedded=embedded,
        )

    running = {"database": server(True), "shared": server(False)}
    stage = Stage(cast(Deployment, SimpleNamespace(dependencies=running)), guard=cast(Guard, None))
    assert stage.running("database") is running["database"]
    for name, says in (("shared", "given by URL"), ("other", "there is no dependency other")):
        with pytest.raises(LoadpathError, match=says):
            stage.running(name)


def test_two_of_a_kind_must_be_told_apart() -> None:
    with pytest.raises(ConfigurationError, match="there are database and shared"):
        check(parse_fault("drop ack of INSERT"), setup(DATABASE, GIVEN), tapped=True, root=False)
