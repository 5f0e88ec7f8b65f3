"""An index is kept for what the whole workload gains, and a trade is shown with both figures."""

from __future__ import annotations

import msgspec

from loadpath.statements.record import AtSize, IndexRecord, Ran, Size, StatementRecord
from loadpath.statements.verdict import IndexVerdict, verdicts

SIZE = Size("users", 16)


def at(buffers: float, wal: float = 0.0) -> AtSize:
    return AtSize(
        size=SIZE, runs=(Ran(buffers=buffers, rows=1, time_s=0.0, plan="", wal_bytes=wal),)
    )


def statement(shape: str, buffers: float, calls_per_s: float = 1.0) -> StatementRecord:
    return StatementRecord(
        shape=shape,
        named=True,
        calls_per_s=calls_per_s,
        in_transaction=0.0,
        counts=(1,),
        at=(at(buffers),),
    )


READ = statement("SELECT a FROM t WHERE b = $1 LIMIT $2", 1000.0)
OTHER = statement("SELECT c FROM t WHERE d = $1 LIMIT $2", 100.0)
WRITE = statement("INSERT INTO t (a) VALUES ($1)", 5.0)
RECORDS = (READ, OTHER, WRITE)


def index(name: str = "one", size_bytes: int = 100, **after: AtSize) -> IndexRecord:
    numbers = {"read": 0, "other": 1, "write": 2}
    return IndexRecord(
        ddl=f"CREATE INDEX CONCURRENTLY {name} ON t (b)",
        name=name,
        table="t",
        shape=READ.shape,
        size=SIZE,
        bytes=size_bytes,
        statements={numbers[key]: value for key, value in after.items()},
    )


def verdict(one: IndexRecord, records: tuple[StatementRecord, ...] = RECORDS) -> IndexVerdict:
    (found,) = verdicts([one], records)
    return found


def test_what_the_whole_workload_gains_by_is_kept_with_what_writes_pay() -> None:
    found = verdict(index(read=at(4), other=at(100), write=at(8, wal=120.0)))
    assert (found.verdict, found.recommended) == ("kept", True)
    assert found.write_pages == 3
    assert found.write_wal_bytes == 120
    assert [change.after for change in found.helped] == [4]


def test_one_that_helps_and_harms_is_a_trade_with_both_figures() -> None:
    found = verdict(index(read=at(4), other=at(500)))
    assert (found.verdict, found.recommended) == ("trade", False)
    assert (found.helped[0].before, found.helped[0].after) == (1000, 4)
    assert (found.harmed[0].before, found.harmed[0].after) == (100, 500)


def test_one_that_harms_more_than_it_helps_is_rejected() -> None:
    often = msgspec.structs.replace(OTHER, calls_per_s=100.0)
    assert verdict(index(read=at(4), other=at(500)), (READ, often, WRITE)).verdict == "rejected"


def test_one_whose_writes_cost_more_than_reads_gain_is_rejected() -> None:
    often = msgspec.structs.replace(WRITE, calls_per_s=1000.0)
    assert verdict(index(read=at(4), write=at(8)), (READ, OTHER, often)).verdict == "rejected"


def test_one_that_nothing_uses_is_rejected() -> None:
    assert verdict(index(read=at(1000), write=at(8))).verdict == "rejected"


def test_of_those_that_do_as_well_the_smallest_is_recommended() -> None:
    large, small = index("large", 900, read=at(4)), index("small", 300, read=at(5))
    found = {v.record.name: v.recommended for v in verdicts([large, small], RECORDS)}
    assert found == {"large": False, "small": True}


def test_a_smaller_one_that_leaves_more_work_is_not() -> None:
    large, small = index("large", 900, read=at(4)), index("small", 300, read=at(60))
    found = {v.record.name: v.recommended for v in verdicts([large, small], RECORDS)}
    assert found == {"large": True, "small": False}


def test_two_are_recommended_where_each_helps_another_statement() -> None:
    one, two = index("one", read=at(4)), index("two", other=at(4))
    assert all(v.recommended for v in verdicts([one, two], RECORDS))


def test_a_covering_one_that_is_a_copy_of_its_table_is_not_kept() -> None:
    copy = msgspec.structs.replace(
        index(read=at(4), size_bytes=900), ddl="CREATE INDEX x ON t (b) INCLUDE (c, d)"
    )
    assert verdicts([copy], RECORDS, {"t": 100})[0].verdict == "rejected"


def test_one_that_could_not_be_built_is_said_to_be_so() -> None:
    broken = msgspec.structs.replace(index(), problem="it cannot be built: too wide")
    assert verdict(broken).verdict == "unbuilt"
