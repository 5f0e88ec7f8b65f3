"""What should not be cached and would be: errors, empty answers."""

from __future__ import annotations

import msgspec

from loadpath.caching.stream import Stream


class Unfit(msgspec.Struct, frozen=True):
    """Counts of answers: `client_errors` (4xx), `server_errors` (5xx), `empty` (2xx without a body
    where others of the operation have one) of `requests`; and, were everything stored for the TTL,
    `spread`: requests that would have got a stored error or an empty answer where the service
    itself answers well."""

    requests: int
    client_errors: int
    server_errors: int
    empty: int
    spread: int


def find_unfit(stream: Stream, ttl_s: float) -> Unfit:
    """What a cache that stores whatever it is given would keep and hand on."""
    raise NotImplementedError
