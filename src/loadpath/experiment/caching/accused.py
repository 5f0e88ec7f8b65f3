"""What is wrong already, cache or no cache: headers that let a shared cache do harm. Pure.

Somebody's cache may stand before the service today: a proxy, a CDN. It goes by the headers, so
whoever sends these answers for what it does.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from loadpath import figures
from loadpath.experiment.caching.exposure import Exposure
from loadpath.experiment.caching.headers import ToldAll

Kind = Literal["leak", "key", "volatile", "error"]

VOLATILE_MIN = 0.5
ERRORS_KEPT = (404, 410)
"""That something is not there may be kept (RFC 9110, section 15.1); other errors pass."""


class Accusation(msgspec.Struct, frozen=True):
    """What the headers allow that must not be, and what mends it."""

    kind: Kind
    says: str
    fix: str


def accusations(
    told: ToldAll, exposure: Exposure, *, who: bool, changes: float
) -> tuple[Accusation, ...]:
    """The gravest first."""
    found: list[Accusation] = []
    if who and told.shared:
        found.append(
            Accusation(
                "leak",
                "the headers let a shared cache give one user's answer to another",
                "Cache-Control: private, or Vary by the header that says who asks",
            )
        )
    for each in exposure.exposed(who=False):
        if not told.shared:
            break
        kind, _, name = each.variant.partition(" ")
        if kind == "query":
            what = "the order of parameters" if name == "order" else f"the parameter {name}"
            found.append(
                Accusation(
                    "key",
                    f"No-Vary-Search leaves {what} out of the key, and the answer depends on it",
                    f"take {what} out of No-Vary-Search",
                )
            )
        else:
            says = f"the answer depends on {name}, which Vary does not name"
            found.append(Accusation("key", says, f"Vary: {name}"))
    # By turns, two users' answers differ as well: that is said already.
    if changes >= VOLATILE_MIN and told.shared and not who:
        found.append(
            Accusation(
                "volatile",
                f"{figures.share(changes)} of answers differ from the one before, and may be kept",
                "Cache-Control: no-cache",
            )
        )
    for kept in told.kinds:
        if kept.shared and kept.status >= 400 and kept.status not in ERRORS_KEPT:
            found.append(
                Accusation(
                    "error",
                    f"an error ({kept.status}) may be kept for {kept.lifetime_s:g} s",
                    "Cache-Control: no-store on errors",
                )
            )
            break
    return tuple(found)
