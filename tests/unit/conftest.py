"""What the tests of the model share: its compiled kernel, made before the first of them."""

from __future__ import annotations

from pathlib import Path

import pytest

SIMULATING = ("model", "changes", "questions")
"""Folders with tests that simulate."""


@pytest.fixture(scope="session", autouse=True)
def compiled(request: pytest.FixtureRequest) -> None:
    """Compile the kernel once, into its cache beside the sources, which processes that the tests
    start read as well. So no test pays for it, least of all one that is timed."""
    here = Path(__file__).parent
    folders = {
        item.path.relative_to(here).parts[0]
        for item in request.session.items
        if item.path.is_relative_to(here)
    }
    if not folders.intersection(SIMULATING):
        return
    from loadpath.model.network import Delay, Law, Model, Program  # noqa: PLC0415
    from loadpath.model.simulate import OpenRate, simulate  # noqa: PLC0415

    program = Program(operation="one", weight=1.0, steps=(Delay(Law(mean_s=0.001)),))
    simulate(
        Model(cores=1.0, stations=(), pools=(), programs=(program,)), OpenRate(1.0), requests=1000
    )
