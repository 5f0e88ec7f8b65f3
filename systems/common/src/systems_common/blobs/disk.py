"""A store of files in a folder of this host, or of a file system that all hosts share."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from pathlib import Path
from typing import IO

from systems_common.blobs.base import (
    BlobMissingError,
    BlobTooLargeError,
    Content,
    Spool,
    checked_name,
    in_thread,
)

__all__ = ["DiskBlobs"]

_PART_BYTES = 256 * 1024
_LEFT_BEHIND_S = 24 * 3600.0
_ENTERED = 0o711
"""Who knows a name may read the file, as a proxy does; nobody else may list the names."""


class DiskBlobs:
    """Files in folders named by the first two characters of their names.

    A file is written beside its place and moved there when it is whole and on the disk, so what
    has a name is whole, whatever crashed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._incoming = folder / "incoming"

    def path_of(self, name: str) -> Path:
        """Where a file is. Raises `ValueError` for what is no name."""
        return self.folder / checked_name(name)[:2] / name

    @contextlib.asynccontextmanager
    async def spool(self, bytes_max: int) -> AsyncIterator[Spool]:
        """See `Blobs`."""
        file, path = await in_thread(self._new)
        try:
            yield Spool(file, bytes_max, path)
        finally:
            await asyncio.to_thread(_discard, file, path)

    async def keep(self, name: str, spool: Spool, content_type: str) -> None:
        """See `Blobs`."""
        await spool.flush()
        assert spool.path is not None
        target, source = self.path_of(name), spool.path
        await in_thread(lambda: _move(spool.file, source, target, durable=True))

    async def put(self, name: str, body: bytes, content_type: str, *, durable: bool = True) -> None:
        """See `Blobs`."""
        target = self.path_of(name)

        def write() -> None:
            file, path = self._new()
            try:
                file.write(body)
                file.flush()
                _move(file, path, target, durable=durable)
            finally:
                _discard(file, path)

        await in_thread(write)

    async def read(self, name: str) -> Content:
        """See `Blobs`."""
        path = self.path_of(name)

        def begin() -> tuple[int, bytes, IO[bytes] | None]:
            file = _existing(path)
            size = os.fstat(file.fileno()).st_size
            first = file.read(_PART_BYTES)
            if len(first) == size:
                file.close()
                return size, first, None
            return size, first, file

        size, first, file = await in_thread(begin)
        return Content(size, _rest(first, file))

    async def open(self, name: str, bytes_max: int) -> IO[bytes]:
        """See `Blobs`."""
        path = self.path_of(name)

        def begin() -> IO[bytes]:
            file = _existing(path)
            if os.fstat(file.fileno()).st_size > bytes_max:
                file.close()
                raise BlobTooLargeError(bytes_max)
            return file

        return await in_thread(begin)

    async def delete(self, names: Iterable[str]) -> None:
        """See `Blobs`. Also takes away what uploads left behind whose process died."""
        paths = [self.path_of(name) for name in names]

        def delete() -> None:
            for path in paths:
                path.unlink(missing_ok=True)
            with contextlib.suppress(FileNotFoundError):
                for path in self._incoming.iterdir():
                    with contextlib.suppress(FileNotFoundError):
                        if path.stat().st_mtime < time.time() - _LEFT_BEHIND_S:
                            path.unlink()

        await in_thread(delete)

    async def check(self) -> None:
        """See `Blobs`."""

        def check() -> None:
            # It is made when something is put into it first.
            folder = next(one for one in (self.folder, *self.folder.parents) if one.exists())
            if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
                raise PermissionError(f"{folder} cannot be written")

        await in_thread(check)

    def _new(self) -> tuple[IO[bytes], Path]:
        self.folder.mkdir(mode=_ENTERED, parents=True, exist_ok=True)
        self._incoming.mkdir(mode=0o700, exist_ok=True)
        number, path = tempfile.mkstemp(dir=self._incoming)
        return os.fdopen(number, "w+b"), Path(path)


def _existing(path: Path) -> IO[bytes]:
    try:
        return path.open("rb", buffering=0)
    except FileNotFoundError as error:
        raise BlobMissingError(path.name) from error


def _move(file: IO[bytes], source: Path, target: Path, *, durable: bool) -> None:
    if durable:
        os.fsync(file.fileno())
    # A proxy in front may read files itself, as another user.
    os.fchmod(file.fileno(), 0o644)
    is_new = not target.parent.exists()
    target.parent.mkdir(mode=_ENTERED, exist_ok=True)
    source.replace(target)
    if durable:
        _sync_folder(target.parent)
        if is_new:
            _sync_folder(target.parent.parent)


def _sync_folder(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _discard(file: IO[bytes], path: Path) -> None:
    with contextlib.suppress(OSError):
        # A disk that is full fails once more for what was held back.
        file.close()
    path.unlink(missing_ok=True)


async def _rest(first: bytes, file: IO[bytes] | None) -> AsyncGenerator[bytes, None]:
    yield first
    if file is None:
        return
    try:
        while part := await in_thread(lambda: file.read(_PART_BYTES)):
            yield part
    finally:
        file.close()
