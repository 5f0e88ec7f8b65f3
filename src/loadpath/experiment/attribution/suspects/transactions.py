"""A transaction kept open while the service waits for somebody else's HTTP service."""

from __future__ import annotations

from collections.abc import Sequence

from loadpath.experiment.attribution.crossings import Crossing, Visit
from loadpath.experiment.attribution.suspicion import Suspicion
from loadpath.figures import ms


def transaction_across_call(visits: Sequence[Visit]) -> list[Suspicion]:
    """One suspicion per dependency whose transactions stay open across calls to a kind `http`.

    It is about the last statement before the call.
    """
    held: dict[tuple[str, str], list[float]] = {}
    shapes: dict[tuple[str, str], str] = {}
    for visit in visits:
        # A transaction whose end the reply does not wait for was open just as long.
        for database, outside, seconds in _held_across((*visit.crossings, *visit.after)):
            key = (database.dependency, outside.dependency)
            held.setdefault(key, []).append(seconds)
            shapes.setdefault(key, database.shape)
    return [
        Suspicion(
            kind="transaction_across_call",
            dependency=database,
            shape=shapes[database, outside],
            said=f"a transaction on {database} stays open, and its connection taken, for "
            f"{ms(max(seconds))} while {outside} is called",
            advice="Call first and open the transaction after it, or commit before it.",
        )
        for (database, outside), seconds in held.items()
        if 2 * len(seconds) > len(visits)
    ]


def _held_across(crossings: Sequence[Crossing]) -> list[tuple[Crossing, Crossing, float]]:
    """(the statement before, the outside call, seconds between the statements around it)."""
    found = []
    outside = [c for c in crossings if c.kind == "http"]
    last: dict[tuple[str, int], Crossing] = {}
    for each in crossings:
        place = (each.dependency, each.connection)
        before = last.get(place)
        last[place] = each
        if before is None or before.transaction == "none":
            continue
        for call in outside:
            if before.ended_s <= call.began_s and call.ended_s <= each.began_s:
                found.append((before, call, each.began_s - before.ended_s))
                break
    return found
