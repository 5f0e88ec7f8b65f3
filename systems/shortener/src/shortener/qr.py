"""QR codes as PNG or SVG, with Shlink's options. Pure: options in, an image out.

segno makes the symbol; the pixels are ours, because an image of exactly `size` pixels whatever the
symbol's number of modules, which `roundBlockSize` chooses about, is not among segno's.
"""

from __future__ import annotations

import binascii
import re
import struct
import zlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Literal

import msgspec
import segno

__all__ = ["MARGIN_MAX", "SIZE_MAX", "SIZE_MIN", "QrOptions", "image_of", "options_of"]

SIZE_MIN, SIZE_MAX, MARGIN_MAX = 50, 1_000, 500
_COLOR = re.compile(r"#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})")
_FALSE = frozenset({"false", "0", "no", "off"})


class QrOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`size` and `margin` are pixels; the image is `size + 2 * margin` wide. Colors are rrggbb.

    `round_block_size`: every module is a whole number of pixels and what is left over goes to the
    margin. Otherwise the symbol fills `size` exactly, and modules differ by a pixel (in a PNG).
    """

    kind: Literal["png", "svg"] = "png"
    size: int = 300
    margin: int = 0
    error_correction: Literal["l", "m", "q", "h"] = "l"
    round_block_size: bool = True
    color: str = "000000"
    background: str = "ffffff"


def options_of(query: Mapping[str, str]) -> QrOptions:
    """The options that a query asks for; what is out of bounds or unknown becomes the nearest
    bound or the default, as in Shlink, so that every request yields an image that can be scanned.
    """
    correction = query.get("errorCorrection", "l").strip().lower()
    return QrOptions(
        kind="svg" if query.get("format", "png").strip().lower() == "svg" else "png",
        size=_bounded(query.get("size"), 300, SIZE_MIN, SIZE_MAX),
        margin=_bounded(query.get("margin"), 0, 0, MARGIN_MAX),
        error_correction=correction if correction in ("l", "m", "q", "h") else "l",  # type: ignore[arg-type]
        round_block_size=query.get("roundBlockSize", "true").strip().lower() not in _FALSE,
        color=_color(query.get("color"), "000000"),
        background=_color(query.get("bgColor"), "ffffff"),
    )


def _bounded(text: str | None, default: int, least: int, most: int) -> int:
    if text is None or not re.fullmatch(r"\s*-?[0-9]{1,9}\s*", text):
        return default
    return min(max(int(text), least), most)


def _color(text: str | None, default: str) -> str:
    found = _COLOR.fullmatch((text or "").strip())
    if found is None:
        return default
    digits = found[1].lower()
    return digits if len(digits) == 6 else "".join(2 * digit for digit in digits)


@lru_cache(maxsize=256)
def image_of(text: str, options: QrOptions) -> bytes:
    """The image; about 10 ms of CPU, so call it in a thread. The last 256 are remembered."""
    symbol = segno.make(text, error=options.error_correction, micro=False, boost_error=False)
    modules = [bytes(row) for row in symbol.matrix]
    # A long address has more modules than a small image pixels; one of them each is the least.
    options = msgspec.structs.replace(options, size=max(options.size, len(modules)))
    return _svg(modules, options) if options.kind == "svg" else _png(modules, options)


def _places(modules: int, options: QrOptions) -> list[int]:
    """For each pixel of a row or column its module, or -1 in the margin."""
    block = options.size // modules
    if options.round_block_size:
        inside = [pixel // block for pixel in range(block * modules)]
    else:
        inside = [pixel * modules // options.size for pixel in range(options.size)]
    spare = options.size - len(inside)
    before = options.margin + spare // 2
    return [-1] * before + inside + [-1] * (options.margin + spare - spare // 2)


def _png(modules: list[bytes], options: QrOptions) -> bytes:
    places = _places(len(modules), options)
    width = len(places)
    lines: dict[int, bytes] = {}
    for row in range(-1, len(modules)):
        bits = 0
        for column in places:
            bits = bits << 1 | (row >= 0 and column >= 0 and modules[row][column])
        # One bit a pixel, a filter byte before, the last byte filled up with zeros.
        lines[row] = b"\0" + (bits << (-width % 8)).to_bytes(-(-width // 8))
    pixels = zlib.compress(b"".join(lines[row] for row in places), 6)
    palette = bytes.fromhex(options.background + options.color)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        _chunk(kind, data)
        for kind, data in (
            (b"IHDR", struct.pack(">IIBBBBB", width, width, 1, 3, 0, 0, 0)),
            (b"PLTE", palette),
            (b"IDAT", pixels),
            (b"IEND", b""),
        )
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    check = binascii.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)


def _svg(modules: list[bytes], options: QrOptions) -> bytes:
    count = len(modules)
    block = options.size / count
    if options.round_block_size:
        block = float(options.size // count)
    width = options.size + 2 * options.margin
    start = (width - block * count) / 2
    runs = []
    for y, row in enumerate(modules):
        # A run of dark modules is one rectangle, drawn as a line of the width of a module.
        runs += [
            f"M{run.start()} {y + 0.5}h{run.end() - run.start()}" for run in _DARK.finditer(row)
        ]
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{width}"'
        f' viewBox="0 0 {width} {width}">'
        f'<rect width="{width}" height="{width}" fill="#{options.background}"/>'
        f'<path transform="translate({start:g} {start:g}) scale({block:.6g})"'
        f' stroke="#{options.color}" d="{"".join(runs)}"/></svg>\n'
    ).encode()


_DARK = re.compile(rb"\x01+")
