"""Pictures that strangers send: recognized, cleaned of what they should not tell, made smaller.

What a picture is, its first bytes say, not a header of the request or a name. How large it is, its
own header says, before anything is decoded: a file of 20 kB can unpack to gigabytes. What is kept
is drawn anew from the pixels, turned upright and in sRGB, so nothing else that stood in the file
(where it was taken, with which camera, a program in disguise) gets any further. Of an animation
the frames are kept as they are and all else is left out (animations.py).

Everything here is plain work for a processor; `Drawing` does it beside the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import math
import struct
import tempfile
import warnings
import zlib
from collections.abc import Callable, Iterator
from typing import IO, Literal, ParamSpec, TypeVar

import blurhash
import msgspec
from PIL import Image, ImageCms, ImageOps

from systems_common.animations import BrokenAnimationError, stripped
from systems_common.batching import OverloadedError

__all__ = [
    "IMAGE_TYPES",
    "Drawing",
    "ImageRefusedError",
    "Picture",
    "Prepared",
    "cropped",
    "prepared",
    "scaled",
    "sniffed",
]

P = ParamSpec("P")
R = TypeVar("R")

_FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG", "image/gif": "GIF", "image/webp": "WEBP"}
IMAGE_TYPES = tuple(_FORMATS)
"""The types that are taken."""

KEPT_PIXELS = 3840 * 2160
"""A still picture that has more is kept smaller."""
PREVIEW_PIXELS = 640 * 360
# Pillow decodes a frame of WebP with Python's lock held, 9 ms for a million pixels.
_MAX_BY_TYPE = {"image/webp": KEPT_PIXELS}
_BLURHASH_SIDE = 24
_BLURHASH_COMPONENTS = 4
_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# What Pillow raises for a file that is not what its first bytes say, or ends too early.
_BROKEN = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    struct.error,
    zlib.error,
    BrokenAnimationError,
)

# The bound of the caller is narrower, and is an error.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


class ImageRefusedError(Exception):
    """A file that is no picture that is taken; the text is for who sent it."""

    def __init__(self, why: Literal["type", "pixels", "broken"], text: str) -> None:
        super().__init__(text)
        self.why = why


class Picture(msgspec.Struct, frozen=True):
    """An encoded picture; sizes in pixels."""

    body: bytes
    content_type: str
    width: int
    height: int


class Prepared(msgspec.Struct, frozen=True):
    """What is kept of a picture."""

    original: Picture
    preview: Picture
    blurhash: str
    frames: int


def sniffed(head: bytes) -> str | None:
    """The type of the picture that begins with these bytes (12 are enough); None: no picture."""
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    return None


def prepared(file: IO[bytes], *, pixels_max: int) -> Prepared:
    """A picture without what it should not tell, with a preview and a blurhash.

    At most `pixels_max` pixels, of all frames together. Raises `ImageRefusedError`.
    """
    with _opened(file, pixels_max) as (image, content_type, frames):
        if frames > 1:
            if image.width * image.height > KEPT_PIXELS:
                raise ImageRefusedError(
                    "pixels", f"an animation may have {KEPT_PIXELS} pixels a frame"
                )
            first = _rgb(image.copy())
            for number in range(1, frames):
                # A file that ends too early says so here, and not when somebody looks at it.
                image.seek(number)
                image.load()
            file.seek(0)
            body = stripped(file.read(), content_type)
            original = Picture(body, content_type, first.width, first.height)
        else:
            first = _drawn(image, _within_area(image.size, KEPT_PIXELS))
            original = _encoded(first, content_type)
        small = first.resize(_within_area(first.size, PREVIEW_PIXELS), Image.Resampling.LANCZOS)
        return Prepared(original, _encoded(small, None), _blurhash(small), frames)


def scaled(file: IO[bytes], width: int, height: int, *, pixels_max: int) -> Picture:
    """A still picture that fits into the box, never larger than the original.

    Raises `ImageRefusedError`.
    """
    with _opened(file, pixels_max) as (image, _, _):
        # The box is meant for the picture as it is looked at.
        box = (height, width) if _is_turned(image) else (width, height)
        ratio = min(1.0, box[0] / image.width, box[1] / image.height)
        return _encoded(_drawn(image, _times(image.size, ratio)), None)


def cropped(file: IO[bytes], width: int, height: int, *, pixels_max: int) -> Picture:
    """The middle of a still picture in the shape of the box, never larger than the original.

    Raises `ImageRefusedError`.
    """
    with _opened(file, pixels_max) as (image, _, _):
        box = (height, width) if _is_turned(image) else (width, height)
        ratio = min(1.0, max(box[0] / image.width, box[1] / image.height))
        drawn = _drawn(image, _times(image.size, ratio))
        shrink = min(1.0, drawn.width / width, drawn.height / height)
        size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
        return _encoded(ImageOps.fit(drawn, size, Image.Resampling.LANCZOS), None)


class Drawing:
    """Does the work beside the event loop, two pictures at a time.

    In threads: Pillow lets go of Python's lock while it works (the DECISIONS of
    the social platform, "Pictures are drawn in threads", has the figures).
    """

    def __init__(self, *, at_once: int = 2, waiting_max: int = 64) -> None:
        # Each may hold a picture of `pixels_max` in memory, unpacked.
        self._turns = asyncio.Semaphore(at_once)
        self._waiting = 0
        self._waiting_max = waiting_max

    async def do(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """The result of one of the functions above.

        Raises `OverloadedError` when too many pictures wait: each has its file on the disk.
        """
        if self._waiting >= self._waiting_max:
            raise OverloadedError(f"{self._waiting_max} pictures wait already")
        self._waiting += 1
        try:
            await self._turns.acquire()
        finally:
            self._waiting -= 1
        try:
            return await asyncio.to_thread(work, *args, **kwargs)
        finally:
            self._turns.release()


@contextlib.contextmanager
def _opened(file: IO[bytes], pixels_max: int) -> Iterator[tuple[Image.Image, str, int]]:
    file.seek(0)
    content_type = sniffed(file.read(12))
    file.seek(0)
    if content_type is None:
        raise ImageRefusedError("type", "expected a JPEG, PNG, GIF or WebP picture")
    try:
        with Image.open(file, formats=[_FORMATS[content_type]]) as image:
            # Before frames are counted: that reads the file, this did not.
            _check_pixels(image, 1, min(pixels_max, _MAX_BY_TYPE.get(content_type, pixels_max)))
            frames = getattr(image, "n_frames", 1)
            image.seek(0)
            _check_pixels(image, frames, pixels_max)
            yield image, content_type, frames
    except Image.DecompressionBombError as error:
        raise ImageRefusedError("pixels", f"a picture may have {pixels_max} pixels") from error
    except _BROKEN as error:
        raise ImageRefusedError("broken", "the picture is damaged or ends too early") from error


def _check_pixels(image: Image.Image, frames: int, pixels_max: int) -> None:
    pixels = image.width * image.height * frames
    if pixels > pixels_max:
        raise ImageRefusedError(
            "pixels", f"a picture may have {pixels_max} pixels in all its frames; it has {pixels}"
        )


def _is_turned(image: Image.Image) -> bool:
    return _orientation(image) >= 5


def _orientation(image: Image.Image) -> int:
    try:
        found = image.getexif().get(_ORIENTATION, 1)
    except _BROKEN:
        return 1
    return found if isinstance(found, int) and found in _UPRIGHT else 1


def _drawn(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The pixels in sRGB and upright, of this size (before it is turned), nothing else."""
    orientation = _orientation(image)
    # A JPEG can be decoded at a half, a quarter or an eighth, which costs as much less.
    image.draft(None, size)
    image.load()
    drawn = _rgb(image)
    if drawn.size != size:
        drawn = drawn.resize(size, Image.Resampling.LANCZOS)
    return drawn.transpose(_UPRIGHT[orientation]) if orientation != 1 else drawn


