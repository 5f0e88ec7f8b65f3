"""What the cache is told, and what it tells: frozen, and the same on both sides of its socket."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from loadpath.control.codec import Codec
from loadpath.control.failure import Failed
from loadpath.spec import Tls
from loadpath.spec.keeping import KeepRule


class Begin(msgspec.Struct, frozen=True, tag=True):
    """Listen, and keep for the service at `host`:`port`, which speaks TLS as `tls` says (None: it
    does not), what `rules` say, in `size_bytes` at most; answered by `Begun`."""

    host: str
    port: int
    rules: tuple[KeepRule, ...]
    size_bytes: int
    tls: Tls | None = None


class Sample(msgspec.Struct, frozen=True, tag=True):
    """From now on ask the service, too, at every so-manieth hit, and compare what it says (0: at
    none); answered by `Told`."""

    every: int


class Flush(msgspec.Struct, frozen=True, tag=True):
    """Forget all that is kept; answered by `Told`."""


class AskCounts(msgspec.Struct, frozen=True, tag=True):
    """Answered by `Told`."""


class Begun(msgspec.Struct, frozen=True, tag=True):
    """It listens at that port of this machine."""

    port: int


class RuleCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one rule so far. `hits` were answered from what was kept, `waited` of them from
    a fetch that was under way; `fetched` were asked of the service. Of the hits `sampled` were
    compared with what the service said then; `stale` of those were not the same."""

    operation: str
    requests: int
    hits: int
    waited: int
    fetched: int
    stored: int
    sampled: int
    stale: int


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """The cache since it began: by rule, what was passed on, what it holds, what it had to drop for
    lack of room, and the faults of its own."""

    rules: tuple[RuleCounts, ...]
    passed: int
    entries: int
    bytes: int
    evicted: int
    failed: int
    cpu_s: float


class Told(msgspec.Struct, frozen=True, tag=True):
    """How it stands."""

    counts: Counts


Command: TypeAlias = Begin | Sample | Flush | AskCounts
Answer: TypeAlias = Begun | Told | Failed

CODEC: Codec[Command, Answer] = Codec(Command, Answer)
