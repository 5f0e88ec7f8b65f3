"""What the taps keep of statements: some parameters of each shape, the hot ones always."""

from __future__ import annotations

from loadpath.tap.statements import SETS_MAX, KeptStatement, StatementKeeper
from loadpath.wire import Exchange
from loadpath.wire.exchange import Bound


def executed(value: int, text: str = "SELECT a FROM t WHERE id = $1", **more: object) -> Exchange:
    exchange = Exchange("execute", text, 0.0)
    exchange.parameters = value
    exchange.bound = Bound(b"\0\0", value.to_bytes(8), True)
    for name, given in more.items():
        setattr(exchange, name, given)
    return exchange


def kept(exchanges: list[Exchange]) -> list[KeptStatement]:
    keeper = StatementKeeper()
    keeper.take("db", exchanges)
    return keeper.statements()


def test_a_hot_key_stays_and_cold_ones_are_a_sample() -> None:
    (one,) = kept([executed(1 if n % 3 == 0 else 1000 + n) for n in range(3000)])
    assert one.calls == 3000
    assert len(one.sets) == SETS_MAX
    assert one.sets[0].values == (1).to_bytes(8)
    assert one.sets[0].count > 900
    cold = [int.from_bytes(each.values) for each in one.sets[1:]]
    assert max(cold) > 3000, "late ones come in too"


def test_the_same_traffic_leaves_the_same_sample() -> None:
    traffic = [executed(n * 7 % 501) for n in range(2000)]
    assert kept(traffic) == kept(traffic)


def test_values_in_the_text_are_sets_of_one_shape() -> None:
    texts = [f"SELECT a FROM t WHERE id = {n}" for n in range(5)]
    (one,) = kept([Exchange("query", text, 0.0) for text in texts])
    assert one.shape == "SELECT a FROM t WHERE id = $1"
    assert {each.text for each in one.sets} == set(texts)


def test_what_failed_was_not_run_or_is_too_large_is_not_kept() -> None:
    large = executed(4)
    large.bound = Bound(b"\0\0", b"x" * 20_000, True)
    prepared = Exchange("prepare", "SELECT 1", 0.0)
    assert kept([executed(1, error="23505"), executed(2, ended=False), prepared, large]) == []


def test_calls_in_transactions_are_counted() -> None:
    (one,) = kept([executed(n, transaction="open" if n < 3 else "none") for n in range(4)])
    assert one.in_transaction == 3
