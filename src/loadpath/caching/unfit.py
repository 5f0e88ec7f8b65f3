"""What should not be cached and would be: errors, empty answers."""

from __future__ import annotations

import msgspec
import numpy as np

from loadpath.caching.replay import replay
from loadpath.caching.stream import Flags, Stream


class Unfit(msgspec.Struct, frozen=True):
    """Answers that a cache that stores whatever it is given would keep and hand on.

    `client_errors` (4xx), `server_errors` (5xx) and `empty` (200 without a body, where most 200 of
    the stream have one) of `requests` · `spread`: requests that would have been given one of them
    from the cache where the service itself answers well.
    """

    requests: int
    client_errors: int
    server_errors: int
    empty: int
    spread: int

    @property
    def share(self) -> float:
        """Unfit answers ÷ requests; 0 for none."""
        unfit = self.client_errors + self.server_errors + self.empty
        return unfit / self.requests if self.requests else 0.0

    @property
    def spread_share(self) -> float:
        """Requests that would have been given one ÷ requests; 0 for none."""
        return self.spread / self.requests if self.requests else 0.0


def find_unfit(stream: Stream, ttl_s: float) -> Unfit:
    """What a cache with that TTL that stores whatever it is given would keep and hand on."""
    status = stream.status
    client = (status >= 400) & (status < 500)
    server = status >= 500
    empty = _empty(stream)
    unfit = client | server | empty
    served = replay(stream, ttl_s, stored=np.ones(len(stream), dtype=np.bool_))
    hit = served.hits
    spread = unfit[served.source[hit]] & ~unfit[hit]
    return Unfit(
        len(stream), int(client.sum()), int(server.sum()), int(empty.sum()), int(spread.sum())
    )


def _empty(stream: Stream) -> Flags:
    """200 without a body; none where that is what the operation does (such as HEAD)."""
    well = stream.status == 200
    empty = well & (stream.body_bytes == 0)
    usual = empty.sum() * 2 > well.sum()
    return np.zeros(len(stream), dtype=np.bool_) if usual else np.asarray(empty)
