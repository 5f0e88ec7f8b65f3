"""What growth does, judged from what was recorded: operations, keys, transactions, users."""

from __future__ import annotations

import msgspec
import pytest

from loadpath.experiment.attribution import LoadPath
from loadpath.experiment.attribution.paths import Call
from loadpath.experiment.attribution.suspicion import Suspicion
from loadpath.model.network import Delay, Law, Model, Program, Serve, Station
from loadpath.questions.growth_driven import misses
from loadpath.questions.growth_figures import DatabaseGrowth, growth_of
from loadpath.questions.growth_forecast import added_s, grown
from loadpath.questions.growth_lines import lines_of
from loadpath.spec import Objective, OpenArrivals, Operation, Workload
from loadpath.spec.objective import QuantileLimit
from loadpath.statements.record import (
    AtSize,
    Axis,
    CacheRecord,
    DatabaseRecord,
    Foretold,
    GrowthRecord,
    KeyRecord,
    Ran,
    Size,
    StatementRecord,
)

LIST = "SELECT id FROM notes WHERE user_id = $1"
EACH = "SELECT id FROM marks WHERE note_id = $1 LIMIT $2"
INSERT = "INSERT INTO marks (note_id) VALUES ($1)"


def statement(
    shape: str,
    *,
    rows: int = 1,
    growing: bool = False,
    calls_per_s: float = 1.0,
    in_transaction: float = 0.0,
    time_s: float = 0.001,
    axis: Axis = "users",
) -> StatementRecord:
    """One that does as much at each size, or `growing` in proportion."""

    def at(times: int) -> AtSize:
        k = times if growing else 1
        run = Ran(buffers=10.0 * k, rows=rows * k, time_s=time_s * k, plan="Seq Scan on t")
        return AtSize(size=None if times == 1 else Size(axis, times), runs=(run,))

    return StatementRecord(
        shape=shape,
        named=True,
        calls_per_s=calls_per_s,
        in_transaction=in_transaction,
        counts=(1,),
        at=tuple(at(times) for times in (1, 4, 16)),
    )


def path(operation: str, *shapes: str, repeated: str = "") -> LoadPath:
    calls = tuple(
        Call(
            dependency="db",
            kind="postgres",
            verb="execute",
            shape=shape,
            calls=5.0 if shape == repeated else 1.0,
            time_s=0.001,
            rows=1.0,
            after_reply=False,
        )
        for shape in shapes
    )
    suspicion = Suspicion(
        kind="n_plus_one", dependency="db", shape=repeated, said="", advice="", certain=True
    )
    return LoadPath(
        operation=operation,
        visits=5,
        response_time_s=0.01,
        inside_s=0.001,
        calls=calls,
        uses=(),
        suspicions=(suspicion,) if repeated else (),
    )


def database(*statements: StatementRecord, **more: object) -> DatabaseRecord:
    made = DatabaseRecord(
        dependency="db", version="18.6", sizes=(Size("users", 16),), statements=statements
    )
    return msgspec.structs.replace(made, **more)


def judged(record: DatabaseRecord, *paths: LoadPath) -> DatabaseGrowth:
    (found,) = growth_of(GrowthRecord(databases=(record,)), paths).databases
    return found


def kinds(found: DatabaseGrowth, shape: str) -> list[str]:
    return [f.kind for s in found.statements if s.shape == shape for f in s.findings]


def test_a_statement_made_for_each_row_of_a_list_that_grows_is_said() -> None:
    record = database(statement(LIST, rows=10, growing=True, axis="history"), statement(EACH))
    found = judged(record, path("GET /notes", LIST, EACH, repeated=EACH))
    assert kinds(found, EACH) == ["n_plus_one"]
    (said,) = [s.operations for s in found.statements if s.shape == EACH]
    assert said == ("GET /notes",)


def test_one_for_each_row_of_a_list_that_does_not_grow_is_not() -> None:
    record = database(statement(LIST, rows=5), statement(EACH))
    found = judged(record, path("GET /notes", LIST, EACH, repeated=EACH))
    assert kinds(found, EACH) == []


def test_a_table_that_nothing_is_deleted_from_only_grows() -> None:
    assert judged(database(statement(INSERT))).only_grow == ("marks",)
    cleaned = database(statement(INSERT), statement("DELETE FROM marks WHERE id = $1"))
    assert judged(cleaned).only_grow == ()
    # What is deleted with a note, and with what is deleted with it.
    noted = database(statement(INSERT), statement("DELETE FROM notes WHERE id = $1"))
    assert judged(noted).only_grow == ("marks",)
    cascades = (("drafts", "marks"), ("notes", "drafts"))
    assert judged(msgspec.structs.replace(noted, cascades=cascades)).only_grow == ()


@pytest.mark.parametrize(("rate", "count"), [(100.0, 1), (0.5, 0)])
def test_a_key_runs_out_at_the_rate_of_inserts(rate: float, count: int) -> None:
    key = KeyRecord(table="marks", column="id", type="integer", last=10**6, highest=2**31 - 1)
    record = database(statement(INSERT, calls_per_s=rate), keys=(key,))
    found = judged(record).keys
    assert len(found) == count
    if found:
        assert found[0].ends_in_s == pytest.approx((2**31 - 1 - 10**6) / 100)


