"""Pictures as people and attackers send them, made when the tests run."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

from PIL import Image

__all__ = ["SECRET", "animation", "bomb", "encoded", "gradient", "photo"]

SECRET = b"a secret place"
"""What stands in the metadata and must not get out."""


def gradient(width: int, height: int, mode: str = "RGB") -> Image.Image:
    """Red to the right, green downwards, so that every turn can be told."""
    red = Image.linear_gradient("L").rotate(90).resize((width, height))
    green = Image.linear_gradient("L").resize((width, height))
    blue = Image.new("L", (width, height), 40)
    image = Image.merge("RGB", (red, green, blue))
    return image if mode == "RGB" else image.convert(mode)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    """The picture as a file of that kind."""
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def photo(width: int, height: int, *, orientation: int = 1, of: Image.Image | None = None) -> bytes:
    """A JPEG as a telephone makes it: it says which side is up, and where it was taken."""
    image = of or gradient(width, height)
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010E] = SECRET.decode()
    exif.get_ifd(0x8825)[1] = "N"
    exif.get_ifd(0x8825)[2] = (52.0, 31.0, 12.0)
    return encoded(image, "JPEG", quality=90, exif=exif, comment=SECRET)


def animation(kind: str, frames: int = 4, size: int = 64) -> bytes:
    """Frames of different colors, with metadata."""
    images = [Image.new("RGB", (size, size), (60 * n % 256, n, 120)) for n in range(frames)]
    options: dict[str, Any] = {"GIF": {"comment": SECRET}, "WEBP": {"exif": b"Exif\0\0" + SECRET}}
    return encoded(
        images[0],
        kind,
        save_all=True,
        append_images=images[1:],
        duration=80,
        loop=0,
        **options.get(kind, {}),
    )


def bomb(width: int, height: int) -> bytes:
    """A small PNG that says it has these many pixels."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"\0" * 100_000, 9)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )
