"""What a cache in front of the service would have saved it, by its access log."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from loadpath.caching.logs import kernels
from loadpath.caching.logs.gather import Gathered
from loadpath.caching.memory import ENTRY_OVERHEAD_BYTES
from loadpath.caching.sizes import empty_stack, push
from loadpath.caching.stream import Ids
from loadpath.caching.zipf import Popularity, popularity_of

TTLS_S = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0, 3600.0, 21600.0, 86400.0)
DETAILED = 12
"""Operations, by requests, that are looked at in full."""
PIECE = 500_000


class AtTtl(msgspec.Struct, frozen=True):
    """A cache with room for everything and a TTL; `ttl_s` None: what is stored stays.

    `hit_ratio`: hits ÷ GET and HEAD · `saved_bytes_ratio`: of the bytes they sent · `entries`: how
    many are alive on average.
    """

    ttl_s: float | None
    hit_ratio: float
    saved_bytes_ratio: float
    entries: float


class AtSize(msgspec.Struct, frozen=True):
    """An LRU cache of `size_bytes` without a TTL, each entry with its overhead."""

    size_bytes: int
    hit_ratio: float


class LogOperation(msgspec.Struct, frozen=True):
    """One operation of a log. Counts are of all its lines; ratios of its GET and HEAD.

    `keys`: different targets, estimated where keys were sampled · `once_ratio`: the share of keys
    asked for once · `by_size` and `popularity` for the `DETAILED` largest only.
    """

    name: str
    requests: int
    sent_bytes: int
    reads: int
    client_errors: int
    server_errors: int
    keys: int
    once_ratio: float
    largest_bytes: int
    by_ttl: tuple[AtTtl, ...]
    by_size: tuple[AtSize, ...]
    popularity: Popularity | None


class LogFindings(msgspec.Struct, frozen=True):
    """What an access log says of caching. `operations` by requests, the most first; `all` together.

    `first_bad`: (line number, why, the line) · `rate`: the share of keys looked at; 1: all ·
    `collision_ratio`: the chance that two different targets were taken for one.
    """

    format: str
    lines: int
    bad: int
    first_bad: tuple[tuple[int, str, str], ...]
    first_s: float
    last_s: float
    rate: float
    collision_ratio: float
    all: LogOperation
    operations: tuple[LogOperation, ...]

    @property
    def span_s(self) -> float:
        """Seconds from the first request to the last."""
        return self.last_s - self.first_s


def judge(gathered: Gathered, format_name: str) -> LogFindings:
    """What a cache would have saved. Needs at least one request that was read."""
    gathered.finish()
    numbered = gathered.sums
    names, belongs = gathered.paths.names(numbered[:, 0])
    sums = np.zeros((len(names), numbered.shape[1]), dtype=np.int64)
    np.add.at(sums, belongs, numbered)
    key_operation = belongs[gathered.key_operation].astype(np.int32)
    span_s = gathered.last_s - gathered.first_s
    ttls_s = [ttl_s for ttl_s in TTLS_S if ttl_s <= span_s]
    counts = _counts(gathered.key, gathered.keys)
    tables = _by_ttl(gathered, key_operation, counts, len(names), [*ttls_s, math.inf])
    found = _Found(gathered, key_operation, counts, sums, [*ttls_s, math.inf], tables)
    order = np.argsort(-sums[:, 0], kind="stable")
    operations = [
        _operation(found, names[number], int(number), detailed=place < DETAILED)
        for place, number in enumerate(order.tolist())
    ]
    keys = gathered.keys
    return LogFindings(
        format_name,
        gathered.lines,
        gathered.bad,
        tuple(gathered.first_bad),
        gathered.first_s,
        gathered.last_s,
        gathered.rate,
        keys * (keys - 1) / 2**65,
        _operation(found, "all", None, detailed=True),
        tuple(operations),
    )


class _Found(msgspec.Struct, frozen=True, eq=False):
    """Per operation and TTL, of the requests kept: hits, bytes saved, fetched entries."""

    gathered: Gathered
    key_operation: npt.NDArray[np.int32]
    counts: Ids
    sums: Ids
    ttls_s: Sequence[float]
    tables: tuple[Ids, Ids, Ids]


def _by_ttl(
    gathered: Gathered,
    key_operation: npt.NDArray[np.int32],
    counts: Ids,
    operations: int,
    ttls_s: Sequence[float],
) -> tuple[Ids, Ids, Ids]:
    order = np.empty(gathered.kept, dtype=np.int32)
    start = np.cumsum(counts) - counts
    kernels.by_key(gathered.key, start, order)
    hits, saved, fetched = (np.zeros((operations, len(ttls_s)), dtype=np.int64) for _ in range(3))
    kernels.count_ttls(
        order,
        start,
        gathered.at,
        gathered.stored,
        gathered.body_bytes,
        key_operation,
        np.asarray(ttls_s, dtype=np.float64) / gathered.unit_s,
        hits,
        saved,
        fetched,
    )
    return hits, saved, fetched


def _operation(found: _Found, name: str, number: int | None, *, detailed: bool) -> LogOperation:
    gathered = found.gathered
    is_ours = found.key_operation == number if number is not None else np.ones(gathered.keys, bool)
    counts = found.counts[is_ours]
    rows = [number] if number is not None else list(range(len(found.sums)))
    requests, sent, reads, client, server = found.sums[rows].sum(axis=0).tolist()
    kept = int(counts.sum())
    which = None if number is None else is_ours[gathered.key]
    detailed = detailed and kept > 0
    ours = True if which is None else which
    kept_bytes = int(gathered.body_bytes.sum(where=ours, dtype=np.int64))
    return LogOperation(
        name.strip(),
        requests,
        sent,
        reads,
        client,
        server,
        round(len(counts) / gathered.rate),
        float((counts == 1).mean()) if len(counts) else 0.0,
        int(gathered.key_size_bytes[is_ours].max(initial=0)),
        _at_ttls(found, rows, kept, kept_bytes, len(counts)),
        _at_sizes(gathered, is_ours, which) if detailed else (),
        _popularity(gathered, is_ours, which, counts) if detailed and gathered.rate == 1 else None,
    )


def _at_ttls(
    found: _Found, rows: list[int], kept: int, sent_bytes: int, keys: int
) -> tuple[AtTtl, ...]:
    span_s = found.gathered.last_s - found.gathered.first_s
    if not kept:
        return ()
    hits, saved, fetched = (table[rows].sum(axis=0).tolist() for table in found.tables)
    points = []
    for place, ttl_s in enumerate(found.ttls_s):
        # Little's law: entries alive = entries made a second × how long each lives.
        alive = keys if math.isinf(ttl_s) else min(keys, fetched[place] * ttl_s / max(span_s, 1.0))
        points.append(
            AtTtl(
                None if math.isinf(ttl_s) else ttl_s,
                hits[place] / kept,
                saved[place] / sent_bytes if sent_bytes else 0.0,
                alive / found.gathered.rate,
            )
        )
    return tuple(points)


def _at_sizes(
    gathered: Gathered, is_ours: npt.NDArray[np.bool_], which: npt.NDArray[np.bool_] | None
) -> tuple[AtSize, ...]:
    """LRU at sizes four times as large each, up to where everything fits.

    An entry counts with the largest answer of its key, so that the distances are exact. Of sampled
    keys, a cache of a size is like one of that share of it for those.
    """
    weights = gathered.key_size_bytes[is_ours].astype(np.int64) + ENTRY_OVERHEAD_BYTES
    dense = np.cumsum(is_ours) - 1
    total = int(weights.sum() / gathered.rate)
    sizes = [total]
    while sizes[0] > 256_000 and len(sizes) < 8:
        sizes.insert(0, 4 ** int(math.log(sizes[0] - 1, 4)))
    bounds = np.array(sizes) * gathered.rate
    stack = empty_stack(len(weights), entries=False)
    counted = np.zeros(len(sizes) + 1, dtype=np.int64)
    requests = 0
    for begin in range(0, gathered.kept, PIECE):
        span = slice(begin, begin + PIECE)
        wanted = gathered.stored[span].copy()
        if which is not None:
            wanted &= which[span]
            requests += int(which[span].sum())
        else:
            requests += len(wanted)
        key = dense[gathered.key[span][wanted]]
        distances = push(stack, key, weights[key]).bytes
        places = np.searchsorted(bounds, distances[distances >= 0])
        counted += np.bincount(places, minlength=len(counted))
    hits = np.cumsum(counted)[:-1]
    return tuple(
        AtSize(size, float(count / requests)) for size, count in zip(sizes, hits, strict=True)
    )


def _popularity(
    gathered: Gathered,
    is_ours: npt.NDArray[np.bool_],
    which: npt.NDArray[np.bool_] | None,
    counts: Ids,
) -> Popularity:
    middle = gathered.kept // 2
    if which is not None:
        middle = _middle(which)
    # Requests of others there do not matter: their keys are not ours.
    first = _counts(gathered.key[:middle], gathered.keys)[is_ours]
    return popularity_of(counts, first)


def _middle(which: npt.NDArray[np.bool_]) -> int:
    """Where half of those chosen have come; in pieces, for the sake of memory."""
    left = int(which.sum()) // 2
    for begin in range(0, len(which), PIECE):
        piece = which[begin : begin + PIECE]
        count = int(piece.sum())
        if count > left:
            return begin + int(np.flatnonzero(piece)[left])
        left -= count
    return len(which)


def _counts(key: npt.NDArray[np.int32], keys: int) -> Ids:
    """How often each key comes; in pieces, since numpy makes a copy twice as large."""
    counts = np.zeros(keys, dtype=np.int64)
    for begin in range(0, len(key), PIECE):
        counts += np.bincount(key[begin : begin + PIECE], minlength=keys)
    return counts
