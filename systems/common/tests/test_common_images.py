"""Pictures as they arrive: what is taken, what is refused, and what nobody gets to know."""

from __future__ import annotations

import asyncio
import io
import random
import threading

import pytest
from PIL import Image
from systems_common.animations import BrokenAnimationError, stripped
from systems_common.batching import OverloadedError
from systems_common.images import Drawing, ImageRefusedError, cropped, prepared, scaled, sniffed
from systems_common.testing.pictures import (
    SECRET,
    animation,
    bomb,
    encoded,
    gradient,
    photo,
)

PIXELS_MAX = 4_000_000


def opened(body: bytes) -> Image.Image:
    return Image.open(io.BytesIO(body))


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (photo(8, 8), "image/jpeg"),
        (encoded(gradient(8, 8), "PNG"), "image/png"),
        (animation("GIF"), "image/gif"),
        (animation("WEBP"), "image/webp"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", None),
        (b"RIFF\0\0\0\0WAVE", None),
        (b"GIF", None),
        (b"", None),
    ],
)
def test_the_type_is_what_the_bytes_say(body: bytes, found: str | None) -> None:
    assert sniffed(body[:12]) == found


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_is_turned_upright_and_keeps_its_secret(orientation: int) -> None:
    upright = gradient(60, 40)
    turn = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }.get(orientation)
    sent = photo(
        0, 0, orientation=orientation, of=upright if turn is None else upright.transpose(turn)
    )
    assert SECRET in sent
    found = prepared(io.BytesIO(sent), pixels_max=PIXELS_MAX)
    assert (found.original.width, found.original.height) == (60, 40)
    assert SECRET not in found.original.body + found.preview.body
    image = opened(found.original.body)
    assert not image.getexif()
    assert not image.info.get("comment")
    for at in ((2, 2), (57, 2), (2, 37), (57, 37)):
        pairs = zip(image.getpixel(at), upright.getpixel(at), strict=True)
        assert all(abs(one - other) < 25 for one, other in pairs), (orientation, at)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_an_animation_keeps_its_frames_and_nothing_else(kind: str) -> None:
    sent = animation(kind) + b"<script>behind the end</script>"
    found = prepared(io.BytesIO(sent), pixels_max=PIXELS_MAX)
    assert found.frames == 4
    assert SECRET not in found.original.body
    assert b"<script>" not in found.original.body
    before, after = opened(sent), opened(found.original.body)
    for number in range(4):
        before.seek(number)
        after.seek(number)
        assert before.convert("RGB").tobytes() == after.convert("RGB").tobytes()
        assert before.info["duration"] == after.info["duration"]
    assert after.info["loop"] == 0
    assert found.preview.content_type in ("image/jpeg", "image/png")


@pytest.mark.parametrize(
    ("kind", "mode", "content_type"),
    [
        ("PNG", "RGBA", "image/png"),
        ("PNG", "P", "image/png"),
        ("PNG", "L", "image/png"),
        ("PNG", "I;16", "image/png"),
        ("JPEG", "CMYK", "image/jpeg"),
        ("JPEG", "L", "image/jpeg"),
        ("WEBP", "RGBA", "image/webp"),
        ("GIF", "P", "image/jpeg"),
    ],
)
def test_every_kind_of_pixel_is_taken(kind: str, mode: str, content_type: str) -> None:
    image = gradient(50, 30).convert("L")
    if mode == "I;16":
        image = image.convert("I").point(lambda value: value * 256)
    sent = encoded(image.convert(mode), kind)
    found = prepared(io.BytesIO(sent), pixels_max=PIXELS_MAX)
    assert found.original.content_type == content_type
    assert opened(found.original.body).size == (50, 30)
    # As bright as it was.
    before = gradient(50, 30).convert("L").resize((1, 1)).getpixel((0, 0))
    after = opened(found.original.body).convert("L").resize((1, 1)).getpixel((0, 0))
    assert abs(before - after) < 12


