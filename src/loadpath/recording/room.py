"""What to say when a disk is full: which, and how much of it is free."""

from __future__ import annotations

import errno
import os
from pathlib import Path

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
NO_ROOM_WORDS = tuple(os.strerror(code) for code in sorted(NO_ROOM))
"""How programs of this machine print the same."""


def room(path: Path) -> str:
    """How much is free on the disk that a path is on, which may not exist yet."""
    here = path.absolute()
    while not here.exists():
        here = here.parent
    found = os.statvfs(here)
    free, size = (blocks * found.f_frsize for blocks in (found.f_bavail, found.f_blocks))
    left = f"{_size(free)} of {_size(size)} free"
    if found.f_files and not found.f_favail:
        left += ", but no file can be added (no inodes left)"
    elif free > size * 0.05:
        left += ", so it may be a quota or limit of yours"
    return f"the disk of {here} has {left}"


def _size(count: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 10_000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:,.0f} TB"
