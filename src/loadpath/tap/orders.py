"""What a tap can be ordered to do to what passes it, and what became of an order: frozen structs.

An order covers the connections that are open when it comes and those that are made while it
stands. `direction` says which bytes it is about: `requests` go from the service to the dependency,
`replies` come back.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

Direction: TypeAlias = Literal["requests", "replies", "both"]


class When(msgspec.Struct, frozen=True, kw_only=True):
    """Which of the things that an order is about it takes: those that all of this allows.

    `nth` is that one alone, counted from 1; `first` so many of the first; `probability` that share,
    drawn with `seed`; `after` waits for another order (by its number) to have hit something.
    """

    nth: int | None = None
    first: int | None = None
    probability: float = 1.0
    seed: int = 1
    after: int | None = None


ALWAYS = When()


class Order(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Base of all orders."""

    when: When = ALWAYS


# Connections as they are made


class Refuse(Order, frozen=True):
    """Nothing listens: open connections are reset, new ones refused by the kernel."""


class BlackHole(Order, frozen=True):
    """Nobody accepts and the queue is full: the kernel drops each SYN. Open connections stall."""


class Silence(Order, frozen=True):
    """New connections are accepted and nothing is ever said; open ones stall."""


class ResetNew(Order, frozen=True):
    """New connections are accepted and reset at once; open ones are reset."""


class Cap(Order, frozen=True):
    """So many connections and no more: the newest beyond are reset, new ones beyond as well."""

    connections: int


# Bytes as they pass


class Delay(Order, frozen=True):
    """Each piece is passed on `delay_s` later, give or take up to `jitter_s`; in order."""

    delay_s: float
    jitter_s: float = 0.0
    direction: Direction = "both"


class Throttle(Order, frozen=True):
    """No more than so many bytes a second on each connection and in each direction."""

    bytes_per_s: float
    direction: Direction = "both"


class Slice(Order, frozen=True):
    """Pieces of at most `size_bytes`, `pause_s` apart."""

    size_bytes: int
    pause_s: float = 0.001
    direction: Direction = "both"


class Stall(Order, frozen=True):
    """Nothing passes; what was held is passed on when the order is withdrawn."""

    direction: Direction = "both"


class HalfOpen(Order, frozen=True):
    """What is sent vanishes; once the order is withdrawn, whoever sends on is answered by a reset,
    as by a machine that has restarted meanwhile."""

    direction: Direction = "both"


class Sever(Order, frozen=True):
    """Open connections are ended; new ones as soon as the service or dependency sends on them.

    `reset` False ends them in order.
    """

    reset: bool
    direction: Direction = "both"


class CutAt(Order, frozen=True):
    """Each connection is reset once `at_byte` bytes have passed on it since the order came."""

    at_byte: int
    direction: Direction = "replies"


# Units of a protocol: statements, commands, messages, requests


class Unit(Order, frozen=True, kw_only=True):
    """Base of what is done to one unit. `match` says to which, in the words of the protocol: the
    beginning of a statement, `VERB key*`, a subject, `METHOD /path/{}`; empty: to each."""

    match: str = ""


class DropRequest(Unit, frozen=True):
    """It never arrives; the connection is closed instead of an answer (NATS: no answer comes)."""


class DropReply(Unit, frozen=True):
    """It is executed, and committed where that is a thing; the connection is closed instead of the
    answer (NATS: the answer alone is missing)."""


class DelayUnit(Unit, frozen=True, kw_only=True):
    """It arrives so much later, and what follows on its connection with it."""

    delay_s: float


class Duplicate(Unit, frozen=True):
    """It arrives twice; the second answer is kept from the client."""


class Fail(Unit, frozen=True, kw_only=True):
    """It is not executed and answered with this error: an SQLSTATE, the first word of a Redis
    error, `-ERR`, an HTTP status."""

    code: str


ConnectOrder: TypeAlias = Refuse | BlackHole | Silence | ResetNew | Cap
StreamOrder: TypeAlias = Delay | Throttle | Slice | Stall | HalfOpen | Sever | CutAt
UnitOrder: TypeAlias = DropRequest | DropReply | DelayUnit | Duplicate | Fail
AnyOrder: TypeAlias = ConnectOrder | StreamOrder | UnitOrder


class OrderState(msgspec.Struct, frozen=True):
    """What an order has come to.

    `seen` counts what it was about (pieces, connections, matching units), `hits` those that it
    took. `first_hit_s` and `last_hit_s` are monotonic, None before any. `uncovered` says, with how
    many connections each, why it could not cover some that were open (`encrypted`, say).
    """

    number: int
    tap: str
    seen: int
    hits: int
    first_hit_s: float | None = None
    last_hit_s: float | None = None
    uncovered: dict[str, int] = {}
