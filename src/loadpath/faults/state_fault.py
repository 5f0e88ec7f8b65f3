"""Faults of what a dependency holds: its data, its memory, its locks, its disk."""

from __future__ import annotations

from typing import ClassVar

from loadpath.faults.fault import Fault, Layer, Needs


class ValkeyFault(Fault, frozen=True, kw_only=True):
    """Base of those that Valkey alone can have."""

    LAYER: ClassVar[Layer] = "state"
    NEEDS: ClassVar[Needs] = Needs(kinds=frozenset(("valkey",)), started=True)


class PostgresFault(Fault, frozen=True, kw_only=True):
    """Base of those that PostgreSQL alone can have."""

    LAYER: ClassVar[Layer] = "state"
    NEEDS: ClassVar[Needs] = Needs(kinds=frozenset(("postgres",)), started=True)
