"""Which events of a room a user may see: history visibility and their membership, in order. Pure.

Both change with state events, so the room's past falls into stretches in which neither does. A user
sees the events of a stretch, or does not, by the rules of the specification (v1.11, 11.11).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

__all__ = ["EVERYTHING", "Turn", "sees", "stretches"]

Stretch = tuple[int, int]
_END = 2**62
EVERYTHING: tuple[Stretch, ...] = ((0, _END),)


class Turn(msgspec.Struct, frozen=True):
    """A change at the event of that number: of the room's visibility, or of the membership."""

    seq: int
    visibility: str | None = None
    membership: str | None = None


def stretches(turns: Iterable[Turn]) -> tuple[Stretch, ...]:
    """The numbers of events that the user may see, as inclusive ranges in order.

    An event that changes the visibility is judged by the more open of the two. Who is let in sees
    that, and who is put out sees that too. Who never was in the room sees what is world readable.
    """
    ordered = sorted(turns, key=lambda turn: turn.seq)
    last_join = max((t.seq for t in ordered if t.membership == "join"), default=None)
    visibility, membership = "shared", "leave"
    found: list[list[int]] = []
    start = 0

    def add(first: int, last: int) -> None:
        if first > last:
            return
        if found and found[-1][1] >= first - 1:
            found[-1][1] = max(found[-1][1], last)
        else:
            found.append([first, last])

    for turn in ordered:
        if _open(visibility, membership, start, last_join):
            add(start, turn.seq)
        visibility = turn.visibility or visibility
        membership = turn.membership or membership
        start = turn.seq
        is_own = turn.membership is not None and last_join is not None
        if is_own or _open(visibility, membership, start, last_join):
            add(turn.seq, turn.seq)
    if _open(visibility, membership, start, last_join):
        add(start, _END)
    return tuple((first, last) for first, last in found)


def _open(visibility: str, membership: str, seq: int, last_join: int | None) -> bool:
    if visibility == "world_readable" or membership == "join":
        return True
    if visibility == "shared":
        # Who joined later sees what was shared before.
        return last_join is not None and last_join >= seq
    return visibility == "invited" and membership == "invite" and last_join is not None


def sees(allowed: Sequence[Stretch], seq: int) -> bool:
    """Whether the event of that number is within."""
    return any(first <= seq <= last for first, last in allowed)
