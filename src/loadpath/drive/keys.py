"""Which key is asked for: keys drawn in bulk from a key set, and how key number n is written."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from typing import TypeAlias
from urllib.parse import quote

import numpy as np
import numpy.typing as npt

from loadpath.errors import ConfigurationError
from loadpath.spec import KeySet

Numbers: TypeAlias = npt.NDArray[np.int64]

TABLE_RANKS = 1 << 17
"""Ranks with an exact cumulative weight. Beyond them the sum of r ** -s is its midpoint integral,
which at this rank is off by less than 1e-10 of itself."""

CACHED_TEXTS = 1 << 20
COUNT_MAX = 1 << 31
KEY_SETS_MAX = 4000


class KeySampler:
    """Draws key numbers (0-based) of one key set, in bulk or one at a time."""

    def __init__(self, key_set: KeySet) -> None:
        self.count = key_set.count
        self._distribution = key_set.distribution
        self._exponent = key_set.exponent if key_set.distribution != "uniform" else 0.0
        self._stride = _stride(self.count)
        if self._distribution == "uniform":
            return
        ranks = np.arange(1, min(self.count, TABLE_RANKS) + 1, dtype=np.float64)
        cumulative = np.cumsum(ranks**-self._exponent)
        self._table_weight = float(cumulative[-1])
        tail = self._integral(self.count + 0.5) - self._integral(len(ranks) + 0.5)
        self._weight = self._table_weight + max(tail, 0.0)
        self._table = cumulative
        self._table_list: list[float] = cumulative.tolist()

    def draw(self, count: int, rng: np.random.Generator) -> Numbers:
        """`count` key numbers."""
        if self._distribution == "uniform":
            return rng.integers(0, self.count, count)
        at = rng.random(count) * self._weight
        ranks = np.searchsorted(self._table, at, side="right").astype(np.int64)
        beyond = at >= self._table_weight
        if beyond.any():
            ranks[beyond] = [self._tail_rank(float(x)) for x in at[beyond]]
        return self._numbers(np.minimum(ranks, self.count - 1))

    def one(self, uniform: float) -> int:
        """The key number that a uniform draw in [0, 1) stands for."""
        if self._distribution == "uniform":
            return int(uniform * self.count)
        at = uniform * self._weight
        if at < self._table_weight:
            rank = bisect_right(self._table_list, at)
        else:
            rank = self._tail_rank(at)
        rank = min(rank, self.count - 1)
        if self._distribution == "latest":
            return self.count - 1 - rank
        return rank * self._stride % self.count

    def _numbers(self, ranks: Numbers) -> Numbers:
        if self._distribution == "latest":
            return self.count - 1 - ranks
        return ranks * self._stride % self.count

    def _integral(self, x: float) -> float:
        """The antiderivative of x ** -exponent."""
        if self._exponent == 1.0:
            return math.log(x)
        return float(x ** (1.0 - self._exponent) / (1.0 - self._exponent))

    def _tail_rank(self, at: float) -> int:
        """The 0-based rank at a cumulative weight beyond the table."""
        area = at - self._table_weight + self._integral(len(self._table) + 0.5)
        if self._exponent == 1.0:
            x = math.exp(area)
        else:
            power = 1.0 - self._exponent
            if area * power <= 0:  # rounding, at the very end of a steep distribution
                return self.count - 1
            x = float((area * power) ** (1.0 / power))
        return min(int(x - 0.5), self.count - 1)


class KeyTexts:
    """How the keys of a key set are written: by its pattern, or as the lines of its file."""

    def __init__(self, key_set: KeySet) -> None:
        self._pattern = key_set.pattern
        self._first = key_set.first
        self._lines = None if key_set.file is None else _lines(key_set)
        kept = key_set.count if key_set.count <= CACHED_TEXTS else 0
        self._texts: list[str | None] = [None] * (kept if self._lines is None else 0)
        self._quoted: list[bytes | None] = [None] * kept

    def text(self, number: int) -> str:
        """Key `number` (0-based), as it stands in a request before any quoting."""
        if self._lines is not None:
            return self._lines[number]
        if not self._texts:
            return self._pattern.format(n=self._first + number)
        text = self._texts[number]
        if text is None:
            text = self._texts[number] = self._pattern.format(n=self._first + number)
        return text

    def quoted(self, number: int) -> bytes:
        """Key `number` as it stands in a path or query: everything but unreserved is escaped."""
        if not self._quoted:
            return quote_key(self.text(number))
        quoted = self._quoted[number]
        if quoted is None:
            quoted = self._quoted[number] = quote_key(self.text(number))
        return quoted


def quote_key(text: str) -> bytes:
    """A key percent-encoded for a path or query (RFC 3986, section 2.3)."""
    return (text if text.isascii() and text.isalnum() else quote(text, safe="")).encode("ascii")


def check_key_sets(key_sets: Sequence[KeySet]) -> None:
    """Raise `ConfigurationError` for a key set that cannot be drawn from."""
    if len(key_sets) > KEY_SETS_MAX:
        raise ConfigurationError(f"{len(key_sets):,} key sets are more than {KEY_SETS_MAX:,}")
    for each in key_sets:
        if not 1 <= each.count <= COUNT_MAX:
            raise ConfigurationError(
                f"key set `{each.name}`: expected between 1 and {COUNT_MAX:,} keys, "
                f"got {each.count:,}"
            )
        if each.distribution != "uniform" and not 0 <= each.exponent <= 20:
            raise ConfigurationError(
                f"key set `{each.name}`: expected an exponent between 0 and 20, "
                f"got {each.exponent:g}"
            )


def _stride(count: int) -> int:
    """A multiplier that scatters ranks 0 … count-1 over all keys, each key once.

    About count ÷ golden ratio, so that neighbors in rank land far apart (Knuth, The Art of Computer
    Programming 3, section 6.4), and coprime to count, so that it is a permutation. It depends on
    the count alone: two key sets over one population agree on which keys are hot.
    """
    stride = max(1, round(count * 0.6180339887498949))
    while math.gcd(stride, count) != 1:
        stride += 1
    return stride


def _lines(key_set: KeySet) -> list[str]:
    assert key_set.file is not None
    try:
        lines = key_set.file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"key set `{key_set.name}`: its file cannot be read: {error}", file=str(key_set.file)
        ) from None
    if len(lines) < key_set.count:
        raise ConfigurationError(
            f"key set `{key_set.name}`: expected {key_set.count:,} lines, found {len(lines):,}",
            file=str(key_set.file),
        )
    return lines
