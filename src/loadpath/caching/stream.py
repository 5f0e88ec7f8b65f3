"""The words of caching: a stream of requests for keys, with the answers the service gave uncached.

Columns, not rows: a stream of ten million requests is replayed at thirty TTLs in seconds.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

UNKNOWN = -1
"""A digest or an identity that was not seen."""
MADE_BY_ORIGIN = -1
"""In `Replay.source`: no stored answer was used."""


class Changes(msgspec.Struct, frozen=True, eq=False):
    """Writes that were seen to change what a key answers: equal-length columns, sorted by time.

    `at_s` is when the write was acknowledged, on the stream's clock. A write that changes two keys
    stands here twice.
    """

    at_s: Floats
    key: Ids

    def __len__(self) -> int:
        return len(self.at_s)


class Stream(msgspec.Struct, frozen=True, eq=False):
    """The requests of one operation (or of all), in the order they were sent: equal-length columns.

    `at_s`: when it was sent, seconds, ascending · `key`: an id of the cache key it would have had ·
    `digest`: of status, relevant headers and body; `UNKNOWN` where not read · `status` ·
    `body_bytes` · `identity`: who asked; `UNKNOWN` where nobody in particular · `took_s`: how long
    the service took · `changes`: what was written meanwhile.
    """

    at_s: Floats
    key: Ids
    digest: Ids
    status: npt.NDArray[np.int16]
    body_bytes: Ids
    identity: npt.NDArray[np.int32]
    took_s: Floats
    changes: Changes

    def __len__(self) -> int:
        return len(self.at_s)

    @property
    def span_s(self) -> float:
        """Seconds from the first request to the last; 0 for fewer than two."""
        return float(self.at_s[-1] - self.at_s[0]) if len(self) else 0.0


class Replay(msgspec.Struct, frozen=True, eq=False):
    """What a cache would have done with a stream, request by request.

    `source`: the index of the request whose answer is served, `MADE_BY_ORIGIN` where the service
    answers itself · `fetched`: whether the service works for this request (every miss, and a hit
    that sets off a refresh behind it).
    """

    source: Ids
    fetched: Flags

    @property
    def hits(self) -> Flags:
        """Whether each request was answered from the cache."""
        return np.not_equal(self.source, MADE_BY_ORIGIN)

    @property
    def hit_ratio(self) -> float:
        """Hits ÷ requests; 0 for none."""
        return float(self.hits.mean()) if len(self.source) else 0.0


def make_changes(at_s: npt.ArrayLike = (), key: npt.ArrayLike = ()) -> Changes:
    """`Changes` from columns in any order. Raises `ValueError` for unequal lengths."""
    times = np.asarray(at_s, dtype=np.float64)
    keys = np.asarray(key, dtype=np.int64)
    if times.shape != keys.shape or times.ndim != 1:
        raise ValueError(f"{times.shape} times of changes for {keys.shape} keys")
    order = np.argsort(times, kind="stable")
    return Changes(times[order], keys[order])


def make_stream(
    at_s: npt.ArrayLike,
    key: npt.ArrayLike,
    *,
    digest: npt.ArrayLike | int = UNKNOWN,
    status: npt.ArrayLike | int = 200,
    body_bytes: npt.ArrayLike | int = 0,
    identity: npt.ArrayLike | int = UNKNOWN,
    took_s: npt.ArrayLike | float = 0.0,
    changes: Changes | None = None,
) -> Stream:
    """A `Stream` from columns in any order; a single value stands for a column of it.

    Requests of the same instant stay in the order given. Raises `ValueError` for unequal lengths,
    times that are not finite, and a negative size or duration.
    """
    times = np.asarray(at_s, dtype=np.float64)
    if times.ndim != 1 or not np.isfinite(times).all():
        raise ValueError("a stream needs a column of finite times")
    given: dict[str, npt.NDArray[Any]] = {
        "key": np.asarray(key, dtype=np.int64),
        "digest": np.asarray(digest, dtype=np.int64),
        "status": np.asarray(status, dtype=np.int16),
        "body_bytes": np.asarray(body_bytes, dtype=np.int64),
        "identity": np.asarray(identity, dtype=np.int32),
        "took_s": np.asarray(took_s, dtype=np.float64),
    }
    order = np.argsort(times, kind="stable")
    columns: dict[str, npt.NDArray[Any]] = {}
    for name, column in given.items():
        if column.ndim == 0 and name != "key":
            columns[name] = np.full(len(times), column[()])
        elif column.shape == times.shape:
            columns[name] = column[order]
        else:
            raise ValueError(f"{column.shape} of {name} for {times.shape} times")
    for name in ("body_bytes", "took_s"):
        if not (columns[name] >= 0).all():
            raise ValueError(f"{name} below 0, or not a number")
    return Stream(times[order], **columns, changes=changes or make_changes())


def chosen(stream: Stream, which: npt.ArrayLike | slice) -> Stream:
    """The requests that `which` chooses (a mask, a slice, indices in order), with all changes."""
    where = which if isinstance(which, slice) else np.asarray(which)
    return Stream(
        stream.at_s[where],
        stream.key[where],
        stream.digest[where],
        stream.status[where],
        stream.body_bytes[where],
        stream.identity[where],
        stream.took_s[where],
        stream.changes,
    )


def storable(stream: Stream) -> Flags:
    """Which answers a careful cache stores: successes and redirects, but no part and no 304.

    Whether the service's headers allow it is another matter (`rfc9111`).
    """
    status = stream.status
    return np.asarray((status >= 200) & (status < 400) & (status != 206) & (status != 304))
