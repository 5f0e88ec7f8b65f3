"""Calls as a reader wants to see them: what belongs together in one row, what is noise folded."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from loadpath.experiment.attribution import Call

_SESSION = re.compile(
    r"^(?:BEGIN|START TRANSACTION|ROLLBACK|ABORT|SAVEPOINT|RELEASE|SET|RESET|SHOW|DEALLOCATE"
    r"|DISCARD)\b"
)
"""What drivers and ORMs say to keep a session in order. COMMIT is not of it: it waits for a disk.
"""

_DELIVERED = frozenset(("MSG", "HMSG"))
_ACKNOWLEDGED = frozenset(("ACK", "WPI", "NXT"))
_INSTANT_S = 1e-6


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a tree: calls and seconds a request; `shapes` are the calls that it stands for.

    `waited_for` is False where nobody waits for an answer, so that there is no time to tell.
    """

    dependency: str
    what: str
    shapes: frozenset[str]
    calls: float
    time_s: float
    rows: float | None = None
    waited_for: bool = True
    note: str = ""


def rows_of(calls: Sequence[Call]) -> list[Row]:
    """The rows of some calls, in the order in which the first call of each was made."""
    groups: dict[tuple[str, str], list[Call]] = {}
    for call in calls:
        groups.setdefault((call.dependency, _group(call)), []).append(call)
    acknowledging = {call.dependency for call in calls if _is_acknowledgement(call)}
    return [_row(group, of, acknowledging) for (_, group), of in groups.items() if group != "ack"]


def _group(call: Call) -> str:
    if call.kind == "postgres" and _SESSION.match(call.shape):
        return "session"
    if _is_acknowledgement(call):
        return "ack"
    return f"{call.verb} {call.shape}"


def _is_acknowledgement(call: Call) -> bool:
    """Whether it says that a delivery was dealt with, which the row of the delivery tells."""
    return call.kind == "nats" and call.verb in _ACKNOWLEDGED


def _row(group: str, calls: list[Call], acknowledging: set[str]) -> Row:
    first = calls[0]
    known = [call.rows for call in calls if call.rows is not None]
    after = [call.after_reply for call in calls]
    session = group == "session"
    notes = ["after the reply"] if all(after) else []
    if any(after) and not all(after) and not session:
        notes = ["partly after the reply"]
    delivered = first.kind == "nats" and first.verb in _DELIVERED
    time_s = sum(call.time_s for call in calls)
    waited_for = not first.pushed and time_s >= _INSTANT_S
    if delivered:
        notes = ["async, acknowledged" if first.dependency in acknowledging else "async"]
    elif first.pushed:
        notes.append("pushed")
    elif not waited_for:
        notes.append("async")
    return Row(
        dependency=first.dependency,
        what=", ".join(dict.fromkeys(c.shape for c in calls))
        if group == "session"
        else _what(first),
        shapes=frozenset(call.shape for call in calls),
        calls=sum(call.calls for call in calls),
        time_s=time_s,
        rows=sum(known) if known and not session else None,
        waited_for=waited_for,
        note=" · ".join(notes),
    )


def _what(call: Call) -> str:
    if call.kind == "postgres":
        return call.shape or call.verb
    return f"{call.verb} {call.shape}".rstrip()