def test_a_large_picture_is_kept_smaller() -> None:
    found = prepared(io.BytesIO(photo(5_000, 2_500)), pixels_max=20_000_000)
    assert found.original.width * found.original.height <= 3840 * 2160 * 1.001
    assert found.original.width / found.original.height == pytest.approx(2.0, abs=0.01)
    assert found.preview.width * found.preview.height <= 640 * 360 * 1.01
    assert len(found.blurhash) == 36


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (bomb(30_000, 30_000), "pixels"),
        (bomb(3_000, 3_000), "pixels"),
        (animation("GIF", frames=200, size=200), "pixels"),
        (bomb(500, 500), "broken"),
        (photo(300, 200)[:4_000], "broken"),
        (b"a text that calls itself a picture", "type"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>", "type"),
        (b"", "type"),
        (b"\xff\xd8\xff", "broken"),
        (b"GIF89a", "broken"),
        (b"RIFF\0\0\0\0WEBP", "broken"),
    ],
)
def test_what_is_no_good_picture_is_refused(body: bytes, why: str) -> None:
    for work in (prepared, _scaled, _cropped):
        with pytest.raises(ImageRefusedError) as refused:
            work(io.BytesIO(body), pixels_max=PIXELS_MAX)
        assert refused.value.why == why


@pytest.mark.parametrize(("kind", "less"), [("GIF", 40), ("PNG", 90), ("WEBP", 20)])
def test_an_animation_that_ends_too_early_is_refused(kind: str, less: int) -> None:
    with pytest.raises(ImageRefusedError) as refused:
        prepared(io.BytesIO(animation(kind)[:-less]), pixels_max=PIXELS_MAX)
    assert refused.value.why == "broken"


def _scaled(file: io.BytesIO, *, pixels_max: int) -> object:
    return scaled(file, 2_000, 2_000, pixels_max=pixels_max)


def _cropped(file: io.BytesIO, *, pixels_max: int) -> object:
    return cropped(file, 2_000, 2_000, pixels_max=pixels_max)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "JPEG"])
def test_whatever_is_sent_is_taken_or_refused(kind: str) -> None:
    """Damaged at random, a file leads to a picture or to a refusal, never to anything else."""
    whole = photo(64, 48, orientation=6) if kind == "JPEG" else animation(kind)
    chance = random.Random(7)
    for _ in range(150):
        body = bytearray(whole[: chance.randrange(12, len(whole))])
        for _ in range(chance.randrange(6)):
            body[chance.randrange(8, len(body))] = chance.randrange(256)
        try:
            found = prepared(io.BytesIO(bytes(body)), pixels_max=100_000)
        except ImageRefusedError:
            continue
        assert SECRET not in found.original.body


@pytest.mark.parametrize("kind", ["gif", "webp", "png"])
def test_blocks_that_do_not_fit_together_are_an_error(kind: str) -> None:
    whole = animation(kind.upper())
    for end in range(12, len(whole) - 1, 7):
        try:
            body = stripped(whole[:end], f"image/{kind}")
        except BrokenAnimationError:
            continue
        assert len(body) <= end + 1


@pytest.mark.parametrize(
    ("size", "box", "fits", "fills"),
    [
        ((400, 200), (100, 100), (100, 50), (100, 100)),
        ((200, 400), (100, 100), (50, 100), (100, 100)),
        ((40, 20), (100, 100), (40, 20), (20, 20)),
        ((150, 50), (100, 100), (100, 33), (50, 50)),
        ((400, 200), (320, 240), (320, 160), (267, 200)),
    ],
)
def test_a_thumbnail_fits_or_fills_and_never_grows(
    size: tuple[int, int], box: tuple[int, int], fits: tuple[int, int], fills: tuple[int, int]
) -> None:
    for orientation in (1, 6):
        sent = io.BytesIO(
            photo(*(size if orientation == 1 else size[::-1]), orientation=orientation)
        )
        for work, expected in ((scaled, fits), (cropped, fills)):
            found = work(sent, *box, pixels_max=PIXELS_MAX)
            assert opened(found.body).size == (found.width, found.height) == expected
            assert SECRET not in found.body


def test_few_pictures_are_drawn_at_once_and_not_all_may_wait() -> None:
    gate, begun = threading.Event(), threading.Semaphore(0)

    def work(number: int) -> int:
        begun.release()
        assert gate.wait(10)
        return number

    async def run() -> None:
        drawing = Drawing(at_once=2, waiting_max=3)
        tasks = [asyncio.create_task(drawing.do(work, n)) for n in range(6)]
        refused = await asyncio.wait_for(asyncio.gather(tasks[5], return_exceptions=True), 10)
        assert isinstance(refused[0], OverloadedError)
        for _ in range(2):
            assert await asyncio.to_thread(begun.acquire, timeout=10)
        assert not begun.acquire(blocking=False)
        gate.set()
        assert await asyncio.gather(*tasks[:5]) == [0, 1, 2, 3, 4]
        # And then there is room again.
        assert await drawing.do(work, 7) == 7

    asyncio.run(run())
