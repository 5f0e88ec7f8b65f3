"""The same question asked twice within one request, with nothing written in between."""

from __future__ import annotations

from collections.abc import Sequence

from loadpath.experiment.attribution.crossings import Crossing, Visit
from loadpath.experiment.attribution.suspicion import Suspicion


def repeated(visits: Sequence[Visit]) -> list[Suspicion]:
    """One suspicion per shape that was asked again with equal parameters, in most visits."""
    times: dict[tuple[str, str], list[int]] = {}
    for visit in visits:
        for key, most in _most_repeats(visit.crossings).items():
            times.setdefault(key, []).append(most)
    return [
        Suspicion(
            kind="repeated",
            dependency=dependency,
            shape=shape,
            said=f"asked {max(counts)} times with the same parameters in one request",
            advice="Ask once and hand the result on.",
        )
        for (dependency, shape), counts in times.items()
        if 2 * len(counts) > len(visits)
    ]


def _most_repeats(crossings: Sequence[Crossing]) -> dict[tuple[str, str], int]:
    """Per shape that was asked more than once alike: how often."""
    asked: dict[tuple[str, str, int], int] = {}
    most: dict[tuple[str, str], int] = {}
    for each in crossings:
        if each.pushed or each.error is not None:
            continue
        if not each.reads:
            # What is read after a write may differ, so asking again is right.
            asked = {key: n for key, n in asked.items() if key[0] != each.dependency}
            continue
        key = (each.dependency, each.shape, each.parameters)
        asked[key] = asked.get(key, 0) + 1
        if asked[key] > 1:
            most[key[:2]] = max(most.get(key[:2], 0), asked[key])
    return most
