"""The ledger's short form: foretold, written, measured, in that order, and resumed where it broke.

How well it foretells is for `make ledger` on a quiet machine; here a round of seconds is too short.
"""

from __future__ import annotations

import importlib
import os
import sys
from datetime import datetime
from pathlib import Path

import msgspec
import pytest

from loadpath.experiment.modeling import FOR_MODEL
from loadpath.experiment.verifying import VerifyDepth
from loadpath.questions.what_if import opened
from loadpath.recording import Run

BENCH = Path(__file__).resolve().parents[2] / "bench"
CASE = "pool-users-1.4"


def test_it_writes_before_it_measures_and_goes_on_where_it_was_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(BENCH))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    ledger, driving = (importlib.import_module(f"accuracy.{n}") for n in ("__main__", "driving"))
    catalog, page = (importlib.import_module(f"accuracy.{n}") for n in ("catalog", "page"))
    store = importlib.import_module("accuracy.store").Store(tmp_path)
    effort = driving.Effort(
        model=msgspec.structs.replace(
            FOR_MODEL, baseline_s=1.5, ramp_s=8.0, hold_s=1.0, holds=3, demand_s=1.0, warmup_s=0.5
        ),
        verify=VerifyDepth(rounds=1, repeats=0, warmup_s=0.5, hold_s=1.0, ramp_s=5.0),
        shares=(0.3,),
        disturbed_cores=float("inf"),
    )
    cases = [case for case in catalog.LEDGER if case.name == CASE]
    assert len(cases) == 1

    def interrupted(*_: object, **__: object) -> None:
        # The prediction is on disk when the change is about to be made.
        assert (tmp_path / "cases" / CASE / "1" / "prediction.json").exists()
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(driving, "verify_forecast", interrupted)
        with pytest.raises(KeyboardInterrupt):
            ledger.driven(cases, store, "abc", float("inf"), effort)
    assert not store.done(CASE)
    recorded = set((tmp_path / "runs").glob("2*"))

    assert ledger.driven(cases, store, "abc", float("inf"), effort) is False
    assert store.done(CASE)
    assert [attempt.number for attempt in store.attempts(CASE)] == [1, 2]
    assert capsys.readouterr().out.count("the model") == 1
    (run,) = set((tmp_path / "runs").glob("2*")) - recorded
    foretold, measured = store.last(CASE)
    assert foretold.made_s <= measured.began_s
    recordings = opened(Run(run))
    assert {r.name[:8] for r in recordings} == {"verify-A", "verify-B"}
    assert all(r.header.clock.unix_s >= measured.began_s for r in recordings)

    body = page.rendered(cases, ledger.rows_of(cases, store))
    assert body.startswith("1 of 1 changes were measured")
    day = datetime.now().astimezone().strftime("%Y")
    assert f"Foretold {day}" in body
    assert measured.digest[:12] in body
