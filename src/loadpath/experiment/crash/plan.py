"""Which faults to do when nobody says which: those that matter most for what the taps saw. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from loadpath.errors import ConfigurationError
from loadpath.faults import Fault, parse_fault, refusal
from loadpath.spec import DependencyKind, Setup

STOPPED_S = 2.0

FOLLOWED_MOSTLY = 0.7
"""What is called by writes that are followed in so many of its calls is a part of them."""

_WRITE = re.compile(
    r"(WITH \w+ AS \()?(INSERT INTO|UPDATE|DELETE FROM)\s+\"?[\w.]+\"?", re.IGNORECASE
)


class Seen(msgspec.Struct, frozen=True):
    """What crossed one wire without a fault: a shape (statement, command and key, subject), how
    often, whether a reply waits for it, and which share of its calls are made by writes that are
    followed."""

    dependency: str
    kind: DependencyKind
    verb: str
    shape: str
    count: int
    awaited: bool = True
    followed: float = 0.0


def default_plan(setup: Setup, seen: Sequence[Seen], *, limit: int) -> tuple[Fault, ...]:
    """At most `limit` faults, what matters most first and of that the shortest.

    First the processes: the database, what else is stored or sent, a worker or the service. Then
    what hangs, what is lost in between (a request, an acknowledgement), what is slow or refused.
    What cannot be done to this setup is left out.
    """
    used = {each.dependency for each in seen}
    order = {"postgres": 0, "valkey": 1, "nats": 2, "http": 3}
    parts = sorted(
        setup.service.dependencies, key=lambda d: (d.name not in used, order.get(d.kind, 4))
    )
    told: list[str] = []
    stores = [d.name for d in parts if d.kind != "http"]
    told += [f"{name} killed" for name in stores[:2]]
    told += ["service worker killed"] if setup.worker_count > 1 else ["service killed"]
    told += [f"{name} killed" for name in stores[2:]]
    # What nothing was sent to can be killed, to see that; the rest would hit nothing.
    parts = [d for d in parts if d.name in used] if used else parts
    told += [f"{d.name} stopped, for {STOPPED_S:g}s" for d in parts if d.kind != "http"]
    told += [f"{d.name} silent, for {STOPPED_S:g}s" for d in parts if d.kind == "http"]
    for write in _written(seen):
        told += [
            f"{write[0]} drop ack after commit of {write[1]}, first 5",
            f"{write[0]} drop request of {write[1]}, first 5",
        ]
    told += [f"{d.name} refused" for d in parts]
    told += [f"{d.name} cold" for d in parts if d.kind == "valkey"]
    told += [f"{d.name} +200ms, for {STOPPED_S:g}s" for d in parts]
    told += [f"{d.name} backend killed" for d in parts if d.kind == "postgres"]
    told += ["service restarted"]
    told += ["service killed"] if setup.worker_count > 1 else []
    found: list[Fault] = []
    for text in told:
        try:
            fault = parse_fault(text)
        except ConfigurationError:
            # A statement that cannot be told in a line: it is left to `--faults`.
            continue
        if refusal(fault, setup, tapped=True, root=False) is None:
            found.append(fault)
    return tuple(found[:limit])


def _written(seen: Sequence[Seen]) -> list[tuple[str, str]]:
    """The most frequent write to a database, and the message most often published; those first
    whose loss would be noticed, and for which a reply waits."""
    found = []
    for kind, unit in (("postgres", _statement), ("nats", _subject)):
        units: dict[tuple[str, str], tuple[bool, bool, float, int]] = {}
        for each in seen:
            said = unit(each) if each.kind == kind else None
            if said is not None:
                key = (each.dependency, said)
                _, awaited, followed, count = units.get(key, (False, False, 0.0, 0))
                share = max(followed, round(each.followed, 1))
                # A first read may write, too, where it makes what it reads.
                units[key] = (
                    share >= FOLLOWED_MOSTLY,
                    awaited or each.awaited,
                    share,
                    count + each.count,
                )
        if units:
            found.append(max(units, key=lambda key: units[key]))
    return found


def _statement(each: Seen) -> str | None:
    """`INSERT INTO link` of a statement that begins so, also where it is part of a larger one."""
    words = _WRITE.match(each.shape)
    return words[0] if words else None


def _subject(each: Seen) -> str | None:
    if each.verb not in ("PUB", "HPUB") or each.shape.startswith(("_INBOX", "$")):
        return None
    subject = each.shape.split()[-1] if each.shape else ""
    return f"PUB {re.sub(r'{[^}]*}', '*', subject)}" if subject else None
