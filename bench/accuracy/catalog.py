"""What is foretold and measured: the services, the ledger's changes, and those of the tuning set.

The two sets are disjoint: constants of the model may be chosen by the second, never by the first.
"""

from __future__ import annotations

import msgspec

KNOWN = "tests/known"
OWN = "bench/accuracy/services"


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """A folder with a service file, below the checkout. `overrides` are as after `--set`;
    `upstream`: the service of 50 ms that it asks runs beside it."""

    name: str
    folder: str
    overrides: tuple[str, ...] = ()
    upstream: bool = False


SERVICES = {
    service.name: service
    for service in (
        Service(name="pool", folder=f"{KNOWN}/pool"),
        Service(name="cpu", folder=f"{KNOWN}/cpu"),
        Service(name="outside", folder=f"{KNOWN}/outside", upstream=True),
        Service(name="database", folder=f"{KNOWN}/database"),
        Service(name="mixed", folder=f"{OWN}/mixed"),
        Service(name="slots", folder=f"{OWN}/slots"),
        Service(name="shortener", folder="systems/shortener"),
        Service(
            name="shortener, pool of 2",
            folder="systems/shortener",
            overrides=("knobs.pool.default=2",),
        ),
    )
}


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """Changes to one service, made together. `gives_out` is what must give out first afterwards,
    by how the service is built: `cores`, or `thread` or `pool` and whose; None: by its usage."""

    name: str
    service: str
    changes: tuple[str, ...]
    gives_out: str | None = None

    @property
    def said(self) -> str:
        """The changes in one line."""
        return " and ".join(self.changes) or "no change"


def _case(name: str, service: str, *changes: str, gives_out: str | None = None) -> Case:
    return Case(name=name, service=service, changes=changes, gives_out=gives_out)


SLOTS, THREAD = "pool of service", "thread of service"
LINKS = "GET /short-urls"

LEDGER = (
    _case("pool-slots-6", "pool", "slots=6", gives_out=SLOTS),
    _case("pool-slots-4", "pool", "slots=4", gives_out=SLOTS),
    _case("pool-slots-2", "pool", "slots=2", gives_out=SLOTS),
    _case("pool-users-1.4", "pool", "users x1.4", gives_out=SLOTS),
    _case("pool-workers-2", "pool", "workers=2", gives_out=SLOTS),
    _case("pool-slots-5-users-1.3", "pool", "slots=5", "users x1.3", gives_out=SLOTS),
    _case("cpu-users-1.5", "cpu", "users x1.5", gives_out=THREAD),
    _case("cpu-cores-1", "cpu", "cores=1", gives_out=THREAD),
    _case("outside-5ms", "outside", "payments +5ms", gives_out="pool of payments"),
    _case("outside-20ms", "outside", "payments +20ms", gives_out="pool of payments"),
    _case("outside-workers-2", "outside", "workers=2", gives_out="pool of payments"),
    _case(
        "outside-15ms-users-1.3",
        "outside",
        "payments +15ms",
        "users x1.3",
        gives_out="pool of payments",
    ),
    _case("database-2ms", "database", "postgres +2ms", gives_out="pool of postgres"),
    _case("database-5ms", "database", "postgres +5ms", gives_out="pool of postgres"),
    _case("database-workers-2", "database", "workers=2", gives_out="pool of postgres"),
    _case(
        "database-3ms-users-1.3",
        "database",
        "postgres +3ms",
        "users x1.3",
        gives_out="pool of postgres",
    ),
    _case("mixed-report-40", "mixed", "mix GET /report=40%", gives_out=THREAD),
    _case("mixed-report-5", "mixed", "mix GET /report=5%", gives_out=THREAD),
    _case("mixed-workers-2", "mixed", "workers=2", gives_out="cores"),
    _case(
        "mixed-report-30-users-1.3",
        "mixed",
        "mix GET /report=30%",
        "users x1.3",
        gives_out=THREAD,
    ),
    _case("slots-4", "slots", "slots=4", gives_out=SLOTS),
    _case("slots-5", "slots", "slots=5", gives_out=SLOTS),
    _case("slots-2", "slots", "slots=2", gives_out=SLOTS),
    _case("shortener-database-2ms", "shortener", "database +2ms"),
    _case("shortener-database-5ms", "shortener", "database +5ms"),
    _case("shortener-cache-1ms", "shortener", "cache +1ms"),
    _case("shortener-pool-5", "shortener", "pool=5"),
    _case("shortener-links-4", "shortener", f"mix {LINKS}=4%"),
    _case("shortener-links-0.5", "shortener", f"mix {LINKS}=0.5%"),
    _case("shortener-cores-1", "shortener", "cores=1"),
    _case("shortener-users-2.5", "shortener", "users x2.5"),
    _case("shortener-links-2-database-1ms", "shortener", f"mix {LINKS}=2%", "database +1ms"),
)

TUNING = (
    _case("tuning-cpu-workers-2", "cpu", "workers=2"),
    _case("tuning-pool-itself", "pool"),
    _case("tuning-database-itself", "database"),
    _case("tuning-shortener-pool-10", "shortener, pool of 2", "pool=10"),
    _case("tuning-shortener-workers-2", "shortener", "workers=2"),
    _case("tuning-shortener-users-1.5", "shortener", "users x1.5"),
)

EXPLAINED: dict[str, str] = {}
"""By case: what explains a miss. Written by hand, after it was looked into."""
