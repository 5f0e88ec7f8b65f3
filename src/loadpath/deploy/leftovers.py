# ruff: noqa: PTH101, PTH106, PTH108, PTH112, PTH114, PTH116, PTH118, PTH120, PTH123, PTH208
# os instead of pathlib: the guard process must start at once.
"""What a killed process leaves in the kernel or on disk, and how it is removed.

Standard library only: the guard process imports this.
"""

from __future__ import annotations

import ctypes
import os
import stat
import threading
import time
from collections.abc import Iterable

_SHARED_MEMORY = "/dev/shm/"
_REMOVE_SEGMENT = 0
_SIDE_BY_SIDE = 8
_DETACH = 2  # out of sight at once; gone when its last file is closed


class SharedMemory:
    """Shared memory of processes that may be killed before they can remove it themselves.

    PostgreSQL, killed, leaves a System V segment and files under /dev/shm. What is there when this
    is made belongs to others and is never touched.
    """

    def __init__(self) -> None:
        self._since_s = int(time.time())
        self._others = set(_shared_files())
        self._noted: dict[str, int] = {}

    def note(self, pids: Iterable[int]) -> None:
        """Remember which shared memory files these processes have mapped."""
        for pid in pids:
            for path in _mapped_files(pid):
                try:
                    inode = os.stat(path).st_ino
                except OSError:
                    continue
                if (path, inode) not in self._others:
                    self._noted[path] = inode

    def remove(self, pids: set[int]) -> None:
        """Remove what was noted and the segments that `pids`, all ended now, have made."""
        left = {path for path, inode in self._noted.items() if _inode(path) == inode}
        if left:
            for name in os.listdir("/proc"):
                left -= _mapped_files(int(name)) if name.isdigit() else set()
        for path in left:
            os.unlink(path)
        self._noted.clear()
        _remove_segments(pids, self._since_s)


def _shared_files() -> list[tuple[str, int]]:
    try:
        return [(entry.path, entry.inode()) for entry in os.scandir(_SHARED_MEMORY)]
    except OSError:
        return []


def _inode(path: str) -> int | None:
    try:
        return os.stat(path).st_ino
    except OSError:
        return None


def _mapped_files(pid: int) -> set[str]:
    try:
        with open(f"/proc/{pid}/maps", encoding="utf-8", errors="surrogateescape") as file:
            lines = [line.rstrip("\n") for line in file if _SHARED_MEMORY in line]
    except OSError:
        return set()
    return {line[line.index(_SHARED_MEMORY) :] for line in lines if not line.endswith("(deleted)")}


def _remove_segments(pids: set[int], since_s: int) -> None:
    try:
        with open("/proc/sysvipc/shm", encoding="ascii") as file:
            rows = [line.split() for line in file]
    except OSError:
        return
    at = {name: index for index, name in enumerate(rows[0])} if rows else {}
    for row in rows[1:]:
        if (
            int(row[at["cpid"]]) in pids
            and int(row[at["nattch"]]) == 0
            and int(row[at["ctime"]]) >= since_s
        ):
            libc = ctypes.CDLL(None, use_errno=True)
            libc.shmctl(int(row[at["shmid"]]), _REMOVE_SEGMENT, None)


def unmount(path: str) -> None:
    """Take a file system away that is mounted there; nothing is done where none is."""
    if os.path.ismount(path):
        ctypes.CDLL(None, use_errno=True).umount2(os.fsencode(path), _DETACH)


def remove_path(path: str, *, patience_s: float = 1.0) -> bool:
    """Remove a file or folder tree, whatever its permissions. True: it is gone."""
    deadline_s = time.monotonic() + patience_s
    while os.path.lexists(path):
        _remove_once(path)
        if time.monotonic() > deadline_s:
            break
    return not os.path.lexists(path)


def _remove_once(path: str) -> None:
    if os.path.islink(path) or not os.path.isdir(path):
        _unlink(path)
        return
    files: list[str] = []
    folders: list[str] = []
    for folder, below, names in os.walk(path, onerror=_open_up):
        folders.append(folder)
        files += [os.path.join(folder, name) for name in names]
        files += [link for name in below if os.path.islink(link := os.path.join(folder, name))]
    # A database has thousands of files, and a busy disk is slow to answer for each.
    workers = [threading.Thread(target=_unlink_all, args=(files,)) for _ in range(_SIDE_BY_SIDE)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for folder in reversed(folders):
        try:
            os.rmdir(folder)
        except OSError:
            _open_up(folder)


def _unlink_all(files: list[str]) -> None:
    while files:
        try:
            path = files.pop()
        except IndexError:
            return
        _unlink(path)


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        _open_up(os.path.dirname(path))


def _open_up(folder: str | OSError) -> None:
    """Make a folder one that its owner may list and change, for the next try."""
    path = folder.filename if isinstance(folder, OSError) else folder
    try:
        os.chmod(path, stat.S_IRWXU)
    except OSError:
        return
