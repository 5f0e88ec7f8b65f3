"""What the service's own headers say of its replies, as a shared cache reads them. Pure."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from email.utils import format_datetime

import msgspec

from loadpath.caching.headers import Evidence, Finding, findings
from loadpath.caching.rfc9111 import Exchange, Headers, policy_of
from loadpath.experiment.caching.exposure import Exposure
from loadpath.experiment.caching.streams import Seen

_SOME_DATE_S = 1_700_000_000


class Told(msgspec.Struct, frozen=True):
    """Replies of one kind: `count` of them with this status and these headers.

    `shared`: a shared cache may keep them and answer from what it kept, by the headers' own word.
    """

    status: int
    headers: str
    authorized: bool
    count: int
    shared: bool
    lifetime_s: float | None
    why_not: str

    @property
    def says(self) -> str:
        """`Cache-Control: private, max-age=0`; empty where nothing is said."""
        return "; ".join(
            line for line in self.headers.split("\n") if line.startswith("cache-control")
        )


class ToldAll(msgspec.Struct, frozen=True):
    """All kinds of replies of an operation, `common` the most frequent, and what is wrong."""

    kinds: tuple[Told, ...]
    findings: tuple[Finding, ...]

    @property
    def common(self) -> Told | None:
        """The kind most replies are of."""
        return max(self.kinds, key=lambda told: told.count, default=None)

    @property
    def shared(self) -> bool:
        """Whether a shared cache may keep what the service answers well."""
        return any(told.shared for told in self.kinds if told.status < 400)


def told_of(seen: Seen, exposure: Exposure, *, who: bool, volatile: bool) -> ToldAll:
    """Read the headers of every kind of reply that was seen."""
    rows = zip(
        seen.stream.status.tolist(), seen.headers.tolist(), seen.authorized.tolist(), strict=True
    )
    evidence = Evidence(
        differs_by_identity=who,
        differs_by=tuple(
            each.variant.removeprefix("header ").lower()
            for each in exposure.depends
            if each.exposed and each.variant.startswith("header ")
        ),
        changes_at_every_read=volatile,
    )
    kinds: list[Told] = []
    found: dict[str, Finding] = {}
    for (status, headers, authorized), count in Counter(rows).items():
        exchange = exchange_of(status, headers, authorized=authorized)
        policy = policy_of(exchange)
        explicit = policy.lifetime_from not in ("", "heuristic")
        kinds.append(
            Told(
                status=status,
                headers=headers,
                authorized=authorized,
                count=count,
                shared=policy.reusable_s > 0 and explicit,
                lifetime_s=policy.lifetime_s,
                why_not=policy.why_not,
            )
        )
        found.update({each.code: each for each in findings(exchange, evidence)})
    return ToldAll(tuple(kinds), tuple(found.values()))


def exchange_of(status: int, headers: str, *, authorized: bool) -> Exchange:
    """What was recorded of an exchange, as `rfc9111` reads one."""
    return Exchange(
        status=status,
        headers=tuple(_restored(headers)),
        request_headers=(("authorization", "…"),) if authorized else (),
    )


def _restored(headers: str) -> Headers:
    """The headers, with a date from which `Expires` lies as far ahead as it did."""
    made: list[tuple[str, str]] = []
    for line in headers.split("\n") if headers else []:
        name, _, value = line.partition(": ")
        if name == "expires":
            ahead_s = float(value.removesuffix(" s"))
            made += [("date", _date(0)), ("expires", _date(ahead_s))]
        elif name == "etag":
            made.append((name, 'W/"…"' if value.startswith("W/") else '"…"'))
        else:
            made.append((name, value))
    return tuple(made)


def _date(ahead_s: float) -> str:
    return format_datetime(datetime.fromtimestamp(_SOME_DATE_S + ahead_s, UTC), usegmt=True)
