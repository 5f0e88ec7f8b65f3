"""Dependencies given by URL."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadpath.deploy.address import Address
from loadpath.deploy.dependency import RunningDependency, given_dependency, url_of
from loadpath.errors import ConfigurationError, UnsafeTargetError
from loadpath.spec import Dependency, OpenArrivals, Service, Setup, Workload


def parse(url: str, *, allow_hosts: tuple[str, ...] = ()) -> RunningDependency:
    dependency = Dependency(name="database", kind="postgres", env={}, url=url)
    setup = Setup(
        service=Service(name="test", directory=Path(), start=("true",)),
        workload=Workload(arrivals=OpenArrivals(1.0), operations=()),
        allow_hosts=allow_hosts,
    )
    return given_dependency(dependency, setup, default_port=5432, default_name="app")


def test_a_url_is_taken_apart() -> None:
    found = parse("postgresql+asyncpg://me:p%40ss@127.0.0.1:6543/shop?sslmode=disable")
    assert found.address == Address("127.0.0.1", 6543)
    assert (found.user, found.password, found.name) == ("me", "p@ss", "shop")
    assert not found.embedded
    assert set(found.secrets) == {"p@ss", "p%40ss"}
    assert found.values() == {
        "host": "127.0.0.1",
        "port": "6543",
        "user": "me",
        "password": "p@ss",
        "name": "shop",
    }
    assert found.values(Address("::1", 1))["port"] == "1"


def test_what_a_url_leaves_out_is_as_usual() -> None:
    found = parse("postgresql://localhost")
    assert (found.port, found.user, found.password, found.name) == (5432, "", "", "app")
    assert found.secrets == ()


@pytest.mark.parametrize(
    "url", ["", "localhost:5432", "postgresql:///shop", "postgresql://a:1,b:2/", "x://h:port/"]
)
def test_what_is_no_address_is_a_mistake_in_the_file(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"\[dependencies.database\] url"):
        parse(url)


def test_another_machine_is_refused_unless_allowed() -> None:
    with pytest.raises(UnsafeTargetError, match=r"203\.0\.113\.7") as refused:
        parse("postgresql://203.0.113.7/shop")
    assert refused.value.advice is not None
    assert "--allow-host 203.0.113.7" in refused.value.advice
    assert parse("postgresql://203.0.113.7/shop", allow_hosts=("203.0.113.7",)).port == 5432


PRINTABLE = st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S")), min_size=1)


@given(user=PRINTABLE, password=PRINTABLE, name=PRINTABLE)
def test_a_url_that_is_made_is_understood(user: str, password: str, name: str) -> None:
    found = parse(url_of("postgresql", user, password, Address("127.0.0.1", 1), name))
    assert (found.user, found.password, found.name) == (user, password, name)
