"""Which protocol a unit of a fault is told in: pure."""

from __future__ import annotations

import re

from loadpath.spec import DependencyKind

_SQL = frozenset(
    (
        *("SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "WITH", "COPY", "BEGIN", "COMMIT"),
        *("ROLLBACK", "CREATE", "ALTER", "DROP", "LOCK", "TRUNCATE", "VALUES", "CALL", "DO"),
    )
)
_ROUTE = re.compile(r"([A-Z]+ )?/\S*")
_SUBJECT = re.compile(r"(PUB )?[\w*>$-]+(\.[\w*>$-]+)*")


def kind_of(match: str) -> DependencyKind:
    """The kind of dependency that a unit told so is sent to: by its first word, or its form."""
    first = match.partition(" ")[0]
    if _ROUTE.fullmatch(match):
        return "http"
    if first.upper() in _SQL:
        return "postgres"
    if first == "PUB" or (_SUBJECT.fullmatch(match) and ("." in match or match.islower())):
        return "nats"
    return "valkey"
