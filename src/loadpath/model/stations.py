"""From groups of threads to stations: what is too small for one of its own joins its part's."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from loadpath.model.network import Station
from loadpath.model.observations import Group, Observations

SERVICE = "service"
ENGINE = "engine"

OWN = 0.05
"""A group of the service below this share of its CPU is counted with its busiest one."""

PART_MIN = 0.005
"""A part below this share of all CPU has no station: its time on the wire says what it is."""

WAKING = frozenset({"thread", "interpreter", "engine"})
"""Kinds that do one thing at a time: an idle one has to be woken, a busy one goes on."""


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """A station, the groups that were metered for it, and whether it is what its part does first.

    A dependency has one station, the service its main one and perhaps another beside it.
    """

    station: Station
    groups: tuple[str, ...]
    main: bool
    waking: bool


def placed_stations(observations: Observations) -> tuple[Placed, ...]:
    """The stations of everything that used CPU, the engine's among them."""
    spent: dict[str, float] = {}
    for stretch in observations.stretches:
        for name, cores in stretch.cores.items():
            spent[name] = spent.get(name, 0.0) + cores * stretch.duration_s
    found: list[Placed] = []
    for part in dict.fromkeys(group.part for group in observations.groups):
        groups = [group for group in observations.groups if group.part == part]
        groups.sort(key=lambda group: -spent.get(group.name, 0.0))
        total = sum(spent.get(group.name, 0.0) for group in groups)
        if total <= PART_MIN * sum(spent.values()):
            continue
        found += _of_part(part, groups, spent, total)
    return tuple(found)


def _of_part(
    part: str, groups: list[Group], spent: Mapping[str, float], total: float
) -> list[Placed]:
    first = groups[0]
    beside = [
        group
        for group in groups[1:]
        if part == SERVICE and spent.get(group.name, 0.0) > OWN * total
    ]
    joined = [group for group in groups[1:] if group not in beside]
    placed = [
        Placed(
            station=Station(name=first.name, part=part, servers=first.servers),
            groups=(first.name, *(group.name for group in joined)),
            main=True,
            waking=first.kind in WAKING,
        )
    ]
    placed += [
        Placed(
            station=Station(name=group.name, part=part, servers=group.servers),
            groups=(group.name,),
            main=False,
            waking=False,
        )
        for group in beside
    ]
    return placed
