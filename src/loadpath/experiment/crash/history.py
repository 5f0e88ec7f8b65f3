"""What was written and read while faults were injected, as the client saw it.

Outcomes are Jepsen's (Kingsbury 2013): a write that was answered 2xx is `ok`, one that was refused
by a declared 4xx is `fail`, and all else (timeout, reset, 5xx) is `info`: it may have happened.
"""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import msgspec

Outcome: TypeAlias = Literal["ok", "fail", "info"]


class Write(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt to have an effect. Attempts with one `token` are one logical request, retried.

    `kind` is what is made; `key` what it is put under, where order matters (a room, an account).
    `ended_s` is infinite when no answer ever came. Monotonic seconds.
    """

    token: str
    kind: str
    started_s: float
    ended_s: float = math.inf
    outcome: Outcome = "info"
    key: str = ""


class Read(msgspec.Struct, frozen=True, kw_only=True):
    """One look for the effect of a token: `seen` times; None: it could not be told."""

    token: str
    started_s: float
    ended_s: float
    seen: int | None


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What was there when all had recovered and was quiet.

    `effects` of each token that was looked for; None: it could not be told. `whole`: the tokens of
    every effect of that kind there is were listed, so what nobody wrote would show. `order` lists
    the tokens under a key as the service gives them.
    """

    effects: dict[str, int | None]
    whole: bool = False
    order: dict[str, tuple[str, ...]] = {}


class History(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. `removed` are tokens whose effect somebody tried to take away: their absence says
    nothing."""

    writes: tuple[Write, ...]
    reads: tuple[Read, ...] = ()
    found: Found
    removed: frozenset[str] = frozenset()
