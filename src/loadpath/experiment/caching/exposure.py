"""What answers depend on besides the key: from requests asked in other ways. Pure."""

from __future__ import annotations

import msgspec
import numpy as np

from loadpath.recording import Recording

WHO = ("identity", "anonymous", "without cookie")
"""Variants that ask as somebody else, or as nobody."""


class Depends(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one variant: of `compared` requests so many were answered `otherwise`, and of
    those so many `exposed`: a cache keyed as the headers say would have given A's reply to B.

    `status` and `other_status` are of the first such. Requests whose own answer changed meanwhile
    are not compared.
    """

    variant: str
    compared: int
    otherwise: int
    exposed: int
    headers: str
    status: int
    other_status: int

    @property
    def is_who(self) -> bool:
        """Whether it is about who asks."""
        return self.variant in WHO


class Exposure(msgspec.Struct, frozen=True):
    """All that was tried with one operation. `unstable`: requests that were answered otherwise when
    they were simply asked again."""

    depends: tuple[Depends, ...]
    unstable: int
    asked: int

    def exposed(self, *, who: bool) -> tuple[Depends, ...]:
        """Those by which the key that the headers give is too small."""
        return tuple(each for each in self.depends if each.exposed and each.is_who == who)


NOTHING = Exposure((), 0, 0)


def exposures(recording: Recording, index: int) -> dict[str, Exposure]:
    """By operation, what its answers depend on."""
    rows = recording.table("variants", index)
    found: dict[str, Exposure] = {}
    for number, name in enumerate(recording.operations):
        mine = rows["operation"] == number
        if not mine.any():
            continue
        stable = mine & (rows["before"] == rows["after"])
        depends = []
        for variant in dict.fromkeys(rows["variant"][stable].tolist()):
            these = stable & (rows["variant"] == variant)
            otherwise = these & (rows["other"] != rows["before"])
            exposed = otherwise & rows["same_key"]
            shown = exposed if exposed.any() else otherwise if otherwise.any() else these
            first = int(np.flatnonzero(shown)[0])
            depends.append(
                Depends(
                    variant=str(variant),
                    compared=int(these.sum()),
                    otherwise=int(otherwise.sum()),
                    exposed=int(exposed.sum()),
                    headers=str(rows["headers"][first]),
                    status=int(rows["status"][first]),
                    other_status=int(rows["other_status"][first]),
                )
            )
        found[name] = Exposure(tuple(depends), int((mine & ~stable).sum()), int(mine.sum()))
    return found
