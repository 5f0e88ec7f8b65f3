"""What the benchmark of messages finds, and the tables that it becomes. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

__all__ = ["TIMES", "Alone", "Found", "Polled", "tables", "whole"]

T = TypeVar("T")

TIMES = 40
"""How many times the sends of the other this one is driven at."""


class Alone(msgspec.Struct, frozen=True):
    """Sends while nobody polls; `per_cpu_s` of its processes, `per_all_cpu_s` with the servers."""

    sends_per_s: float
    per_cpu_s: float
    per_all_cpu_s: float


class Polled(msgspec.Struct, frozen=True):
    """Sends while all poll; `received_per_s` by an average member; what its processes used."""

    sends_per_s: float
    received_per_s: float
    p50_ms: float
    p99_ms: float
    cores: float


class Found(msgspec.Struct):
    """What was measured, by homeserver: one value a round."""

    idle_kib: dict[str, float] = {}
    alone: dict[str, list[Alone]] = {}
    polled: dict[str, list[Polled]] = {}
    paced: list[Polled] = []


def spread(values: Sequence[float]) -> str:
    """The median, and in parentheses the least and the greatest."""
    middle = whole(statistics.median(values))
    return middle if len(values) < 2 else f"{middle} ({whole(min(values))}–{whole(max(values))})"


def whole(value: float) -> str:
    """A number with two or three digits that count."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2g}"


def _spreads(runs: Sequence[T], picks: Sequence[Callable[[T], float]]) -> list[str]:
    return [spread([pick(one) for one in runs]) for pick in picks]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _alone(found: Found, names: Sequence[str], senders: int) -> str:
    picks: list[tuple[str, Callable[[Alone], float]]] = [
        ("sends/s", lambda one: one.sends_per_s),
        ("sends per CPU-second of the service", lambda one: one.per_cpu_s),
        ("the same, with PostgreSQL and what else it uses", lambda one: one.per_all_cpu_s),
    ]
    rows = []
    for label, pick in picks:
        runs = [[pick(one) for one in found.alone[name]] for name in names]
        ratios = [a / b for a, b in zip(*runs, strict=True)] if len(runs) > 1 else None
        rows.append([label, *map(spread, runs), *([spread(ratios)] if ratios else [])])
    ratio = ["ratio"] if len(names) > 1 else []
    return _table([f"{senders} senders into one room", *names, *ratio], rows)


def _polled(found: Found, names: Sequence[str], members: int, rate_per_s: float) -> str:
    asked = f"{TIMES} times {names[1]}'s" if len(names) > 1 else f"{whole(rate_per_s)} sends/s"
    runs = [(f"{name}, as fast as it goes", found.polled[name]) for name in names]
    picks: list[Callable[[Polled], float]] = [
        lambda one: one.received_per_s,
        lambda one: one.p50_ms,
        lambda one: one.p99_ms,
        lambda one: one.cores,
    ]
    rows = []
    for label, polled in [*runs, (f"{names[0]}, at {asked}", found.paced)]:
        times = [
            mine.received_per_s / its.received_per_s
            for mine, its in zip(polled, runs[-1][1], strict=True)
        ]
        rows.append([label, *_spreads(polled, picks), *([spread(times)] if len(runs) > 1 else [])])
    head = [f"{members} members poll that room", "messages/s that all receive"]
    head += ["p50 ms", "p99 ms", "cores", *([f"times {names[1]}'s"] if len(runs) > 1 else [])]
    return _table(head, rows)


def tables(
    found: Found, names: Sequence[str], *, senders: int, members: int, polls: int, rate_per_s: float
) -> str:
    """Markdown of what there is. `names` of the homeservers, ours first."""
    parts = []
    if found.alone:
        parts.append(_alone(found, names, senders))
    if found.polled:
        parts.append(_polled(found, names, members, rate_per_s))
    if found.idle_kib:
        said = " and ".join(f"{kib:.0f} KiB each ({name})" for name, kib in found.idle_kib.items())
        parts.append(f"{polls} idle polls, each of another device, took {said}.")
    return "\n\n".join(parts)
