"""A what-if from nothing: recorded, unless a run has that, foretold and, if asked, verified."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from loadpath.answer import Answer
from loadpath.changes import Change
from loadpath.events import EventSink
from loadpath.experiment.depth import fitted
from loadpath.experiment.modeling import FOR_MODEL, estimate_s
from loadpath.experiment.session import Session
from loadpath.experiment.verifying import VerifyDepth
from loadpath.questions.ask import collecting
from loadpath.questions.forecast import foretell, write_forecast
from loadpath.questions.what_if import derive_what_if, foresee, opened, verify_forecast
from loadpath.recording import Run
from loadpath.spec import Setup

MODEL_SHARE = 0.4
"""Of a budget that has to do for both, so much goes into the model, the rest into verifying it."""


async def answer_what_if(
    setup: Setup,
    changes: Sequence[Change],
    run: Run,
    base: Run | None,
    *,
    emit: EventSink,
    depth: VerifyDepth | None,
    at_per_s: Sequence[float] = (),
    budget_s: float | None = None,
    hold_s: float | None = None,
    audit: bool = False,
) -> Answer:
    """Predict from `base`, or after recording what that takes, and verify to `depth` (None: not at
    all), with holds of `hold_s`. Raises as `collecting` does."""
    verify = depth is not None
    budget = budget_s or math.inf

    async def collect(session: Session) -> None:
        if base is None:
            left_s = budget * (MODEL_SHARE if verify else 1.0)
            brief = fitted(FOR_MODEL, left_s, lambda d: estimate_s(setup, d))
            forecast = await foresee(
                session, setup, changes, brief, at_per_s=at_per_s, verify=verify
            )
        else:
            forecast = foretell(
                opened(base), changes, source=base.name, at_per_s=at_per_s, verify=verify
            )
            write_forecast(run, forecast)
        if depth is not None:
            wanted = depth if hold_s is None else msgspec.structs.replace(depth, hold_s=hold_s)
            await verify_forecast(session, setup, changes, forecast, wanted)

    await collecting(
        setup, collect, run=run, emit=emit, estimate_s=None, budget_s=budget, audit=audit
    )
    return derive_what_if(run)
