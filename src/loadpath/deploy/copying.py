"""Copies of data folders: every byte of its own, owners and permissions kept."""

from __future__ import annotations

import ctypes
import errno
import os
import re
import shutil
import stat
from pathlib import Path

_CHUNK_BYTES = 1 << 30
_NO_SHARING = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)


def copy_tree(source: Path, target: Path) -> None:
    """Copy a folder to a path that does not exist yet, and flush it to disk.

    A hard link would let a server change what it was copied from; where the file system shares
    blocks (Btrfs, XFS) copy_file_range costs next to nothing. Flushed here, so that the disk is
    not still writing the copy while something is measured.
    """
    try:
        shutil.copytree(source, target, symlinks=True, copy_function=_copy_file)
    except shutil.Error as error:
        raise _first_of(error) from None
    _own_as(source, target)
    for folder, folders, files in os.walk(source):
        copy = target / os.path.relpath(folder, source)
        for name in (*folders, *files):
            _own_as(Path(folder, name), copy / name)
    _flush(target)


def _first_of(error: shutil.Error) -> OSError:
    """The first of the errors that a copy has gathered, which are kept as text."""
    _, target, why = error.args[0][0]
    found = re.match(r"\[Errno (\d+)\]", why)
    code = int(found[1]) if found else errno.EIO
    return OSError(code, os.strerror(code), str(target))


def _copy_file(source: str, target: str) -> str:
    with Path(source).open("rb") as data, Path(target).open("xb") as copy:
        size = os.fstat(data.fileno()).st_size
        done = 0
        try:
            while done < size:
                count = os.copy_file_range(data.fileno(), copy.fileno(), _CHUNK_BYTES)
                if count == 0:
                    break
                done += count
        except (AttributeError, OSError) as error:
            if isinstance(error, OSError) and error.errno not in _NO_SHARING:
                raise
            shutil.copyfileobj(data, copy)
    Path(target).chmod(stat.S_IMODE(Path(source).stat().st_mode))
    return target


def _own_as(source: Path, target: Path) -> None:
    """Root's copies belong to whom the original does."""
    if os.geteuid() == 0:
        state = source.lstat()
        os.chown(target, state.st_uid, state.st_gid, follow_symlinks=False)


def _flush(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        sync = getattr(ctypes.CDLL(None), "syncfs", None)
        if sync is None or sync(descriptor) != 0:
            os.sync()
    finally:
        os.close(descriptor)
