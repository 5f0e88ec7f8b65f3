"""What RFC 9111 (HTTP Caching) makes of an answer: may a shared cache store it, for how long.

Section numbers are those of RFC 9111 unless another is named.
"""

from __future__ import annotations

import msgspec

Headers = tuple[tuple[str, str], ...]
"""Fields in the order they came, names in any case; a name may come more than once."""


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """A request and its answer, as far as caching looks at them."""

    method: str = "GET"
    status: int = 200
    headers: Headers = ()
    request_headers: Headers = ()


class Policy(msgspec.Struct, frozen=True):
    """What a shared cache may do with the answer.

    `storable`, or `why_not` with the section · `lifetime_s`: how long it is fresh (4.2.1); None:
    nothing says so and no heuristic applies · `lifetime_from`: `s-maxage`, `max-age`, `Expires`,
    `heuristic` or `` · `age_s`: how old it was when it came (4.2.3) · `validates`: it must be
    validated before every use (no-cache) · `varies_by`: request headers that belong to the key, in
    lower case; `*` fits no other request.
    """

    storable: bool
    why_not: str
    lifetime_s: float | None
    lifetime_from: str
    age_s: float
    validates: bool
    varies_by: tuple[str, ...]


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured of the answers, which headers alone cannot tell.

    `differs_by_identity`: the same key is answered differently by who asks · `differs_by`: request
    headers that were seen to change the answer, such as `cookie` or `accept-language` ·
    `answers_304`: whether a request with the answer's own validator got a 304; None: not tried ·
    `changes_at_every_read`.
    """

    differs_by_identity: bool = False
    differs_by: tuple[str, ...] = ()
    answers_304: bool | None = None
    changes_at_every_read: bool = False


class Finding(msgspec.Struct, frozen=True):
    """A mistake or a contradiction: a stable `code`, what is so, the `fix`, the RFC's `section`."""

    code: str
    says: str
    fix: str
    section: str


def policy_of(exchange: Exchange) -> Policy:
    """What a shared cache may do with that answer (3, 4.2)."""
    raise NotImplementedError


def findings(exchange: Exchange, evidence: Evidence | None = None) -> tuple[Finding, ...]:
    """What is wrong with the answer's caching headers, the gravest first."""
    raise NotImplementedError
