"""A call that fails although the operation is answered: swallowed, retried, or paid for nothing."""

from __future__ import annotations

from collections.abc import Sequence

from loadpath.experiment.attribution.crossings import Visit
from loadpath.experiment.attribution.suspicion import Suspicion


def failing(visits: Sequence[Visit]) -> list[Suspicion]:
    """One suspicion per shape that failed in more than half of the visits."""
    failed: dict[tuple[str, str], list[str]] = {}
    for visit in visits:
        errors = {(c.dependency, c.shape): c.error for c in visit.crossings if c.error}
        for key, error in errors.items():
            failed.setdefault(key, []).append(str(error))
    return [
        Suspicion(
            kind="failing",
            dependency=dependency,
            shape=shape,
            said=f"fails with {errors[0]} in {len(errors)} of {len(visits)} requests",
            advice="Its error is caught in the service; look at what it logs.",
        )
        for (dependency, shape), errors in failed.items()
        if 2 * len(errors) > len(visits)
    ]
