"""holds.json: whether what the service acknowledged while it was driven still held afterwards."""

from __future__ import annotations

import msgspec


class HoldCount(msgspec.Struct, frozen=True, kw_only=True):
    """How acknowledged items of one kind stand, of the `checked` among `acknowledged`.

    `unknown` could not be told: the service did not answer, or the check itself failed.
    """

    acknowledged: int
    checked: int
    held: int
    broken: int
    unknown: int


class HoldsRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Counts by kind; `first_broken` and `first_unknown` describe one such item per kind, redacted.

    `unchecked_kinds` were acknowledged, but the flow file has no check for them.
    """

    kinds: dict[str, HoldCount]
    first_broken: dict[str, str] = {}
    first_unknown: dict[str, str] = {}
    unchecked_kinds: tuple[str, ...] = ()

    @property
    def all_held(self) -> bool:
        """Whether something was checked, and everything that was checked held."""
        counts = self.kinds.values()
        return any(c.checked for c in counts) and all(c.held == c.checked for c in counts)
