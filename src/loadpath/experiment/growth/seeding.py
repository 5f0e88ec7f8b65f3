"""Which database grows, and data of another size as the service's own command makes it."""

from __future__ import annotations

import msgspec

from loadpath.errors import ConfigurationError
from loadpath.spec import Dependency, Setup


def grown_database(setup: Setup) -> Dependency:
    """The PostgreSQL dependency that is grown. Raises `ConfigurationError` if it is not clear."""
    databases = [each for each in setup.service.dependencies if each.kind == "postgres"]
    if setup.growth.database is not None:
        databases = [each for each in databases if each.name == setup.growth.database]
    if len(databases) == 1:
        return databases[0]
    if not databases:
        raise ConfigurationError(
            "growth is that of a PostgreSQL database, and no dependency is one",
            key="dependencies",
            advice='Declare it: [dependencies.database] kind = "postgres"',
        )
    names = ", ".join(each.name for each in databases)
    raise ConfigurationError(
        f"there are several PostgreSQL databases: {names}",
        key="growth.database",
        advice=f'Say which one grows: [growth] database = "{databases[0].name}"',
    )


def at_size(setup: Setup, factor: int) -> Setup:
    """The setup whose data are made `factor` times as large, by `[growth] seed`.

    As it is when the user gave no such command: then a clone is grown instead.
    """
    growth = setup.growth
    if growth.seed is None:
        return setup
    chosen = grown_database(setup)
    seed = tuple(word.replace("{n}", str(growth.n * factor)) for word in growth.seed)
    dependencies = tuple(
        msgspec.structs.replace(each, seed=seed) if each.name == chosen.name else each
        for each in setup.service.dependencies
    )
    service = msgspec.structs.replace(setup.service, dependencies=dependencies)
    return msgspec.structs.replace(setup, service=service)
