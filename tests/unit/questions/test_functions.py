"""What the CPU of a service went into: each sample counts for its own innermost function."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadpath.experiment.limits import Resource
from loadpath.questions.functions import function_shares, is_service_cpu
from loadpath.recording import Frame, FunctionsRecord, Stack

MAIN = Frame("main", "app.py", own=True)
MODULE = Frame("<module>", "app.py", own=True)
LOOP = Frame("_run_once", "asyncio/base_events.py", own=False)
ORDERS = Frame("orders", "views.py", own=True)
PRICE = Frame("price", "prices.py", own=True)
FETCH = Frame("fetch", "asyncpg/pool.py", own=False)


def seen(*stacks: tuple[tuple[Frame, ...], int]) -> FunctionsRecord:
    return FunctionsRecord(
        segment=3, stacks=tuple(Stack(frames, samples) for frames, samples in stacks)
    )


def test_a_sample_counts_for_the_innermost_function_of_the_service() -> None:
    shares = function_shares(
        seen(
            ((MODULE, MAIN, LOOP, ORDERS, PRICE), 60),
            ((MODULE, MAIN, LOOP, ORDERS, FETCH), 30),
            ((MODULE, MAIN, LOOP), 10),
        )
    )
    assert shares is not None
    assert [(s.function, s.share, s.mostly) for s in shares.own] == [
        ("price", 0.6, ""),
        ("orders", 0.3, "asyncpg"),
    ]
    assert shares.others == {"asyncio": 0.1}


def test_a_service_without_a_library_is_all_its_own() -> None:
    shares = function_shares(seen(((MODULE, MAIN, PRICE), 100)))
    assert shares is not None
    assert [s.function for s in shares.own] == ["price"]


def test_few_samples_say_nothing() -> None:
    assert function_shares(seen(((LOOP, ORDERS), 49))) is None


@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from([MAIN, MODULE, LOOP, ORDERS, PRICE, FETCH]), min_size=1),
            st.integers(1, 1000),
        ),
        min_size=1,
    )
)
def test_shares_are_of_one_whole(stacks: list[tuple[list[Frame], int]]) -> None:
    shares = function_shares(seen(*((tuple(frames), count) for frames, count in stacks)))
    if shares is not None:
        whole = sum(s.share for s in shares.own) + sum(shares.others.values())
        assert whole == pytest.approx(1.0)
        assert [s.share for s in shares.own] == sorted((s.share for s in shares.own), reverse=True)


@pytest.mark.parametrize(
    ("kind", "part", "is_cpu"),
    [
        ("thread", "service", True),
        ("process", "service", True),
        ("cores", "host", True),
        ("thread", "database", False),
        ("pool", "database", False),
        ("limit", "service", False),
    ],
)
def test_functions_matter_where_the_service_ran_out_of_cpu(
    kind: str, part: str, is_cpu: bool
) -> None:
    resource = Resource(kind=kind, part=part, name="it", utilization=0.97, unit="a core")  # type: ignore[arg-type]
    assert is_service_cpu(resource) is is_cpu
    assert is_service_cpu(None) is False
