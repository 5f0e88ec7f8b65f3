"""What a store of files offers, and what can go wrong with it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import re
from collections.abc import AsyncGenerator, Callable, Iterable
from pathlib import Path
from typing import IO, Protocol, TypeVar

import msgspec

__all__ = [
    "BlobMissingError",
    "BlobStoreError",
    "BlobTooLargeError",
    "Blobs",
    "Content",
    "Spool",
    "checked_name",
    "in_thread",
]

T = TypeVar("T")

_NAME = re.compile(r"[A-Za-z0-9_-]{8,100}(\.[a-z0-9]{1,8})?")
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_AT_ONCE_BYTES = 256 * 1024


class BlobMissingError(Exception):
    """There is no file of that name."""


class BlobTooLargeError(Exception):
    """More was sent than is taken."""

    def __init__(self, bytes_max: int) -> None:
        super().__init__(f"expected at most {bytes_max} bytes")
        self.bytes_max = bytes_max


class BlobStoreError(Exception):
    """The store cannot be reached, or fails. `is_full`: it has no room."""

    def __init__(self, text: str, *, is_full: bool = False) -> None:
        super().__init__(text)
        self.is_full = is_full


class Content(msgspec.Struct, frozen=True):
    """A file that is being read: how long it is, and its parts in order."""

    size: int
    parts: AsyncGenerator[bytes, None]


class Blobs(Protocol):
    """A store of files that never change. A name is given once, by the caller: long and random, so
    that who does not know it cannot guess it.

    Everything raises `BlobStoreError` when the store fails, and `ValueError` for what is no name.
    """

    def spool(self, bytes_max: int) -> contextlib.AbstractAsyncContextManager[Spool]:
        """A place for what is arriving, gone with the block unless it is kept."""

    async def keep(self, name: str, spool: Spool, content_type: str) -> None:
        """Make what has arrived a file; when this returns it survives a crash."""

    async def put(self, name: str, body: bytes, content_type: str, *, durable: bool = True) -> None:
        """Make these bytes a file. Not `durable`: it need not survive a crash."""

    async def read(self, name: str) -> Content:
        """Begin to read a file. Raises `BlobMissingError`."""

    async def open(self, name: str, bytes_max: int) -> IO[bytes]:
        """A whole file, to be sought in and closed by the caller.

        Raises `BlobMissingError`, `BlobTooLargeError`.
        """

    async def delete(self, names: Iterable[str]) -> None:
        """Delete files; those that are not there are deleted already."""

    async def check(self) -> None:
        """Whether the store can be read and written, as far as that is cheap to know."""


class Spool:
    """A temporary file that takes at most `bytes_max`, so that no body is ever whole in memory."""

    def __init__(self, file: IO[bytes], bytes_max: int, path: Path | None = None) -> None:
        self.file = file
        self.path = path
        self.size = 0
        self._bytes_max = bytes_max
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0

    async def write(self, part: bytes) -> None:
        """Add to it. Raises `BlobTooLargeError`, `BlobStoreError`."""
        self.size += len(part)
        if self.size > self._bytes_max:
            raise BlobTooLargeError(self._bytes_max)
        self._waiting.append(part)
        self._waiting_bytes += len(part)
        if self._waiting_bytes >= _AT_ONCE_BYTES:
            await self.flush()

    async def flush(self) -> None:
        """Write what was held back; to be called behind the last part."""
        body = b"".join(self._waiting)
        self._waiting.clear()
        self._waiting_bytes = 0

        def write() -> None:
            self.file.write(body)
            self.file.flush()

        await in_thread(write)


async def in_thread(work: Callable[[], T]) -> T:
    """Do work on files beside the event loop. Raises `BlobStoreError` in place of `OSError`."""
    try:
        return await asyncio.to_thread(work)
    except OSError as error:
        is_full = error.errno in _FULL
        why = "the store of files is full" if is_full else "the store of files fails"
        raise BlobStoreError(f"{why}: {error.strerror or error!r}", is_full=is_full) from error


def checked_name(name: str) -> str:
    """The name. Raises `ValueError`: nothing else may ever become a part of a path."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"expected a name of letters and digits, got {name[:100]!r}")
    return name
