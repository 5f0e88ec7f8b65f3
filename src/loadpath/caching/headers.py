"""Mistakes and contradictions in the caching headers of an answer, each with what to send instead.

Section numbers are those of RFC 9111 unless another is named.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator

import msgspec

from loadpath.caching.directives import KNOWN, Directives
from loadpath.caching.rfc9111 import (
    Exchange,
    Policy,
    control_of,
    date_s,
    http_date_s,
    policy_of,
    values,
)
from loadpath.figures import lifetime

IDENTIFYING = ("authorization", "cookie")
"""Request headers that say who asks."""


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


def findings(exchange: Exchange, evidence: Evidence | None = None) -> tuple[Finding, ...]:
    """What is wrong with the answer's caching headers, the gravest first."""
    control = control_of(exchange)
    policy = policy_of(exchange)
    seen = evidence or Evidence()
    return (
        *_shared_wrongly(exchange, control, policy, seen),
        *_contradictions(exchange, control),
        *_unreadable(control),
        *_unwise(exchange, control, policy, seen),
        *_wasted(exchange, control, policy, seen),
    )


def _shared_wrongly(
    exchange: Exchange, control: Directives, policy: Policy, seen: Evidence
) -> Iterator[Finding]:
    if not policy.storable or "*" in policy.varies_by:
        return
    keyed_by_who = any(name in policy.varies_by for name in IDENTIFYING)
    if seen.differs_by_identity and not keyed_by_who:
        if "public" in control or policy.reusable_s > 0:
            marks = "public" if "public" in control else policy.lifetime_from
            yield Finding(
                "private-shared",
                f"the answer differs by who asks, and {marks} lets a shared cache give one user's "
                "to another",
                "send Cache-Control: private (or no-store) with it",
                "5.2.2.7",
            )
        else:
            yield Finding(
                "private-unmarked",
                "the answer differs by who asks, and nothing keeps a shared cache from storing it",
                "send Cache-Control: private with it",
                "3",
            )
    for name in dict.fromkeys(n.lower() for n in seen.differs_by):
        if name in policy.varies_by or (name in IDENTIFYING and seen.differs_by_identity):
            continue
        if name in IDENTIFYING:
            fix = f"send Cache-Control: private, or Vary: {name} (a copy for each user)"
        else:
            fix = f"send Vary: {name}"
        yield Finding(
            "vary-missing",
            f"the answer differs by the request's {name}, and Vary does not name it: who sends "
            "another is given the wrong one",
            fix,
            "4.1",
        )
    kept_apart = f"{control.given.get('no-cache')},{control.given.get('private')}".lower()
    sets_cookie = "set-cookie" in _names(exchange) and "set-cookie" not in kept_apart
    if sets_cookie and policy.reusable_s > 0:
        yield Finding(
            "set-cookie-stored",
            f"it sets a cookie and may be stored for {lifetime(policy.reusable_s)}: every user "
            "who gets the stored answer gets that cookie",
            'set the cookie elsewhere, or send Cache-Control: no-cache="set-cookie" or private',
            "7.3",
        )
    asks_as_somebody = "authorization" in {name.lower() for name, _ in exchange.request_headers}
    if asks_as_somebody and not seen.differs_by_identity and policy.reusable_s > 0:
        yield Finding(
            "authorized-shared",
            "it answers a request with Authorization and allows a shared cache to give it to "
            "others, who may not be allowed to have it",
            "unless everybody may have it, send Cache-Control: private",
            "3.5",
        )


def _contradictions(exchange: Exchange, control: Directives) -> Iterator[Finding]:
    lifetimes = [name for name in ("s-maxage", "max-age") if control.seconds(name)]
    if "public" in control and control.is_whole("private"):
        yield Finding(
            "public-and-private",
            "it says public and private; caches obey private, or whichever they read last",
            "send one of them",
            "5.2.2.7",
        )
    if control.is_whole("private") and "s-maxage" in control:
        yield Finding(
            "private-with-s-maxage",
            "s-maxage speaks to shared caches, which private forbids to store it",
            "drop s-maxage, or private if everybody may have the answer",
            "5.2.2.10",
        )
    if "no-store" in control and "must-understand" not in control:
        useless = [*lifetimes, *(n for n in ("public", "immutable") if n in control)]
        if useless:
            yield Finding(
                "no-store-with-lifetime",
                f"no-store forbids to keep it, so {' and '.join(useless)} says nothing",
                "send no-store alone, or drop it if the lifetime is meant",
                "5.2.2.5",
            )
    elif control.is_whole("no-cache") and lifetimes:
        yield Finding(
            "no-cache-with-lifetime",
            f"no-cache has it validated before every use, so {' and '.join(lifetimes)} says "
            "nothing",
            "drop no-cache if the lifetime is meant, the lifetime if not",
            "5.2.2.4",
        )
    made_s, expires = date_s(exchange), values(exchange.headers, "expires")
    ends_s = http_date_s(expires[0]) if expires else None
    age_s = control.seconds("max-age")
    if age_s is not None and made_s is not None and ends_s is not None:
        said_s = max(0.0, ends_s - made_s)
        if abs(said_s - age_s) > max(1.0, 0.01 * age_s):
            yield Finding(
                "expires-differs",
                f"Expires says {lifetime(said_s)}, max-age {lifetime(age_s)}; every cache of today "
                "obeys max-age",
                "drop Expires",
                "5.3",
            )


