"""Models that several tests speak of."""

from __future__ import annotations

from typing import Literal

from loadpath.model.network import (
    Acquire,
    Delay,
    Law,
    Model,
    Pool,
    Program,
    Release,
    Serve,
    Station,
    Step,
)


def exponential(mean_s: float) -> Law:
    return Law(kind="exponential", mean_s=mean_s, cv=1.0)


def constant(mean_s: float) -> Law:
    return Law(mean_s=mean_s)


def model(
    *steps: Step, stations: tuple[Station, ...] = (), pools: tuple[Pool, ...] = (), cores: float = 8
) -> Model:
    """One operation, `visit`, with cores to spare unless told otherwise."""
    program = Program(operation="visit", weight=1.0, steps=steps)
    return Model(cores=float(cores), stations=stations, pools=pools, programs=(program,))


def station(
    name: str = "s",
    servers: int = 1,
    *,
    discipline: Literal["fifo", "ps"] = "fifo",
    on_host: bool = True,
    wakeup_s: float = 0.0,
) -> Station:
    return Station(
        name=name,
        part=name,
        servers=servers,
        discipline=discipline,
        on_host=on_host,
        wakeup_s=wakeup_s,
    )


def pool(name: str, size: int) -> Pool:
    return Pool(name=name, part="service", size=size)


def queue(
    law: Law, servers: int = 1, *, discipline: Literal["fifo", "ps"] = "fifo", on_host: bool = True
) -> Model:
    """A single station."""
    return model(
        Serve("s", law), stations=(station("s", servers, discipline=discipline, on_host=on_host),)
    )


NESTED = model(
    Acquire("slots"),
    Serve("app", exponential(0.0001)),
    Acquire("connections"),
    Serve("database", exponential(0.0002)),
    Delay(constant(0.0005)),
    Release("connections"),
    Serve("app", exponential(0.0001)),
    Release("slots"),
    stations=(station("app"), station("database", 5)),
    pools=(pool("slots", 40), pool("connections", 5)),
    cores=2,
)
"""A service with two nested pools: one thread of its own, five backends, two cores for them all."""
