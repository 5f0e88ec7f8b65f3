"""The verdict on one operation, from streams made by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from loadpath.caching.stream import Stream, make_stream
from loadpath.experiment.caching.exposure import Depends, Exposure
from loadpath.experiment.caching.outcome import judged
from loadpath.experiment.caching.streams import Seen

SPAN_S = 60.0
COUNT = 6000


def seen(stream: Stream, *, headers: str = "", **methods: int) -> Seen:
    return Seen(
        operation="GET /it",
        methods=methods or {"GET": len(stream)},
        stream=stream,
        headers=np.array([headers] * len(stream), dtype=object),
        authorized=np.zeros(len(stream), dtype=bool),
        span_s=SPAN_S,
    )


def asked(keys: int = 20, digest: Any = 1, **columns: Any) -> Stream:
    rng = np.random.default_rng(1)
    at_s = np.linspace(0, SPAN_S, COUNT)
    return make_stream(at_s, rng.integers(0, keys, COUNT), digest=digest, **columns)


def depends(variant: str, *, exposed: int, other_status: int = 200) -> Exposure:
    one = Depends(
        variant=variant,
        compared=4,
        otherwise=4,
        exposed=exposed,
        headers="",
        status=200,
        other_status=other_status,
    )
    return Exposure((one,), 0, 4)


def test_what_never_changes_and_comes_again_is_kept() -> None:
    found = judged(seen(asked()), None, 0.01)
    assert (found.verdict, found.accusations) == ("yes", ())
    assert found.point is not None
    assert found.point.hit_ratio > 0.8
    assert found.point.staleness.stale == 0
    assert found.longest_ttl_s == 20
    assert found.bytes > 0


def test_what_is_asked_for_once_is_not() -> None:
    stream = make_stream(np.linspace(0, SPAN_S, COUNT), np.arange(COUNT), digest=1)
    assert judged(seen(stream), None, 0.01).why == "hardly anything is asked for twice"


def test_what_writes_is_not() -> None:
    found = judged(seen(asked(), POST=10), None, 0.01)
    assert (found.verdict, found.why) == ("no", "it writes")


def test_of_too_few_requests_nothing_is_told() -> None:
    stream = make_stream(np.linspace(0, SPAN_S, 20), np.zeros(20, int), digest=1)
    assert judged(seen(stream), None, 0.01).verdict == "cannot tell"


def test_the_ttl_is_as_long_as_the_staleness_allows() -> None:
    """All twenty keys change every ten seconds: a hit is stale with t / 10 / 2 about."""
    versions = (np.linspace(0, SPAN_S, COUNT) // 10).astype(int)
    strict = judged(seen(asked(digest=versions)), None, 0.04)
    loose = judged(seen(asked(digest=versions)), None, 0.2)
    assert strict.point is not None and loose.point is not None
    assert strict.point.ttl_s < loose.point.ttl_s <= 10
    none = judged(seen(asked(digest=versions)), None, 0.0001)
    assert none.verdict in ("no", "cannot tell")


@pytest.mark.parametrize(
    ("headers", "kinds"),
    [
        ("cache-control: public, max-age=60", ["volatile"]),
        ("cache-control: no-store", []),
        ("", []),
    ],
)
def test_what_changes_at_every_read_is_accused_where_it_may_be_kept(
    headers: str, kinds: list[str]
) -> None:
    found = judged(seen(asked(digest=np.arange(COUNT)), headers=headers), None, 0.01)
    assert found.verdict == "no"
    assert "differ from the one before" in found.why
    assert [each.kind for each in found.accusations] == kinds


@pytest.mark.parametrize(
    ("headers", "kinds"),
    [
        ("cache-control: public, max-age=60", ["leak"]),
        ("cache-control: private, max-age=60", []),
    ],
)
def test_who_asks_decides_and_is_accused_where_it_may_be_kept(
    headers: str, kinds: list[str]
) -> None:
    exposure = depends("identity", exposed=4)
    found = judged(seen(asked(), headers=headers), exposure, 0.01)
    assert found.verdict == "no"
    assert "who asks matters" in found.why
    assert [each.kind for each in found.accusations] == kinds


def test_who_has_no_credentials_would_be_answered() -> None:
    found = judged(seen(asked()), depends("anonymous", exposed=4, other_status=401), 0.01)
    assert found.why == "a cache before it would answer who has no credentials"


def test_what_vary_names_is_no_leak() -> None:
    assert judged(seen(asked()), depends("identity", exposed=0), 0.01).verdict == "yes"


def test_an_error_that_may_be_kept_is_accused() -> None:
    status = np.where(np.arange(COUNT) % 50 == 0, 503, 200)
    found = judged(
        seen(asked(status=status), headers="cache-control: public, max-age=60"), None, 0.01
    )
    assert [each.kind for each in found.accusations] == ["error"]
    absent = np.where(np.arange(COUNT) % 50 == 0, 404, 200)
    found = judged(
        seen(asked(status=absent), headers="cache-control: public, max-age=60"), None, 0.01
    )
    assert found.accusations == ()