def _unreadable(control: Directives) -> Iterator[Finding]:
    for part in control.malformed:
        yield Finding(
            "malformed",
            f"Cache-Control has `{part}`, which cannot be read: a cache takes the answer for stale",
            "write seconds as a whole number, and commas between directives: max-age=60, public",
            "4.2.1",
        )
    for name in control.repeated:
        yield Finding(
            "repeated",
            f"{name} comes more than once, with different values",
            "send it once; something between the service and its clients may add the other",
            "4.2.1",
        )
    for name in control.given:
        close = difflib.get_close_matches(name, KNOWN, 1, 0.75) if name not in KNOWN else []
        if close:
            yield Finding(
                "misspelled",
                f"Cache-Control has {name}, which no cache knows",
                f"did you mean {close[0]}?",
                "5.2.3",
            )


def _unwise(
    exchange: Exchange, control: Directives, policy: Policy, seen: Evidence
) -> Iterator[Finding]:
    names = _names(exchange)
    if seen.changes_at_every_read and policy.reusable_s > 0:
        yield Finding(
            "volatile-stored",
            f"the answer changes at every read and may be stored for {lifetime(policy.reusable_s)}",
            "send Cache-Control: no-store",
            "5.2.2.5",
        )
    if exchange.status >= 400 and policy.reusable_s > 0:
        yield Finding(
            "error-stored",
            f"a {exchange.status} may be stored for {lifetime(policy.reusable_s)}: it is shown on "
            "after its cause has gone",
            "send Cache-Control: no-store with errors, or a lifetime of a few seconds",
            "3",
        )
    if "*" in policy.varies_by and policy.storable and policy.lifetime_s:
        yield Finding(
            "vary-star",
            "Vary: * fits no other request, so the lifetime it is given says nothing",
            "name the headers that matter, or send Cache-Control: no-store",
            "4.1",
        )
    for name in ("user-agent", *IDENTIFYING):
        if name in policy.varies_by and policy.reusable_s > 0:
            yield Finding(
                "vary-splits",
                f"Vary: {name} makes a copy for nearly every client, so that hits are few",
                "vary by less, or send Cache-Control: private",
                "4.1",
            )
    if "date" not in names and ("expires" in names or policy.lifetime_s):
        yield Finding(
            "date-missing",
            "without Date a cache cannot tell how old the answer is, nor what Expires means",
            "send Date (most servers add it)",
            "4.2.3, and RFC 9110, 6.6.1",
        )
    if "pragma" in names and "cache-control" not in names:
        yield Finding(
            "pragma-in-answer",
            "Pragma means nothing in an answer",
            "send Cache-Control: no-store, or no-cache",
            "5.4",
        )
    if policy.storable and policy.lifetime_from in {"", "heuristic"} and not policy.validates:
        guessed = (
            f"caches may guess {lifetime(policy.lifetime_s)} from Last-Modified"
            if policy.lifetime_s
            else "each cache does as it likes"
        )
        yield Finding(
            "lifetime-unsaid",
            f"it may be stored, and nothing says for how long: {guessed}",
            "send Cache-Control: max-age=SECONDS, or no-store",
            "4.2.2",
        )


def _wasted(
    exchange: Exchange, control: Directives, policy: Policy, seen: Evidence
) -> Iterator[Finding]:
    names = _names(exchange)
    has_validator = "etag" in names or "last-modified" in names
    if has_validator and seen.answers_304 is False:
        which = "ETag" if "etag" in names else "Last-Modified"
        condition = "If-None-Match" if "etag" in names else "If-Modified-Since"
        yield Finding(
            "validator-ignored",
            f"it has {which}, and a request with {condition} still gets the whole answer",
            f"answer {condition} with 304 where it fits; that saves bytes, though not the work",
            "4.3, and RFC 9110, 13.1.2",
        )
    if not has_validator and policy.storable and exchange.status == 200 and policy.lifetime_s:
        yield Finding(
            "validator-missing",
            "it has neither ETag nor Last-Modified: what is stale is sent again as a whole",
            "send an ETag and answer If-None-Match with 304",
            "4.3.1",
        )
    if policy.storable and 0 < (policy.lifetime_s or 0) <= policy.age_s:
        yield Finding(
            "stale-on-arrival",
            f"it comes {lifetime(policy.age_s)} old with a lifetime of "
            f"{lifetime(policy.lifetime_s or 0)}: no cache can use it",
            "look at the cache in front of the service, or at its clock",
            "4.2",
        )
    if control.is_whole("no-cache") and not has_validator and policy.storable:
        yield Finding(
            "no-cache-without-validator",
            "no-cache has it validated before every use, and it has nothing to be validated by",
            "send an ETag, or no-store",
            "5.2.2.4",
        )


def _names(exchange: Exchange) -> set[str]:
    return {name.lower() for name, _ in exchange.headers}
