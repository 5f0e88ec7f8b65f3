"""What RFC 9111 (HTTP Caching) makes of an answer: may a shared cache store it, for how long.

Section numbers are those of RFC 9111 unless another is named.
"""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime

import msgspec

from loadpath.caching.directives import Directives, read_directives

Headers = tuple[tuple[str, str], ...]
"""Fields in the order they came, names in any case; a name may come more than once."""

HEURISTIC_STATUS = frozenset({200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501})
"""Statuses whose answers may be stored though nothing says so (RFC 9110, 15.1)."""
HEURISTIC_SHARE = 0.1
"""Of the time since Last-Modified, the part that a cache may take for the lifetime (4.2.2)."""


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """A request and its answer, as far as caching looks at them.

    `received_s`: when the answer came, in Unix time, for one without Date; None: not known.
    """

    method: str = "GET"
    status: int = 200
    headers: Headers = ()
    request_headers: Headers = ()
    received_s: float | None = None


class Policy(msgspec.Struct, frozen=True):
    """What a shared cache may do with the answer.

    `storable`, or `why_not` with the section · `lifetime_s`: how long it is fresh (4.2.1); None:
    nothing says so and no heuristic applies · `lifetime_from`: `s-maxage`, `max-age`, `Expires`,
    `heuristic` or nothing · `age_s`: how old it was when it came (4.2.3) · `validates`: it must be
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

    @property
    def reusable_s(self) -> float:
        """For how long a shared cache answers from it without asking the service."""
        if not self.storable or self.validates or "*" in self.varies_by:
            return 0.0
        return max(0.0, (self.lifetime_s or 0.0) - self.age_s)


def policy_of(exchange: Exchange) -> Policy:
    """What a shared cache may do with that answer (3, 4.2)."""
    control = control_of(exchange)
    why_not = _why_not(exchange, control)
    lifetime_s, lifetime_from = _lifetime(exchange, control)
    return Policy(
        not why_not,
        why_not,
        lifetime_s,
        lifetime_from,
        _age_s(exchange),
        control.is_whole("no-cache"),
        varies_by(exchange),
    )


def control_of(exchange: Exchange) -> Directives:
    """The answer's Cache-Control."""
    return read_directives(values(exchange.headers, "cache-control"))


def values(headers: Headers, name: str) -> list[str]:
    """Every line of a field, in order."""
    return [value for field, value in headers if field.lower() == name]


def varies_by(exchange: Exchange) -> tuple[str, ...]:
    """The names in Vary, in lower case (4.1; RFC 9110, 12.5.5)."""
    named = ",".join(values(exchange.headers, "vary")).lower().split(",")
    return tuple(dict.fromkeys(name.strip() for name in named if name.strip()))


def http_date_s(text: str) -> float | None:
    """An HTTP date in Unix time, in any of the three forms (RFC 9110, 5.6.7); None: it is none."""
    try:
        when = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def date_s(exchange: Exchange) -> float | None:
    """When the answer was made; without a date, when it was received (RFC 9110, 6.6.1)."""
    dates = values(exchange.headers, "date")
    said_s = http_date_s(dates[0]) if dates else None
    return exchange.received_s if said_s is None else said_s


def _why_not(exchange: Exchange, control: Directives) -> str:
    """Why a shared cache must not store it; empty: it may (3)."""
    asked = read_directives(values(exchange.request_headers, "cache-control"))
    may_share = any(name in control for name in ("public", "s-maxage", "must-revalidate"))
    explicit = any(name in control for name in ("public", "s-maxage", "max-age"))
    has_expires = bool(values(exchange.headers, "expires"))
    if exchange.method.upper() not in {"GET", "HEAD"}:
        return f"answers to {exchange.method.upper()} are not stored (3)"
    if exchange.status < 200:
        return f"{exchange.status} is not a final status (3)"
    if exchange.status in {206, 304}:
        return f"{exchange.status} stands for a part of what is stored (3.3, 4.3.4)"
    if "no-store" in asked:
        return "the request says no-store (5.2.1.5)"
    if "no-store" in control and "must-understand" not in control:
        return "it says no-store (5.2.2.5)"
    if control.is_whole("private"):
        return "it says private (5.2.2.7)"
    if values(exchange.request_headers, "authorization") and not may_share:
        return "the request carries Authorization and nothing allows sharing the answer (3.5)"
    if not explicit and not has_expires and exchange.status not in HEURISTIC_STATUS:
        return f"a {exchange.status} is stored only where it says for how long (3)"
    return ""


def _lifetime(exchange: Exchange, control: Directives) -> tuple[float | None, str]:
    """How long it is fresh in a shared cache, and what says so (4.2.1, 4.2.2)."""
    for name in ("s-maxage", "max-age"):
        said_s = control.seconds(name)
        if said_s is not None:
            return said_s, name
    made_s = date_s(exchange)
    expires = values(exchange.headers, "expires")
    if expires:
        ends_s = http_date_s(expires[0])
        if ends_s is None:
            return 0.0, "Expires"  # above all `0`: long over (5.3)
        return (None if made_s is None else max(0.0, ends_s - made_s)), "Expires"
    modified = values(exchange.headers, "last-modified")
    changed_s = http_date_s(modified[0]) if modified else None
    may_guess = exchange.status in HEURISTIC_STATUS or "public" in control
    if changed_s is None or made_s is None or not may_guess:
        return None, ""
    return max(0.0, made_s - changed_s) * HEURISTIC_SHARE, "heuristic"


def _age_s(exchange: Exchange) -> float:
    """How old the answer was when it came (4.2.3)."""
    ages = values(exchange.headers, "age")
    said_s = float(ages[0].split(",")[0]) if ages and ages[0].split(",")[0].isdecimal() else 0.0
    made_s = date_s(exchange)
    if made_s is None or exchange.received_s is None:
        return said_s
    return max(said_s, exchange.received_s - made_s, 0.0)
