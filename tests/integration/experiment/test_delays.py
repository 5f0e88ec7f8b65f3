"""A dependency made slower by a relay: its replies come later, those of the baseline do not."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from loadpath.changes import Known, parse
from loadpath.drive import OpenLoad
from loadpath.events import discard
from loadpath.experiment.arm import open_arm
from loadpath.experiment.knee import mix_of
from loadpath.experiment.session import open_session
from loadpath.experiment.verifying import alike
from loadpath.recording import RunInfo
from loadpath.recording.runs import create_run
from loadpath.spec import Setup, load

KNOWN = Path(__file__).parents[2] / "known"
DELAY_S = 0.02


@pytest.fixture
def upstream() -> Iterator[str]:
    """The address of a service that answers after 50 ms."""
    command = [sys.executable, str(KNOWN / "service.py"), "upstream", "0", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = process.stdout.readline().split()[-1]
        yield f"127.0.0.1:{port}"
        process.terminate()


@pytest.fixture
def outside(tmp_path: Path, upstream: str) -> Setup:
    """The service that asks it."""
    shutil.copy(KNOWN / "service.py", tmp_path)
    shutil.copytree(KNOWN / "outside", tmp_path / "outside")
    url = f"dependencies.payments.url=http://{upstream}"
    setup = load(tmp_path / "outside", environ={}, overrides=(url,))
    start = (sys.executable, *setup.service.start[1:])
    return replace(setup, service=replace(setup.service, start=start))


def test_the_change_delays_the_treatment_alone_behind_the_same_relay(
    outside: Setup, tmp_path: Path
) -> None:
    slower = parse(f"payments +{DELAY_S * 1000:g}ms", Known(outside, cores=2)).apply(outside)
    arms = alike(outside, {"B": slower})
    assert arms["A"].delays == {"payments": 0.0}
    run = create_run(tmp_path, RunInfo(service="outside", command=(), started_s=time.time()))

    async def fastest_s(setup: Setup, name: str) -> float:
        async with open_session(run, discard) as session, open_arm(session, setup, name) as arm:
            segment = await arm.drive(
                "hold", OpenLoad(rate_per_s=30.0), duration_s=1.5, weights=mix_of(setup.workload)
            )
            rows = arm.recording().requests(segment.index)
            assert "taps" in set(arm.recording().table("processes", segment.index)["part"])
        return float(np.quantile(rows["done_s"] - rows["intended_s"], 0.2))

    async def both() -> tuple[float, float]:
        return await fastest_s(arms["A"], "before"), await fastest_s(arms["B"], "after")

    before_s, after_s = asyncio.run(both())
    # uvloop's timers have whole milliseconds.
    assert after_s - before_s == pytest.approx(DELAY_S, abs=0.004)
