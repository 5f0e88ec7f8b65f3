"""What else took the machine while a load was held."""

from __future__ import annotations

from pathlib import Path

import pytest
from golden_recordings import Golden, Truth, setup

from loadpath.drive import OpenLoad
from loadpath.experiment.holds import OTHERS_MAX_CORES, disturbance, holds_of


@pytest.mark.parametrize(
    ("others_cores", "said"),
    [
        (0.0, None),
        (OTHERS_MAX_CORES - 0.005, None),
        (OTHERS_MAX_CORES + 0.01, "other processes took 0.06 cores"),
        (0.7, "other processes took 0.70 cores"),
    ],
)
def test_others_disturb_from_a_twentieth_of_a_core_on(
    tmp_path: Path, others_cores: float, said: str | None
) -> None:
    golden = Golden(tmp_path, setup(), Truth())
    segment = golden.drive("hold", OpenLoad(rate_per_s=300.0), others_cores=others_cores)
    assert disturbance(golden.recording(), segment) == said


def test_holds_are_told_in_the_order_driven_and_by_their_purpose(tmp_path: Path) -> None:
    golden = Golden(tmp_path, setup(), Truth())
    golden.drive("baseline", OpenLoad(rate_per_s=300.0))
    golden.drive("hold", OpenLoad(rate_per_s=960.0))
    golden.drive("hold", OpenLoad(rate_per_s=600.0), others_cores=0.4)
    first, second = holds_of(golden.recording(), "hold")
    assert (first.scale, second.scale) == (pytest.approx(3.2), pytest.approx(2.0))
    assert (first.assessment.met, second.assessment.met) == (False, True)
    assert (first.disturbed, second.disturbed) == (None, "other processes took 0.40 cores")