def _rgb(image: Image.Image) -> Image.Image:
    """As RGB or RGBA, in sRGB, with nothing but pixels."""
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I"):
        # 16 bits; converted as they are they would be cut off at 255.
        image = image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    mode = "RGBA" if image.has_transparency_data else "RGB"
    if profile and image.mode in ("RGB", "RGBA", "CMYK"):
        with contextlib.suppress(ImageCms.PyCMSError, OSError):
            given = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(image, given, _SRGB, outputMode=mode)
            if converted is not None:
                image = converted
    drawn = image.convert(mode) if image.mode != mode else image.copy()
    drawn.info.clear()
    return drawn


_SRGB = ImageCms.createProfile("sRGB")


def _encoded(image: Image.Image, content_type: str | None) -> Picture:
    """The picture in its own type, or in the smaller one of those that every client shows."""
    if content_type is None or (content_type == "image/gif"):
        content_type = "image/png" if image.mode == "RGBA" else "image/jpeg"
    # Into memory Pillow encodes with Python's lock held (380 ms for a JPEG of 8 Mpx), into a file
    # without.
    with tempfile.TemporaryFile() as out:
        if content_type == "image/jpeg":
            image.convert("RGB").save(out, "JPEG", quality=85, progressive=True, optimize=True)
        elif content_type == "image/webp":
            image.save(out, "WEBP", quality=85, method=4)
        else:
            image.save(out, "PNG")
        out.seek(0)
        return Picture(out.read(), content_type, image.width, image.height)


def _blurhash(image: Image.Image) -> str:
    small = image.resize((_BLURHASH_SIDE, _BLURHASH_SIDE), Image.Resampling.BILINEAR)
    if small.mode == "RGBA":
        small = Image.alpha_composite(Image.new("RGBA", small.size, "white"), small)
    data = small.convert("RGB").tobytes()
    row = _BLURHASH_SIDE * 3
    pixels = [
        [tuple(data[at : at + 3]) for at in range(start, start + row, 3)]
        for start in range(0, len(data), row)
    ]
    text: str = blurhash.encode(pixels, _BLURHASH_COMPONENTS, _BLURHASH_COMPONENTS)
    return text


def _within_area(size: tuple[int, int], pixels: int) -> tuple[int, int]:
    return _times(size, min(1.0, math.sqrt(pixels / (size[0] * size[1]))))


def _times(size: tuple[int, int], ratio: float) -> tuple[int, int]:
    return max(1, round(size[0] * ratio)), max(1, round(size[1] * ratio))
