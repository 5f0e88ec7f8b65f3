"""Small file systems in memory, mounted for one server."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from loadpath.deploy.leftovers import unmount
from loadpath.errors import LoadpathError

_FLAGS = 2 | 4 | 8  # no set-user-id, no devices, no programs


def mount_small(folder: Path, size_bytes: int) -> None:
    """Mount a file system of that size. Raises `LoadpathError` when that is not allowed."""
    libc = ctypes.CDLL(None, use_errno=True)
    options = f"size={size_bytes},mode=0755".encode()
    if libc.mount(b"loadpath", os.fsencode(folder), b"tmpfs", _FLAGS, options) != 0:
        code = ctypes.get_errno()
        raise LoadpathError(
            f"a small file system could not be mounted: {os.strerror(code)}",
            advice="It needs root with the right to mount (CAP_SYS_ADMIN), which containers lack.",
        )


def unmount_small(folder: Path) -> None:
    """Unmount it and remove the folder."""
    unmount(str(folder))
    folder.rmdir()


def folder_bytes(folder: Path) -> int:
    """What the files below a folder take on disk."""
    found = 0
    for where, _, names in os.walk(folder):
        found += sum(Path(where, name).lstat().st_blocks * 512 for name in names)
    return found