def test_a_transaction_held_longer_by_what_grows_in_it_is_told() -> None:
    slow = statement(LIST, rows=10, growing=True, in_transaction=1.0)
    write = statement(INSERT, in_transaction=1.0)
    (held,) = judged(database(slow, write), path("POST /marks", LIST, INSERT)).held
    assert held.operation == "POST /marks"
    assert held.before_s == pytest.approx(0.002)
    assert held.after_s == pytest.approx(0.017)
    outside = statement(LIST, rows=10, growing=True)
    assert judged(database(outside, write), path("POST /marks", LIST, INSERT)).held == ()


def test_time_that_a_request_gains_is_that_of_its_statements_times_their_calls() -> None:
    record = database(statement(LIST, growing=True), statement(EACH))
    paths = [path("GET /notes", LIST, EACH, repeated=EACH), path("GET /marks", EACH)]
    assert added_s(record, paths, 4) == pytest.approx({"GET /notes": 0.003, "GET /marks": 0.0})
    assert added_s(record, paths, 2)["GET /notes"] == pytest.approx(0.001)
    assert added_s(record, paths, 64)["GET /notes"] == pytest.approx(0.063)


def model() -> Model:
    steps = (
        Serve("loop", Law(mean_s=0.001)),
        Delay(Law(mean_s=0.0002), "db"),
        Serve("backends", Law(mean_s=0.002)),
        Serve("loop", Law(mean_s=0.001)),
        Delay(Law(mean_s=0.0002), "db"),
    )
    stations = (Station(name="loop", part="service"), Station(name="backends", part="db"))
    programs = tuple(Program(operation=o, weight=1.0, steps=steps) for o in ("a", "b"))
    return Model(cores=2.0, stations=stations, pools=(), programs=programs)


def test_grown_demands_are_added_to_the_calls_and_to_nothing_else() -> None:
    before = model()
    after = grown(before, "db", {"a": 0.006})
    changed, same = after.programs
    assert same == before.programs[1]
    work = [
        s.work.mean_s for s in changed.steps if isinstance(s, Serve) and s.station == "backends"
    ]
    delays = [s.time.mean_s for s in changed.steps if isinstance(s, Delay)]
    assert work == pytest.approx([0.005])
    assert sum(delays) == pytest.approx(0.0004 + 0.003)
    assert grown(before, "db", {}) == before


def workload() -> Workload:
    objective = Objective(quantiles=(QuantileLimit(0.99, 0.1),))
    return Workload(
        arrivals=OpenArrivals(rate_per_s=100.0),
        operations=(Operation(name="a"), Operation(name="b")),
        objective=objective,
    )


def told(operation: str, data: int, rate: int, p99_s: float | None) -> Foretold:
    return Foretold(operation=operation, data=data, rate=rate, p99_s=p99_s)


def test_an_operation_misses_from_the_first_size_that_is_over_its_limit() -> None:
    foretold = [
        *(told("a", k, k, 0.03 * k) for k in (1, 2, 4, 8)),
        *(told("a", k, 1, 0.02 * k) for k in (2, 4, 8)),
        *(told("a", 1, k, 0.01) for k in (2, 4)),
        told("a", 1, 8, None),
        *(told("b", k, k, 0.01) for k in (1, 2, 4, 8)),
    ]
    a, b = misses(foretold, workload())
    assert (a.users, a.by_data, a.by_rate) == (4, 8, 8)
    assert (b.users, b.by_data, b.by_rate) == (None, None, None)


def test_what_misses_by_the_load_alone_is_one_line_for_all() -> None:
    foretold = tuple(
        told(name, data, rate, 0.5 if rate == 4 else 0.01)
        for name in ("a", "b")
        for data, rate in ((1, 1), (4, 4), (1, 4), (4, 1))
    )
    record = GrowthRecord(databases=(database(statement(EACH)),), foretold=foretold)
    lines = lines_of(growth_of(record, (), workload=workload()))
    (line,) = [each for each in lines if "p99" in each.verdict]
    assert line.subject == "the load"
    assert "2 operations" in line.verdict


def test_what_was_not_grown_says_why() -> None:
    record = database(problem="orders: cannot be grown")
    (line,) = lines_of(growth_of(GrowthRecord(databases=(record,)), ()))
    assert "orders" in line.verdict


def test_of_a_key_value_store_it_is_said_that_it_was_not_grown() -> None:
    record = CacheRecord(dependency="cache", version="9.1", keys=5300, bytes=2_000_000, users=100)
    lines = lines_of(growth_of(GrowthRecord(databases=(), caches=(record,)), ()))
    (said,) = [line.verdict for line in lines if line.subject == "cache"]
    assert said.startswith("not grown: looked at as it is after the load, 5,300 keys")
    assert "for each of 100 users" in said
