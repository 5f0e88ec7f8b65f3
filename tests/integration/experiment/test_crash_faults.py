"""Faults done one after the other to a service with a cache, briefly: when each begins, at which
load, and what was foretold of it."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from loadpath.answer import Answer
from loadpath.events import discard
from loadpath.experiment.crash import cascade
from loadpath.experiment.crash.run import Timing
from loadpath.experiment.depth import BRIEF
from loadpath.experiment.session import open_session
from loadpath.faults import parse_fault
from loadpath.questions import crash
from loadpath.questions.outages import scores_of_outage
from loadpath.recording import Recording, Run, RunInfo
from loadpath.recording.runs import create_run
from loadpath.spec import load

SHORT = Timing(before_s=0.5, lasts_s=0.5, after_s=0.6, after_max_s=2.0, control_s=1.0, settle_s=0.3)
SERVICE = """
import os, sys
import redis.asyncio
import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

cache = redis.asyncio.from_url(os.environ["CACHE_URL"], retry=None)

async def item(request):
    try:
        await cache.get(f"item:{request.path_params['n']}")
    except (OSError, redis.exceptions.RedisError):
        return JSONResponse({}, status_code=503)
    return JSONResponse({})

async def health(request):
    return JSONResponse({})

app = Starlette(routes=[Route("/items/{n}", item), Route("/health", health)])
uvicorn.run(app, port=int(sys.argv[1]), log_level="warning", access_log=False)
"""
FILE = f"""
[service]
name = "shop"
start = "{sys.executable} service.py {{port}}"
ready = "GET /health"

[dependencies.cache]
kind = "valkey"
env = {{ CACHE_URL = "redis://:{{password}}@{{host}}:{{port}}/0" }}

[workload]
arrivals = {{ open = "60/s" }}

[workload.keys.n]
count = 50

[operations."GET /items/{{n}}"]
request = "GET /items/{{n}}"
keys = "n"

[objective]
p99 = "100ms"
"""


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Run, Answer]]:
    """Does these faults to that service and judges them; every part is short."""
    monkeypatch.setattr(crash, "_timing", lambda depth: SHORT)
    monkeypatch.setattr(cascade, "DUE_MAX_S", 0.5)
    (tmp_path / "service.py").write_text(SERVICE)
    (tmp_path / "loadpath.toml").write_text(FILE)
    setup = load(tmp_path, environ={})

    def ask(*faults: str) -> tuple[Run, Answer]:
        run = create_run(
            tmp_path / "runs", RunInfo(service="shop", command=(), started_s=time.time())
        )

        async def collect() -> None:
            async with open_session(run, discard) as session:
                session.faults = tuple(parse_fault(fault) for fault in faults)
                await crash.collect(session, setup, BRIEF)

        asyncio.run(collect())
        return run, crash.judge([Recording.open(path) for path in run.recordings()])

    return ask


def test_each_begins_when_its_trigger_says_and_outages_are_foretold(
    asked: Callable[..., tuple[Run, Answer]],
) -> None:
    run, answer = asked(
        "cache stopped",
        "cache refused, after cache +1ms",
        "cache +1ms, at 150/s",
        "cache refused, after cache drop request of GET nobody:*",
    )
    stopped, after, at_rate, never = answer.figures["faults"]
    recording = Recording.open(run.recordings()[0])

    # An outage is foretold, in a file of its own, and what was measured stands beside it.
    told = stopped.foretold
    assert told is not None
    assert told.operations == ("GET /items/{n}",)
    assert told.waiting is not None
    assert told.waiting.low < 60 * told.lasts_s < told.waiting.high
    assert stopped.waiting is not None
    assert stopped.waiting.most > stopped.waiting.usual_most
    assert {score.figure for score in scores_of_outage(stopped)} >= {"waiting", "drain_s"}
    assert any("requests waiting at most" in line.verdict for line in answer.lines)

    # One that comes after another begins once that has hit something, and proves both.
    assert after.fault.hits > 0
    assert "pieces delayed; then" in after.fault.proof
    assert after.course.failed > 0
    assert after.foretold is not None
    assert after.foretold.why

    # One at a rate is done at that rate, and compared with a control of the same.
    controls = [s.load["rate_per_s"] for s in recording.segments if s.purpose == "control"]
    assert controls == [60.0, 150.0]
    assert recording.segment(at_rate.fault.segment).load["rate_per_s"] == 150.0
    assert at_rate.rate_per_s == pytest.approx(150, rel=0.3)

    # One whose turn never comes is not done, and says why.
    assert never.fault.hits == 0
    assert "cache drop request of GET nobody:* had hit nothing" in never.fault.failed

    # All of it is derived again from what was recorded.
    assert crash.judge([Recording.open(path) for path in run.recordings()]) == answer
