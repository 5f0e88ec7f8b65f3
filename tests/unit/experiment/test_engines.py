"""When the load engine gets another process: it is full, and cores are idle."""

from __future__ import annotations

import numpy as np
import pytest

from loadpath.experiment.engines import engine_processes


def host(cores: int, busy_cores: float) -> dict[str, np.ndarray]:
    at_s = np.array([100.0, 101.0, 102.0])
    return {
        "at_s": at_s,
        "busy_s": (at_s - 100) * busy_cores,
        "steal_s": np.zeros(3),
        "cores": np.full(3, cores, dtype=np.uint32),
    }


@pytest.mark.parametrize(
    ("processes", "engine_cores", "cores", "busy_cores", "wanted"),
    [
        (1, 0.95, 8, 3.0, 2),  # full, and there is room
        (1, 0.5, 8, 3.0, 1),  # not full
        (1, 0.95, 2, 1.0, 1),  # never on two cores
        (1, 0.95, 8, 7.0, 1),  # nothing is idle
        (2, 0.95, 8, 3.0, 2),  # two share what one could do
        (2, 1.9, 8, 4.0, 3),
        (4, 3.9, 8, 5.0, 4),  # not more than half as many as cores
    ],
)
def test_a_full_engine_gets_a_process_while_cores_are_idle(
    processes: int, engine_cores: float, cores: int, busy_cores: float, wanted: int
) -> None:
    found = engine_processes(processes, engine_cores=engine_cores, host=host(cores, busy_cores))
    assert found == wanted


def test_without_samples_nothing_changes() -> None:
    assert engine_processes(1, engine_cores=1.0, host={"at_s": np.empty(0)}) == 1
