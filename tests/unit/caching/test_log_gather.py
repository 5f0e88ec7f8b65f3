"""What is kept of a log is enough for the figures, and bounded."""

from __future__ import annotations

import numpy as np
import pytest

from loadpath.caching.logs.formats import Batch
from loadpath.caching.logs.gather import Gathered
from loadpath.caching.logs.judge import judge
from loadpath.caching.memory import ENTRY_OVERHEAD_BYTES
from loadpath.caching.replay import savings_by_ttl
from loadpath.caching.sizes import hits_by_size, stack_distances
from loadpath.caching.stream import make_stream

RNG = np.random.default_rng(8)


def batch(keys: np.ndarray, at_s: np.ndarray, *, method: str = "GET", status: int = 200) -> Batch:
    count = len(keys)
    requests = [f"{method} /{'ab'[k % 2]}/{k}".encode() for k in keys.tolist()]
    sizes = (keys * 37 % 900 + 1).astype(np.int64)
    return Batch(at_s.astype(float), requests, np.full(count, status), sizes, count, [])


def test_figures_are_those_of_the_stream_itself() -> None:
    keys = RNG.zipf(1.3, 5000) % 400
    at_s = 1e9 + np.sort(RNG.integers(0, 10**6, 5000)) / 1000
    gathered = Gathered()
    for begin in range(0, 5000, 700):
        gathered.add(batch(keys[begin : begin + 700], at_s[begin : begin + 700]))
    found = judge(gathered, "Common")
    stream = make_stream(at_s, keys, body_bytes=keys * 37 % 900 + 1)
    ttls = [np.inf if p.ttl_s is None else p.ttl_s for p in found.all.by_ttl]
    hits, saved = savings_by_ttl(stream, ttls)
    sent = stream.body_bytes.sum()
    assert [p.hit_ratio for p in found.all.by_ttl] == pytest.approx((hits / 5000).tolist())
    assert [p.saved_bytes_ratio for p in found.all.by_ttl] == pytest.approx((saved / sent).tolist())
    distances = stack_distances(stream, overhead_bytes=ENTRY_OVERHEAD_BYTES).bytes
    sizes = [p.size_bytes for p in found.all.by_size]
    expected = hits_by_size(distances, sizes) / 5000
    assert [p.hit_ratio for p in found.all.by_size] == pytest.approx(expected.tolist())
    assert found.all.by_size[-1].hit_ratio == found.all.by_ttl[-1].hit_ratio
    assert found.all.keys == len(np.unique(keys))
    assert {o.name for o in found.operations} == {"GET /a/{id}", "GET /b/{id}"}
    assert sum(o.requests for o in found.operations) == 5000


def test_writes_errors_and_heads_are_counted_as_what_they_are() -> None:
    gathered = Gathered()
    at_s = np.array([1e9, 1e9 + 1])
    same = np.array([2, 2])
    gathered.add(batch(same, at_s))
    gathered.add(batch(same, at_s + 2, method="HEAD"))
    gathered.add(batch(same, at_s + 4, method="POST"))
    gathered.add(batch(np.array([4, 4]), at_s + 6, status=500))
    found = judge(gathered, "Common")
    reads, writes = found.operations
    assert reads.name == "GET /a/{id}"
    assert (reads.requests, reads.reads, reads.server_errors) == (6, 6, 2)
    assert reads.by_ttl[-1].hit_ratio == pytest.approx(3 / 6)
    assert (writes.name, writes.reads, writes.by_ttl) == ("POST /a/{id}", 0, ())


def test_lines_out_of_order_are_put_in_order() -> None:
    keys = RNG.integers(0, 50, 2000)
    at_s = 1e9 + np.sort(RNG.uniform(0, 500, 2000))
    shuffled = np.argsort(at_s + RNG.uniform(0, 3, 2000))
    straight, crooked = Gathered(), Gathered()
    straight.add(batch(keys, at_s))
    crooked.add(batch(keys[shuffled], at_s[shuffled]))
    assert judge(straight, "x").all.by_ttl == judge(crooked, "x").all.by_ttl


@pytest.mark.parametrize("bounds", [(30_000, 10**6), (10**6, 4000)], ids=["requests", "keys"])
def test_beyond_the_bounds_a_sample_of_keys_stands_for_all(bounds: tuple[int, int]) -> None:
    keys = np.random.default_rng(3).integers(0, 10_000, 80_000)
    at_s = 1e9 + np.arange(80_000) / 20
    exact, sampled = Gathered(), Gathered(*bounds)
    for begin in range(0, 80_000, 9000):
        part = batch(keys[begin : begin + 9000], at_s[begin : begin + 9000])
        exact.add(part)
        sampled.add(part)
    assert sampled.rate < 1
    assert sampled.kept <= bounds[0]
    assert sampled.keys <= bounds[1]
    truth, found = judge(exact, "x"), judge(sampled, "x")
    assert (truth.rate, found.rate) == (1.0, sampled.rate)
    assert found.all.requests == truth.all.requests
    assert found.all.keys == pytest.approx(truth.all.keys, rel=0.1)
    for ours, theirs in zip(found.all.by_ttl, truth.all.by_ttl, strict=True):
        assert ours.hit_ratio == pytest.approx(theirs.hit_ratio, abs=0.02)
        assert ours.entries == pytest.approx(theirs.entries, rel=0.1)
    for mine, other in zip(found.all.by_size, truth.all.by_size, strict=True):
        if mine.size_bytes == other.size_bytes:
            assert mine.hit_ratio == pytest.approx(other.hit_ratio, abs=0.03)
    assert found.all.popularity is None


def test_what_need_not_be_worked_out_again_is_forgotten_now_and_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("loadpath.caching.logs.gather.REMEMBERED_MAX", 100)
    gathered = Gathered()
    keys = np.arange(3000) % 1500
    for begin in range(0, 3000, 250):
        part = slice(begin, begin + 250)
        gathered.add(batch(keys[part], 1e9 + np.arange(begin, begin + 250)))
    assert gathered.keys == 1500
    assert judge(gathered, "x").all.by_ttl[-1].hit_ratio == 0.5


def test_lines_of_many_years_and_of_an_earlier_time_are_kept_in_seconds() -> None:
    gathered = Gathered()
    year_s = 365 * 86400.0
    for first_s in (1.7e9, 1.7e9 - 3, 1.7e9 + 30 * year_s, 1.7e9 - 10 * year_s):
        gathered.add(batch(np.array([2, 2, 2]), first_s + np.array([0.0, 1.0, 500.0])))
    assert gathered.unit_s == 1
    found = judge(gathered, "x")
    assert found.span_s == pytest.approx(40 * year_s + 500)
    ratios = {p.ttl_s: p.hit_ratio for p in found.all.by_ttl}
    # At -3, -2, 0, 1, 497 and 500 s, and twice at 0, 1, 500 s: seven fetches.
    assert ratios[10.0] == pytest.approx(6 / 12)
    assert ratios[None] == pytest.approx(11 / 12)


def test_an_entry_is_fresh_for_less_than_its_ttl_to_the_millisecond() -> None:
    gathered = Gathered()
    gathered.add(batch(np.array([2, 2, 2, 2]), 1.7e9 + np.array([0.0, 0.999, 1.0, 30.0])))
    ratios = {p.ttl_s: p.hit_ratio for p in judge(gathered, "x").all.by_ttl}
    assert ratios[1.0] == 0.25
    assert ratios[2.0] == 0.5
