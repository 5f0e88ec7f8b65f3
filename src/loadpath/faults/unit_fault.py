"""Faults of one unit of a protocol: a statement, a command, a message, a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from loadpath.faults.fault import Layer, Needs
from loadpath.faults.tap_fault import TapFault

if TYPE_CHECKING:
    from loadpath.faults.words import Words


class UnitFault(TapFault, frozen=True, kw_only=True):
    """Base of them. `match` says which units, in the words of the protocol:

    the beginning of a statement (`INSERT INTO link`: not link_visit), whatever its values and case;
    a Redis command and a pattern of its first key (`GET link:*`); a NATS subject with wildcards
    (`PUB visits.>`); a method and a path with placeholders (`POST /users/{}`).
    """

    LAYER: ClassVar[Layer] = "protocol unit"
    NEEDS: ClassVar[Needs] = Needs(
        kinds=frozenset(("postgres", "valkey", "nats", "http")), tap=True, service=True
    )

    match: str = ""


def match_of(words: Words) -> str:
    """Take what says which units. Raises `ConfigurationError` when nothing does."""
    if not words.next:
        raise words.wrong("what it is about, such as INSERT INTO link or GET link:*")
    return words.rest()
