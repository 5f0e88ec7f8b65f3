"""Data of another size by the service's own command, and which database it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadpath.errors import ConfigurationError
from loadpath.experiment.growth.seeding import at_size, grown_database
from loadpath.spec import Dependency, DependencyKind, Growth, OpenArrivals, Service, Setup, Workload


def setup(growth: Growth, **kinds: DependencyKind) -> Setup:
    dependencies = tuple(
        Dependency(name=name, kind=kind, env={}, seed=("seed", name))
        for name, kind in kinds.items()
    )
    return Setup(
        service=Service(name="s", directory=Path(), start=("s",), dependencies=dependencies),
        workload=Workload(arrivals=OpenArrivals(1.0), operations=()),
        growth=growth,
    )


def test_the_command_is_run_with_so_many_more() -> None:
    growth = Growth(seed=("make", "--links={n}", "--all"), n=1000)
    grown = at_size(setup(growth, main="postgres", cache="valkey"), 16)
    assert {each.name: each.seed for each in grown.service.dependencies} == {
        "main": ("make", "--links=16000", "--all"),
        "cache": ("seed", "cache"),
    }


def test_without_a_command_the_data_are_as_they_were() -> None:
    given = setup(Growth(), main="postgres")
    assert at_size(given, 16) is given


def test_the_only_database_grows_or_the_one_that_is_said() -> None:
    assert grown_database(setup(Growth(), main="postgres", cache="valkey")).name == "main"
    said = setup(Growth(database="other"), main="postgres", other="postgres")
    assert grown_database(said).name == "other"


def test_several_databases_and_none_are_told() -> None:
    with pytest.raises(ConfigurationError, match="several PostgreSQL databases: main, other"):
        grown_database(setup(Growth(), main="postgres", other="postgres"))
    with pytest.raises(ConfigurationError, match="no dependency is one"):
        grown_database(setup(Growth(), cache="valkey"))
