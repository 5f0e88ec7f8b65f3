"""Some of what statements are run with, kept in memory so that they can be run again elsewhere.

A question about growth runs every statement on a larger copy of the data, and a statement without
its parameters says little: one user has ten rows, another ten thousand. What is kept is bounded,
is never written to disk, and is given away once, over the control socket.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

import msgspec

from loadpath.wire import Exchange
from loadpath.wire.exchange import Bound
from loadpath.wire.postgres_texts import CUT
from loadpath.wire.statements import statement_shape

SHAPES_MAX: Final = 500
SETS_MAX: Final = 64
"""Sets of parameters that are remembered of one shape."""

SET_BYTES_MAX: Final = 16 * 1024
TOTAL_BYTES_MAX: Final = 32 * 1024 * 1024
_TRIES: Final = 4
_NOTHING_BOUND: Final = Bound(b"", b"", False)


class ParameterSet(msgspec.Struct, frozen=True):
    """One set of what a statement was run with, and how often that was seen.

    `types` and `values` as `Bound` has them; empty where the statement has its values in its text.
    """

    text: str
    types: bytes
    values: bytes
    count: int


class KeptStatement(msgspec.Struct, frozen=True):
    """A shape of a statement with some of what it was run with, the most frequent first.

    `calls` counts all of them, `in_transaction` those after which a transaction was open; `named`
    says whether the driver prepares it under a name.
    """

    tap: str
    shape: str
    named: bool
    calls: int
    in_transaction: int
    sets: tuple[ParameterSet, ...]


class _Set:
    __slots__ = ("bound", "count", "text")

    def __init__(self, text: str, bound: Bound) -> None:
        self.text = text
        self.bound = bound
        self.count = 1

    @property
    def size(self) -> int:
        return len(self.text) + len(self.bound.values)


class _Kept:
    __slots__ = ("calls", "in_transaction", "named", "sets")

    def __init__(self) -> None:
        self.calls = 0
        self.in_transaction = 0
        self.named = False
        self.sets: dict[int, _Set] = {}


class StatementKeeper:
    """A bounded sample of parameter sets per shape, in which frequent ones stay.

    While there is room every set is kept. Then a new one takes the place of one that was seen but
    once, with the probability that a reservoir gives it (Vitter 1985, algorithm R): so a hot key,
    which comes again and again, gets in and is not driven out, and the rest is a sample of the cold
    ones. The same statements in the same order leave the same sample.
    """

    def __init__(self) -> None:
        self._shapes: dict[tuple[str, str], _Kept] = {}
        self._bytes = 0
        self._random = random.Random(1)

    def take(self, tap: str, finished: Sequence[Exchange]) -> None:
        """Keep what those exchanges were run with, if it was run and succeeded."""
        for exchange in finished:
            if exchange.error is not None or not exchange.ended or not exchange.text:
                continue
            if exchange.verb == "execute" and exchange.bound is not None:
                self._take(tap, exchange, hash((exchange.text, exchange.parameters)))
            elif exchange.verb == "query":
                self._take(tap, exchange, hash(exchange.text))

    def _take(self, tap: str, exchange: Exchange, told_by: int) -> None:
        text = exchange.text
        if text.endswith(CUT):
            return
        key = (tap, statement_shape(text).text)
        kept = self._shapes.get(key)
        if kept is None:
            if len(self._shapes) >= SHAPES_MAX:
                return
            kept = self._shapes[key] = _Kept()
        kept.calls += 1
        kept.in_transaction += exchange.transaction == "open"
        bound = exchange.bound or _NOTHING_BOUND
        kept.named = kept.named or bound.named
        known = kept.sets.get(told_by)
        if known is not None:
            known.count += 1
            return
        new = _Set(text, bound)
        if new.size > SET_BYTES_MAX or self._bytes + new.size > TOTAL_BYTES_MAX:
            return
        if len(kept.sets) >= SETS_MAX and not self._make_room(kept):
            return
        kept.sets[told_by] = new
        self._bytes += new.size

    def _make_room(self, kept: _Kept) -> bool:
        """Forget a set that was seen but once, if the new one is to take its place."""
        if self._random.random() * kept.calls >= SETS_MAX:
            return False
        keys = list(kept.sets)
        for _ in range(_TRIES):
            key = self._random.choice(keys)
            if kept.sets[key].count == 1:
                self._bytes -= kept.sets.pop(key).size
                return True
        return False

    def statements(self) -> list[KeptStatement]:
        """What was kept, the most frequent shape first."""
        found = [
            KeptStatement(
                tap=tap,
                shape=shape,
                named=kept.named,
                calls=kept.calls,
                in_transaction=kept.in_transaction,
                sets=tuple(
                    ParameterSet(each.text, each.bound.types, each.bound.values, each.count)
                    for each in sorted(kept.sets.values(), key=lambda each: -each.count)
                ),
            )
            for (tap, shape), kept in self._shapes.items()
            if kept.sets
        ]
        return sorted(found, key=lambda each: -each.calls)
