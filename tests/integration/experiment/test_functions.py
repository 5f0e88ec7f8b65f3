"""py-spy looks into a real service under real load, and names what burns its CPU."""

from __future__ import annotations

import asyncio
import shutil
import sys
import time
from pathlib import Path

import pytest

from loadpath.drive import OpenLoad
from loadpath.events import AnyEvent, Warned
from loadpath.experiment import functions
from loadpath.experiment.arm import open_arm
from loadpath.experiment.session import open_session
from loadpath.questions.functions import function_shares
from loadpath.recording import FunctionsRecord, Recording
from loadpath.recording.runs import RunInfo, create_run
from loadpath.spec import load

KNOWN = Path(__file__).parents[2] / "known"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The service whose one thread burns 2 ms a request, in a folder of its own."""
    home = tmp_path / "cpu"
    home.mkdir()
    shutil.copy(KNOWN / "service.py", home)
    text = (KNOWN / "cpu/loadpath.toml").read_text("utf-8")
    text = text.replace('"python ../service.py', f'"{sys.executable} service.py')
    (home / "loadpath.toml").write_text(text, "utf-8")
    return home


def sampled(place: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[FunctionsRecord, list[str]]:
    """What was recorded of it at 200/s, and what the user was warned of."""
    monkeypatch.setattr(functions, "SAMPLED_S", 1.0)
    setup = load(place, environ={})
    told: list[AnyEvent] = []
    run = create_run(place, RunInfo(service="cpu", command=(), started_s=time.time()))

    async def work() -> Recording:
        async with (
            open_session(run, told.append) as session,
            open_arm(session, setup, "mix") as arm,
        ):
            await arm.drive(
                "hold", OpenLoad(rate_per_s=50.0), duration_s=0.5, weights={"GET /": 1.0}
            )
            await functions.sample_functions(arm, session, 200.0 / functions.LOAD_SHARE)
        return arm.recording()

    recording = asyncio.run(work())
    seen = recording.functions()
    assert seen is not None
    assert recording.segment(seen.segment).purpose == "functions"
    return seen, [event.message for event in told if isinstance(event, Warned)]


def test_the_function_that_burns_is_named(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, warned = sampled(place, monkeypatch)
    if seen.why_not:
        pytest.skip(f"this machine does not let py-spy look: {seen.why_not}")
    assert not warned
    # At 40 % of a core, 100 looks a second.
    assert 10 <= sum(stack.samples for stack in seen.stacks) <= 110
    more = FunctionsRecord(segment=seen.segment, stacks=seen.stacks * 50)
    shares = function_shares(more)
    assert shares is not None
    assert (shares.own[0].function, shares.own[0].file) == ("burn", "service.py")
    assert shares.own[0].share > 0.6


def test_who_may_not_look_says_so(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refusing = place / "refusing"
    refusing.write_text("#!/bin/sh\necho 'Permission Denied: try sudo' >&2\nexit 1\n")
    refusing.chmod(0o755)
    monkeypatch.setattr(functions, "sampler", lambda: str(refusing))
    seen, warned = sampled(place, monkeypatch)
    assert seen.stacks == ()
    assert seen.why_not == "py-spy: Permission Denied: try sudo"
    assert [seen.why_not in message for message in warned] == [True]
