"""Whether PostgreSQL can use POSIX shared memory on this machine."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from loadpath.deploy.accounts import Account

_LEAST_BYTES = 16 << 20
"""PostgreSQL takes 1 MB at its start and more for each parallel query."""


def has_shared_memory(account: Account | None, folder: Path = Path("/dev/shm")) -> bool:
    """Whether that user (None: this one) can make files with some MB in them there.

    Some containers have no /dev/shm, a read-only one, or one of 64 kB.
    """
    if not sys.platform.startswith("linux"):
        return True
    try:
        mode, room = folder.stat().st_mode, os.statvfs(folder)
    except OSError:
        return False
    if room.f_flag & os.ST_RDONLY or room.f_bavail * room.f_frsize < _LEAST_BYTES:
        return False
    if account is None:
        return os.access(folder, os.W_OK | os.X_OK)
    return bool(mode & stat.S_IWOTH and mode & stat.S_IXOTH)
