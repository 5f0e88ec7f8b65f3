"""A digest of bytes that pass by in pieces, of which none is kept."""

from __future__ import annotations

from zlib import crc32

# The hash of a string differs in every process: a digest says nothing outside of its own.
_SALT = hash("digest")


def sealed(crc: int, size: int) -> int:
    """A digest of bytes from their CRC-32 and their number: never 0, so that nothing was there is
    told from nobody looked."""
    return hash((_SALT, crc, size)) or 1


class Digest:
    """Equal for equal bytes, however they were cut; `value` is 0 where there was nothing."""

    __slots__ = ("_crc", "_size")

    def __init__(self) -> None:
        self._crc = 0
        self._size = 0

    def add(self, piece: bytes) -> None:
        """Take the next bytes."""
        self._crc = crc32(piece, self._crc)
        self._size += len(piece)

    @property
    def value(self) -> int:
        """The digest of what was added so far."""
        return hash((_SALT, self._crc, self._size)) if self._size else 0


def digest_of(data: bytes) -> int:
    """The digest of bytes that came whole."""
    return hash((_SALT, crc32(data), len(data))) if data else 0
