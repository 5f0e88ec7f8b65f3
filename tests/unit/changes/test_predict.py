"""What each change does to a model: the figures that a user would see move."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from shop import BOOK, LIST, LOOK, Spent, shop_model

from loadpath.changes import Known, NotPredictedError, parse
from loadpath.changes.calls import FewerCalls
from loadpath.changes.knobs import KnobValue
from loadpath.model.network import Model, Station

Made = Callable[[str], Model]


@pytest.fixture
def made(known: Known, model: Model) -> Made:
    return lambda text: parse(text, known).predict(model)


def station(model: Model, name: str) -> Station:
    (found,) = (each for each in model.stations if each.name == name)
    return found


def test_more_users_leave_the_service_as_it_is(made: Made, model: Model) -> None:
    assert made("users x2") == model


def test_another_mix_keeps_the_others_in_proportion(made: Made) -> None:
    weights = {program.operation: program.weight for program in made("mix GET /books=40%").programs}
    assert weights[LIST] / sum(weights.values()) == pytest.approx(0.4)
    assert weights[LOOK] / weights[BOOK] == pytest.approx(8)


def test_workers_bring_threads_and_connections(made: Made, model: Model) -> None:
    after = made("workers=4")
    assert station(after, "loop").servers == 4
    assert after.pools[0].size == 40
    assert station(after, "database") == station(model, "database")


def test_a_pool_changes_in_proportion_to_its_knob(made: Made) -> None:
    # 2 workers with 10 each are 20; with 5 each 10.
    assert made("pool=5").pools[0].size == 10


def test_a_pool_that_never_filled_is_as_large_as_its_knob_says(made: Made, model: Model) -> None:
    opened = replace(model, pools=(replace(model.pools[0], size=6),))
    change = KnobValue("pool", "4", "10", "database", workers=2)
    assert change.predict(opened).pools[0].size == 8


def test_a_knob_without_a_meaning_is_only_measured(made: Made) -> None:
    with pytest.raises(NotPredictedError, match="does not say what mode means") as caught:
        made("mode=slow")
    assert "[knobs.mode]" in (caught.value.advice or "")


def test_a_pool_that_nobody_saw_is_not_predicted(model: Model) -> None:
    with pytest.raises(NotPredictedError, match="no pool of connections to cache"):
        KnobValue("pool", "5", "10", "cache").predict(model)


def test_fewer_cores_leave_the_engine_on_the_others(made: Made) -> None:
    after = made("cores=2")
    assert after.cores == 2
    assert not station(after, "engine").on_host
    assert station(after, "loop").on_host


def test_more_cores_are_more_cores(made: Made) -> None:
    after = made("cores=8")
    assert after.cores == 8
    assert station(after, "engine").on_host


def test_a_slower_dependency_is_waited_for_at_each_call(made: Made, model: Model) -> None:
    before, after = Spent(model, LIST), Spent(made("database +5ms"), LIST)
    assert after.in_reply_s - before.in_reply_s == pytest.approx(20 * 0.005)
    assert after.cpu_s == before.cpu_s
    look = Spent(made("database +5ms"), LOOK).in_reply_s - Spent(model, LOOK).in_reply_s
    assert look == pytest.approx(0.25 * 0.005)


def test_a_dependency_elsewhere_leaves_its_cores_here(made: Made, model: Model) -> None:
    after = made("database elsewhere +0.3ms")
    assert not station(after, "database").on_host
    assert station(after, "cache").on_host
    longer = Spent(after, BOOK).in_reply_s - Spent(model, BOOK).in_reply_s
    assert longer == pytest.approx(0.0003)


def test_a_dependency_that_nothing_calls_is_not_predicted(model: Model, known: Known) -> None:
    quiet = replace(model, programs=model.programs[1:])
    with pytest.raises(NotPredictedError, match="no call to cache was recorded"):
        parse("cache +5ms", known).predict(quiet)


def test_fewer_calls_take_less_of_the_database(made: Made, model: Model) -> None:
    before = Spent(model, LIST)
    after = Spent(made("calls GET /books database 20->1"), LIST)
    assert after.cpu_s["database"] == pytest.approx(before.cpu_s["database"] / 20)
    assert after.wait_s["database"] == pytest.approx(before.wait_s["database"] / 20)
    assert after.cpu_s["loop"] == before.cpu_s["loop"]
    assert Spent(made("calls GET /books database 20->1"), LOOK).cpu_s == Spent(model, LOOK).cpu_s


def test_what_is_done_aside_is_no_call(made: Made, model: Model) -> None:
    before, after = Spent(model, BOOK), Spent(made("calls POST /books database 1->0"), BOOK)
    assert after.cpu_s["database aside"] == before.cpu_s["database aside"]
    assert "database" not in after.cpu_s


def test_calls_that_are_not_made_cannot_become_fewer(made: Made) -> None:
    with pytest.raises(NotPredictedError, match="was not seen to call cache"):
        made("calls GET /books cache 2->1")


@given(before=st.floats(0.5, 50), share=st.floats(0, 0.99))
def test_so_many_fewer_calls_are_so_much_less_time(before: float, share: float) -> None:
    change = FewerCalls(LIST, "database", before, before * share)
    spent = Spent(change.predict(shop_model()), LIST)
    assert spent.cpu_s.get("database", 0.0) == pytest.approx(20 * 0.0005 * share)


def test_a_cache_lets_only_the_misses_through(made: Made, model: Model) -> None:
    before = Spent(model, LOOK)
    after = Spent(made("cache GET /{code} 30s hits 90%"), LOOK)
    assert after.cpu_s["loop"] == pytest.approx(before.cpu_s["loop"] * 0.1)
    assert after.cpu_s["database"] == pytest.approx(before.cpu_s["database"] * 0.1)
    assert after.cpu_s["engine"] == pytest.approx(before.cpu_s["engine"])


def test_a_queue_takes_its_calls_out_of_the_reply_and_not_off_the_host(
    made: Made, model: Model
) -> None:
    before, after = Spent(model, BOOK), Spent(made("queue POST /books database"), BOOK)
    assert after.cpu_s == pytest.approx(before.cpu_s)
    assert before.in_reply_s - after.in_reply_s == pytest.approx(0.0006)


def test_a_queue_of_calls_that_are_not_made_is_not_predicted(made: Made) -> None:
    with pytest.raises(NotPredictedError, match="was not seen to call cache"):
        made("queue POST /books cache")


def test_a_split_takes_an_operation_off_the_threads_of_the_others(made: Made, model: Model) -> None:
    after = made("split GET /books")
    own = Spent(after, LIST).cpu_s
    assert "loop" not in own
    assert own["loop of GET /books"] == Spent(model, LIST).cpu_s["loop"]
    assert station(after, "loop of GET /books").servers == 2
    assert Spent(after, LOOK).cpu_s == Spent(model, LOOK).cpu_s
    assert [pool.size for pool in after.pools] == [20, 20]


def test_faster_code_is_less_cpu_of_the_service_alone(made: Made, model: Model) -> None:
    before, after = Spent(model, LOOK), Spent(made("code 20% faster"), LOOK)
    assert after.cpu_s["loop"] == pytest.approx(before.cpu_s["loop"] * 0.8)
    assert after.cpu_s["database"] == before.cpu_s["database"]


def test_faster_code_of_one_operation_leaves_the_others(made: Made, model: Model) -> None:
    after = made("code 50% faster in GET /books")
    assert Spent(after, LIST).cpu_s["loop"] == pytest.approx(0.002)
    assert Spent(after, LOOK).cpu_s == Spent(model, LOOK).cpu_s


def test_an_operation_that_was_not_driven_is_not_predicted(known: Known, model: Model) -> None:
    less = replace(model, programs=model.programs[:1])
    for text in ("mix GET /books=30%", "split GET /books", "code 5% faster in GET /books"):
        with pytest.raises(NotPredictedError, match="it was not driven"):
            parse(text, known).predict(less)
