"""Pieces wait to be read, in order, and not too many or too large ones."""

from __future__ import annotations

import pytest

from loadpath.tap import pieces as p
from loadpath.tap.pieces import Pieces


@pytest.fixture(autouse=True)
def no_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a loop nothing is read because it is quiet."""
    monkeypatch.setattr(Pieces, "_watch", lambda self: None)


class Reader:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[bytes, float]] = []

    def read(self, data: bytes, at_s: float) -> None:
        self.told.append((data, at_s))


def test_nothing_is_read_before_somebody_asks_and_then_all_of_it_in_order() -> None:
    waiting, reader = Pieces(), Reader()
    waiting.add(reader.read, b"one", 1.0)
    waiting.add(reader.read, b"two", 2.0)
    assert reader.told == []
    waiting.read_all()
    assert reader.told == [(b"one", 1.0), (b"two", 2.0)]
    waiting.read_all()
    assert len(reader.told) == 2


def test_never_more_than_so_many_wait() -> None:
    waiting, reader = Pieces(), Reader()
    for number in range(3 * p.PIECES_MAX + 1):
        waiting.add(reader.read, b"x", float(number))
        assert number + 1 - len(reader.told) < p.PIECES_MAX
    assert [at_s for _, at_s in reader.told] == list(map(float, range(3 * p.PIECES_MAX)))


def test_a_large_piece_is_read_at_once_after_those_before_it() -> None:
    waiting, reader = Pieces(), Reader()
    large = bytes(p.LARGE_BYTES)
    waiting.add(reader.read, b"small", 1.0)
    waiting.add(reader.read, large, 2.0)
    assert reader.told == [(b"small", 1.0), (large, 2.0)]
