"""The ledger's catalog, what it keeps on disk, and its page."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

from loadpath.answer import Interval
from loadpath.changes import NotPredictedError, applied
from loadpath.model.network import Model
from loadpath.questions.forecast import AtRates, Forecast
from loadpath.questions.scores import score

BENCH = Path(__file__).resolve().parents[2] / "bench"


@pytest.fixture(autouse=True)
def on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCH))


def module(name: str) -> ModuleType:
    return importlib.import_module(f"accuracy.{name}")


def interval(value: float, share: float = 0.01) -> Interval:
    return Interval(value, value * (1 - share), value * (1 + share), 0.9, "test", 5)


def foretold(case: str = "pool-slots-6"):  # type: ignore[no-untyped-def]
    store = module("store")
    forecast = Forecast(
        changes=("slots=6",),
        assumes=(),
        made_s=1.0,
        source="run",
        knee_per_s=250.0,
        rates=(AtRates(100.0, 100.0),),
        prediction=None,
    )
    return store.Foretold(
        case=case,
        changes=("slots=6",),
        commit="abc",
        made_s=1.0,
        model_run="run",
        taken_cores=0.0,
        gives_out=("pool of service",),
        forecast=forecast,
    )


def measured(digest: str, **more: object):  # type: ignore[no-untyped-def]
    store = module("store")
    known = store.Measured(
        case="pool-slots-6",
        digest=digest,
        began_s=2.0,
        ended_s=3.0,
        machine="2 cores",
        taken_cores=0.0,
        measurement=None,
        scores=(
            score("capacity", interval(2.0), interval(1.9)),
            score("mean at 100/s", interval(0.010, 0.1), interval(0.0101)),
            score("p50 at 100/s", interval(0.010, 0.1), interval(0.0101)),
            score("p99 at 100/s", interval(0.020, 0.1), interval(0.020, 0.2)),
        ),
        gave_out="pool of service",
        why_not=None,
    )
    return msgspec.structs.replace(known, **more)


def test_the_ledger_is_as_large_as_promised_and_shares_nothing_with_the_tuning_set() -> None:
    catalog = module("catalog")
    ledger, tuning = catalog.LEDGER, catalog.TUNING
    assert len(ledger) >= 24
    figures = 1 + 2 * len(module("driving").SHARES)
    assert len(ledger) * figures >= 100
    assert len({case.name for case in (*ledger, *tuning)}) == len(ledger) + len(tuning)
    scored = {(catalog.SERVICES[c.service].folder, c.changes) for c in ledger}
    assert len(scored) == len(ledger)
    assert scored.isdisjoint((catalog.SERVICES[c.service].folder, c.changes) for c in tuning)


def test_the_page_of_the_model_names_every_service_of_the_tuning_set() -> None:
    catalog = module("catalog")
    text = (BENCH.parent / "docs/explanation/model.md").read_text("utf-8")
    section = text.partition("## The tuning set")[2]
    names = {"systems/shortener": "link shortener"}
    for case in catalog.TUNING:
        folder = catalog.SERVICES[case.service].folder
        assert names.get(folder, f"`{folder}`") in section


def test_every_change_can_be_read_and_made_for_real() -> None:
    catalog, driving = module("catalog"), module("driving")
    for case in (*catalog.LEDGER, *catalog.TUNING):
        setup = driving.setup_of(catalog.SERVICES[case.service], None)
        changes = driving.changes_of(case, setup)
        after, reasons = applied(changes, setup)
        assert reasons == (), case.name
        assert (after != setup) == bool(changes), case.name
        for change in changes:
            try:
                change.predict(Model(stations=(), pools=(), programs=(), cores=2.0))
            except NotPredictedError as error:
                # Of an empty model there is nothing to say; a knob that sizes nothing is a mistake.
                assert "does not say what" not in error.message, case.name


def test_a_prediction_is_never_written_twice_and_a_changed_one_is_refused(tmp_path: Path) -> None:
    store = module("store")
    attempt = store.Store(tmp_path).next("pool-slots-6")
    digest = attempt.write_foretold(foretold())
    with pytest.raises(FileExistsError):
        attempt.write_foretold(foretold())
    attempt.write_measured(measured(digest))
    file = attempt.folder / store.PREDICTION
    file.write_text(file.read_text("utf-8").replace("250.0", "260.0"), "utf-8")
    with pytest.raises(store.TamperedError, match=r"prediction\.json"):
        store.Store(tmp_path).last("pool-slots-6")
    with pytest.raises(store.TamperedError, match="another prediction"):
        again = store.Store(tmp_path).next("pool-slots-6")
        again.write_foretold(foretold())
        again.write_measured(measured("0" * 64))
        again.measured()


def test_what_was_disturbed_or_interrupted_is_done_again(tmp_path: Path) -> None:
    kept = module("store").Store(tmp_path)
    assert not kept.done("pool-slots-6")
    kept.next("pool-slots-6").write_foretold(foretold())
    assert not kept.done("pool-slots-6")
    second = kept.next("pool-slots-6")
    assert second.number == 2
    second.write_measured(measured(second.write_foretold(foretold()), why_not="others took 1.0"))
    assert not kept.done("pool-slots-6")
    third = kept.next("pool-slots-6")
    third.write_measured(measured(third.write_foretold(foretold())))
    assert kept.done("pool-slots-6")


def test_errors_are_summed_up_over_what_was_measured_well_alone() -> None:
    scoring = module("scoring")
    row = scoring.Row(foretold(), measured("d" * 64))
    entries = row.entries
    assert [(e.kind, e.counted) for e in entries] == [
        ("capacity", True),
        ("mean", True),
        ("p99", False),
    ]
    capacity = scoring.summary(entries, "capacity")
    assert capacity.median == pytest.approx(2.0 / 1.9 - 1)
    assert capacity.held == 0.0
    assert scoring.summary(entries, "p99").count == 0
    assert row.named_right is True
    disturbed = scoring.Row(foretold(), measured("d" * 64, why_not="others took 1.0 cores"))
    assert scoring.summary(disturbed.entries).count == 0
    assert disturbed.named_right is None


def test_the_page_shows_misses_and_what_did_not_count() -> None:
    catalog, page, scoring = module("catalog"), module("page"), module("scoring")
    row = scoring.Row(foretold(), measured("d" * 64, gave_out="cores"))
    body = page.rendered(catalog.LEDGER, [row])
    assert "| capacity ratio | 2.000 (1.980 to 2.020) | 1.900" in body
    assert "+5.3 % | **no** |" in body
    assert "not measured well enough |" in body
    assert "**pool of service**; it was cores" in body
    assert "`dddddddddddd`" in body
    assert body.count("not measured yet") == len(catalog.LEDGER) - 1
    gone = scoring.Row(foretold(), measured("d" * 64, why_not="others took 1.00 cores"))
    assert "not counted: others took 1.00 cores" in page.rendered(catalog.LEDGER, [gone])


def test_every_file_that_predicts_is_there() -> None:
    ledger = module("__main__")
    assert [name for name in ledger.PREDICTS if not (BENCH.parent / name).exists()] == []


def test_it_refuses_a_name_that_is_no_case(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["ledger", "--only", "pool-slots-7"])
    with pytest.raises(SystemExit):
        module("__main__").main()
    assert "pool-slots-7: expected pool-slots-6" in capsys.readouterr().err
