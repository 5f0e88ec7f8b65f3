"""Leaks: the same key answered differently to two identities, which is not a change over time."""

from __future__ import annotations

import msgspec

from loadpath.caching.stream import Stream


class Leak(msgspec.Struct, frozen=True):
    """One key that answers by who asks, with three requests as witnesses (indices into the stream):
    `before` and `after` by one identity, the same answer; `between` by another, another answer."""

    key: int
    before: int
    between: int
    after: int


class Leaks(msgspec.Struct, frozen=True):
    """What a stream says about answers that depend on who asks.

    `found`: keys that leak, at most `KEPT` of them · `leaking_keys` and `judged_keys`: how many do,
    of those that two identities asked in turn · `crossed`, `crossed_differing`: consecutive
    requests of one key by two identities, and those answered differently · `own`, `own_changed`:
    consecutive requests of one key by one identity, and those answered differently ·
    `p_value`: how likely so many differ across identities if who asks does not matter (Fisher).
    """

    found: tuple[Leak, ...]
    leaking_keys: int
    judged_keys: int
    crossed: int
    crossed_differing: int
    own: int
    own_changed: int
    p_value: float

    @property
    def verdict(self) -> str:
        """`leaks`, `none seen`, `volatile` (changes at every read) or `not asked by two`."""
        raise NotImplementedError


def find_leaks(stream: Stream) -> Leaks:
    """Keys whose answer depends on who asks, told from answers that change over time."""
    raise NotImplementedError
