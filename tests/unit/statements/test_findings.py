"""Rules on what grows, each by runs written out: what is said, and of what nothing is."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from loadpath.statements.findings import judged
from loadpath.statements.record import AtSize, Ran, Scan, Size, StatementRecord

LIST = "SELECT id FROM t WHERE a = $1 ORDER BY id"
BOUNDED = LIST + " LIMIT $2"


def record(
    shape: str, run: Callable[[int, int], Ran], *, sets: int = 4, axis: str = "users"
) -> StatementRecord:
    """A statement whose nth set of parameters does `run(times, n)` at each size."""

    def at(times: int) -> AtSize:
        size = None if times == 1 else Size(axis, times)  # type: ignore[arg-type]
        return AtSize(size=size, runs=tuple(run(times, n) for n in range(sets)))

    return StatementRecord(
        shape=shape,
        named=True,
        calls_per_s=1.0,
        in_transaction=0.0,
        counts=(1,) * sets,
        at=tuple(at(times) for times in (1, 4, 16)),
    )


def ran(buffers: float, rows: float = 1.0, *, plan: str = "Seq Scan on t", **more: object) -> Ran:
    return Ran(buffers=buffers, rows=rows, time_s=0.001, plan=plan, **more)  # type: ignore[arg-type]


def kinds(one: StatementRecord) -> list[str]:
    (found,) = judged([one])
    return [each.kind for each in found.findings]


def scan(rows: float, removed: float = 0.0) -> tuple[Scan, ...]:
    return (Scan(how="Seq Scan", table="t", index="", rows=rows, removed=removed),)


def test_a_scan_for_few_rows_misses_an_index() -> None:
    assert kinds(record(BOUNDED, lambda k, n: ran(100 * k, scans=scan(1, 900 * k)))) == [
        "missing_index"
    ]


def test_so_does_a_scan_that_throws_most_away_though_its_rows_grow() -> None:
    found = record(BOUNDED, lambda k, n: ran(100 * k, 2 * k, scans=scan(2 * k, 900 * k)))
    assert kinds(found) == ["missing_index"]


def test_a_lookup_is_innocent() -> None:
    assert kinds(record(BOUNDED, lambda k, n: ran(3 + (k > 4), scans=scan(1)))) == []


def test_a_table_of_a_page_is_innocent_as_it_grows_to_sixteen() -> None:
    assert kinds(record(BOUNDED, lambda k, n: ran(k, scans=scan(1, 20 * k)))) == []


def test_rows_without_a_limit_that_grow_are_said() -> None:
    unbounded = record(LIST, lambda k, n: ran(4 + k, 10 * k, scans=scan(10 * k)))
    assert kinds(unbounded) == ["unbounded_list"]
    bounded = record(BOUNDED, lambda k, n: ran(4, 10, scans=scan(10)))
    assert kinds(bounded) == []


def test_a_count_over_everything_is_a_count_and_no_missing_index() -> None:
    counting = record(
        "SELECT count(*) FROM t",
        lambda k, n: ran(50 * k, plan="Aggregate(Seq Scan on t)", scans=scan(1000 * k)),
    )
    assert kinds(counting) == ["count"]


def test_a_sum_over_everything_is_said_too() -> None:
    summing = record(
        "SELECT sum(a) FROM t",
        lambda k, n: ran(50 * k, plan="Aggregate(Seq Scan on t)", scans=scan(1000 * k)),
    )
    assert kinds(summing) == ["aggregate"]


def test_rows_thrown_away_for_an_offset_are_said_however_large_the_data() -> None:
    paging = record(BOUNDED + " OFFSET $3", lambda k, n: ran(40, 10, skipped_rows=500.0 * n))
    assert kinds(paging) == ["offset"]
    first_page = record(BOUNDED + " OFFSET $3", lambda k, n: ran(4, 10, skipped_rows=0.0))
    assert kinds(first_page) == []


def test_what_spills_is_said_with_when() -> None:
    one = record(
        BOUNDED, lambda k, n: ran(5, temp_blocks=99.0 * (k == 16), spilled="sort" * (k == 16))
    )
    (found,) = judged([one])
    assert [each.kind for each in found.findings] == ["spills"]
    assert "16 × users" in found.findings[0].said


def test_work_that_grows_for_one_key_alone_is_a_hot_key() -> None:
    skewed = record(
        BOUNDED,
        lambda k, n: ran(60 * k if n == 0 else 3, 50 * k if n == 0 else 1, scans=scan(1)),
        axis="history",
    )
    assert kinds(skewed) == ["hot_key"]
    even = record(BOUNDED, lambda k, n: ran(60, 50, scans=scan(50)), axis="history")
    assert kinds(even) == []


def test_what_does_not_end_is_said() -> None:
    one = record(BOUNDED, lambda k, n: ran(100 * k, scans=scan(1, 900 * k)))
    late = AtSize(size=Size("users", 64), runs=(None,) * 4, problem="it took too long")
    (found,) = judged(
        [
            StatementRecord(
                shape=one.shape,
                named=True,
                calls_per_s=1.0,
                in_transaction=0.0,
                counts=one.counts,
                at=(*one.at, late),
            )
        ]
    )
    assert "too_long" in {each.kind for each in found.findings}


def test_what_could_not_be_run_says_why_and_accuses_nobody() -> None:
    at = tuple(
        AtSize(size=size, runs=(None,), problem="SQLSTATE 42P01")
        for size in (None, Size("users", 4))
    )
    (found,) = judged(
        [
            StatementRecord(
                shape=LIST, named=True, calls_per_s=1.0, in_transaction=0.0, counts=(1,), at=at
            )
        ]
    )
    assert found.findings == ()
    assert found.problem == "SQLSTATE 42P01"


@pytest.mark.parametrize("shape", ["INSERT INTO t (a) VALUES ($1)", "UPDATE t SET a = $1"])
def test_a_write_that_stays_as_it_was_is_innocent(shape: str) -> None:
    assert kinds(record(shape, lambda k, n: ran(6, 1))) == []
