"""Animations without their metadata: the frames byte for byte, of all else what showing them needs.

Drawing an animation anew costs seconds and looks worse (a GIF has 256 colors a frame). Each of the
three types is a row of labelled blocks; those that are known to be needed are copied.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

__all__ = ["BrokenAnimationError", "stripped"]


class BrokenAnimationError(ValueError):
    """The blocks do not fit together."""


def stripped(body: bytes, content_type: str) -> bytes:
    """A GIF, PNG or WebP file without metadata. Raises `BrokenAnimationError`."""
    strip = {"image/gif": _gif, "image/png": _png, "image/webp": _webp}[content_type]
    try:
        return b"".join(strip(body))
    except (IndexError, struct.error) as error:
        raise BrokenAnimationError("a block ends behind the end of the file") from error


_GIF_EXTENSION, _GIF_IMAGE, _GIF_END = 0x21, 0x2C, 0x3B
_GIF_CONTROL, _GIF_APPLICATION = 0xF9, 0xFF


def _gif(body: bytes) -> Iterator[bytes]:
    at = 13 + _gif_colors(body[10])
    yield body[:at]
    while body[at] != _GIF_END:
        start = at
        if body[at] == _GIF_EXTENSION:
            at = _gif_behind(body, at + 2)
            label = body[start + 1]
            # What says for how long a frame stands, and how often all are shown.
            if label == _GIF_CONTROL or (
                label == _GIF_APPLICATION and body[start + 3 : start + 14] == b"NETSCAPE2.0"
            ):
                yield body[start:at]
        elif body[at] == _GIF_IMAGE:
            at = _gif_behind(body, at + 11 + _gif_colors(body[at + 9]))
            yield body[start:at]
        else:
            raise BrokenAnimationError(f"no block of a GIF begins with {body[at]:#04x}")
    # What stands behind the end is not part of the picture.
    yield b"\x3b"


def _gif_colors(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _gif_behind(body: bytes, at: int) -> int:
    while body[at]:
        at += 1 + body[at]
    return at + 1


_PNG_KEPT = {
    *(b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB"),
    *(b"acTL", b"fcTL", b"fdAT"),
}


def _png(body: bytes) -> Iterator[bytes]:
    yield body[:8]
    at, name = 8, b""
    while name != b"IEND":
        (size,) = struct.unpack_from(">I", body, at)
        name, end = body[at + 4 : at + 8], at + 12 + size
        if end > len(body):
            raise BrokenAnimationError("a chunk of the PNG ends behind the end of the file")
        if name in _PNG_KEPT:
            yield body[at:end]
        at = end


_WEBP_KEPT = {b"VP8X", b"ANIM", b"ANMF", b"ALPH", b"VP8 ", b"VP8L"}
_WEBP_METADATA_FLAGS = 0x20 | 0x08 | 0x04  # a color profile, EXIF, XMP


def _webp(body: bytes) -> Iterator[bytes]:
    kept: list[bytes] = []
    at, end = 12, min(len(body), 8 + int(struct.unpack_from("<I", body, 4)[0]))
    while at + 8 <= end:
        name, size = struct.unpack_from("<4sI", body, at)
        behind = at + 8 + size + (size & 1)
        if behind > len(body):
            raise BrokenAnimationError("a chunk of the WebP ends behind the end of the file")
        if name in _WEBP_KEPT:
            chunk = bytearray(body[at:behind])
            if name == b"VP8X":
                chunk[8] &= ~_WEBP_METADATA_FLAGS
            kept.append(bytes(chunk))
        at = behind
    yield b"RIFF" + struct.pack("<I", 4 + sum(map(len, kept))) + b"WEBP"
    yield from kept
