"""Arms of a verified change, made by formula: three rounds of a baseline and a treatment."""

from __future__ import annotations

from pathlib import Path

from golden_recordings import Golden, Truth, setup

from loadpath.drive import OpenLoad
from loadpath.experiment.measured import HOLD, RAMP
from loadpath.recording import Recording

RATES = (200.0, 500.0)


def arm(
    folder: Path,
    letter: str,
    round_: int,
    truth: Truth,
    *,
    others_cores: float | None = None,
    rates: tuple[float, ...] = RATES,
    hiccups: tuple[tuple[float, float], ...] = (),
) -> Recording:
    golden = Golden(folder, setup(), truth, name=f"verify-{letter}-round-{round_ + 1}")
    golden.hiccups = hiccups
    for label, rate in enumerate(rates):
        golden.drive(
            HOLD,
            OpenLoad(rate_per_s=rate),
            duration_s=5.0,
            label=str(label),
            arm=letter,
            round=round_,
            others_cores=others_cores,
        )
    golden.hiccups = ()
    golden.drive(
        RAMP,
        OpenLoad(rate_per_s=400.0, end_rate_per_s=2500.0),
        duration_s=10.0,
        arm=letter,
        round=round_,
    )
    return golden.recording()


def rounds(folder: Path, after: Truth, count: int = 3, *, letter: str = "B") -> list[Recording]:
    # No two rounds of a real service are the same.
    drift = [1.0, 1.02, 0.99, 1.01][:count]
    made = []
    for number, times in enumerate(drift):
        for name, truth in (("A", Truth()), (letter, after)):
            capacity = truth.capacity_per_s * times
            grown = Truth(capacity_per_s=capacity, parts=truth.parts)
            made.append(arm(folder / str(number), name, number, grown))
    return made
