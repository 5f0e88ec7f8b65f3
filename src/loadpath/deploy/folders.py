"""Where private temporary folders are made."""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path

_IN_MEMORY = ("tmpfs", "ramfs")
_ON_DISK = Path("/var/tmp")


def temporary_root() -> Path:
    """The folder for temporary folders: TMPDIR where it is set, otherwise one on a disk.

    On many systems /tmp is kept in memory. There a database flushes for nothing, and every commit
    looks cheaper than it is, so /var/tmp is taken then.
    """
    usual = Path(tempfile.gettempdir()).resolve()
    if "TMPDIR" in os.environ or _file_system(usual) not in _IN_MEMORY:
        return usual
    better = _ON_DISK.is_dir() and os.access(_ON_DISK, os.W_OK)
    return _ON_DISK.resolve() if better and _file_system(_ON_DISK) not in _IN_MEMORY else usual


def new_name(prefix: str) -> str:
    """A name that nothing else has."""
    return prefix + secrets.token_hex(6)


def _file_system(folder: Path) -> str:
    """The type of the file system that a folder is on; "" when it cannot be told."""
    try:
        mounts = Path("/proc/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    around = {str(step) for step in (folder, *folder.parents)}
    # A later mount hides an earlier one at the same place, and a deeper one hides both.
    found = [
        (len(fields[1]), at, fields[2])
        for at, line in enumerate(mounts)
        if (fields := line.split(" "))[1] in around
    ]
    return max(found)[2] if found else ""
