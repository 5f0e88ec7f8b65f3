"""What is said of a statement that the service might keep: the rule, and the words."""

from __future__ import annotations

import pytest

from loadpath.answer import Interval
from loadpath.caching.staleness import Staleness, TtlPoint
from loadpath.experiment.caching.statements import StatementCache
from loadpath.questions.cache_gain import Gains, StatementGain
from loadpath.questions.cache_statements import concluded, statement_lines

SHAPE = "SELECT name FROM item WHERE id = $1"


def interval(value: float) -> Interval:
    return Interval(value, value * 0.9, value * 1.1, 0.9, "simulated", 7)


def point(ttl_s: float, hits: int, stale: int = 0) -> TtlPoint:
    share = Interval(stale / hits, 0.0, 0.01, 0.95, "Wilson, clustered", 100)
    return TtlPoint(ttl_s, 1000, hits, 1000 - hits, Staleness(hits, hits, stale, share, 0, 0))


def kept(**fields: object) -> StatementCache:
    return StatementCache(
        **{
            "dependency": "database",
            "shape": SHAPE,
            "verdict": "yes",
            "why": "",
            "asked": 6000,
            "per_s": 100.0,
            "parameters": 20,
            "inside_writes": 0.0,
            "allowed": 0.01,
            "digested": True,
            "point": point(5, 800, 4),
            "points": (point(1, 500), point(5, 800, 4)),
            "longest_ttl_s": 5.0,
            "bytes": 4096,
            **fields,
        }
    )


def gains(least: float, most: float) -> Gains:
    return Gains(
        statements=(
            StatementGain(
                dependency="database",
                shape=SHAPE,
                ttl_s=5,
                hit_ratio=0.9,
                least=interval(least),
                most=interval(most),
            ),
        )
    )


@pytest.mark.parametrize(
    ("least", "most", "verdict"),
    [(1.3, 1.6, "yes"), (1.05, 1.6, "cannot tell"), (1.0, 1.04, "no")],
)
def test_it_is_worth_it_from_a_fifth_more_on(least: float, most: float, verdict: str) -> None:
    (found,) = concluded([kept()], gains(least, most))
    assert found.verdict == verdict
    (of_another,) = concluded([kept(shape="SELECT 2")], gains(least, most))
    assert of_another.why == "what it gains was not foretold"


def test_what_speaks_against_it_stands_whatever_it_would_gain() -> None:
    stale = kept(verdict="no", why="all of it is stale", point=None)
    assert concluded([stale], gains(2, 3)) == (stale,)


def test_the_lines_say_the_ttl_the_hits_the_gain_and_what_is_beside() -> None:
    seen = kept(purged=point(5, 800), inside_writes=0.1)
    told = gains(1.3, 1.6)
    first, inside, purged, size = statement_lines(concluded([seen], told), told)
    assert first.subject == "inside it"
    assert first.verdict == (f"database, {SHAPE}, 100/s: yes, 5 s: 80 % hits, 0.50 % of them stale")
    assert first.cause.startswith("capacity +30 % (+17 to +43) foretold, +60 %")
    assert inside.verdict.startswith("10 % of its calls are made in transactions that write")
    assert purged.verdict == "dropped on the writes that change it, 0 % stale"
    assert size.verdict == "4 KiB kept at today's rate"


def test_what_nothing_speaks_for_is_told_where_it_comes_again_often() -> None:
    often = kept(verdict="no", why="it changes", point=None)
    seldom = kept(verdict="no", why="it changes", point=None, points=(point(1, 10),))
    (line,) = statement_lines([seldom, often], Gains())
    assert line.verdict.endswith("no: it changes (80 % asked before within 5 s)")
    assert statement_lines([], Gains()) == []
