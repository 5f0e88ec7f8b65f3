"""Files and thumbnails: with matrix-nio as clients use them, and what is refused."""

from __future__ import annotations

import asyncio
import io
import os
import resource
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import nio
import pytest
from messaging.testing import SERVER_NAME, Messaging, User
from PIL import Image
from systems_common.testing import wait_until
from systems_common.testing.pictures import SECRET, animation, bomb, encoded, gradient, photo

V1 = "/_matrix/client/v1/media"
V3 = "/_matrix/media/v3"
LIMIT = 500_000


@pytest.fixture(scope="module")
def served(starter: Any) -> Iterator[Messaging]:
    """A service that takes small files, and gives none to who is not signed in."""
    with starter(MEDIA_BYTES_MAX=str(LIMIT), MEDIA_LEGACY="off") as running:
        yield running


def post(user: User, body: Any, kind: str = "image/png", **params: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {user.token}", "Content-Type": kind}
    return user.client.post(f"{V3}/upload", content=body, headers=headers, params=params)


def uploaded(user: User, body: bytes, kind: str = "image/png", **params: str) -> str:
    """The server's name and the id, as paths have them."""
    reply = post(user, body, kind, **params)
    assert reply.status_code == 200, reply.text
    uri: str = reply.json()["content_uri"]
    assert uri.startswith(f"mxc://{SERVER_NAME}/")
    return uri.removeprefix("mxc://")


def get(user: User, path: str, method: str = "GET", **query: Any) -> httpx.Response:
    """A request below the path of files, as a signed-in device."""
    if "shape" in query:
        query["method"] = query.pop("shape")
    headers = {"Authorization": f"Bearer {user.token}"}
    return user.client.request(method, f"{V1}/{path}", params=query, headers=headers)


def code_of(reply: httpx.Response) -> tuple[int, str]:
    return reply.status_code, reply.json()["errcode"]


def stored(messaging: Messaging) -> list[Path]:
    return sorted(one for one in messaging.media.rglob("*") if one.is_file())


def test_nio_uploads_and_gets_back_what_it_sent(messaging: Messaging) -> None:
    sent = photo(900, 600)

    async def talk() -> None:
        user = messaging.user()
        client = nio.AsyncClient(messaging.process.url, user.user_id)
        client.restore_login(user.user_id, user.device_id, user.token)
        try:
            answer, _ = await client.upload(
                io.BytesIO(sent), "image/jpeg", "Grüße.jpg", filesize=len(sent)
            )
            assert isinstance(answer, nio.UploadResponse), answer
            file = await client.download(answer.content_uri)
            assert isinstance(file, nio.MemoryDownloadResponse), file
            # Nothing is changed: it may be encrypted.
            assert (file.body, file.content_type) == (sent, "image/jpeg")
            assert file.filename == "Grüße.jpg"
            server, media_id = answer.content_uri.removeprefix("mxc://").split("/")
            for method, size in (
                (nio.ResizingMethod.scale, (320, 213)),
                (nio.ResizingMethod.crop, (320, 240)),
            ):
                small = await client.thumbnail(server, media_id, 300, 200, method)
                assert isinstance(small, nio.ThumbnailResponse), small
                assert Image.open(io.BytesIO(small.body)).size == size
                assert SECRET not in small.body
            limits = await client.content_repository_config()
            assert limits.upload_size == 50 * 1024 * 1024
        finally:
            await client.close()

    asyncio.run(talk())


@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        ("image/png", "inline"),
        ("text/plain; charset=utf-8", "inline"),
        ("text/html", "attachment"),
        ("image/svg+xml", "attachment"),
        ("application/javascript", "attachment"),
        ("", "attachment"),
    ],
)
def test_only_what_is_harmless_is_shown_by_a_browser(
    messaging: Messaging, kind: str, shown: str
) -> None:
    user = messaging.user()
    path = uploaded(user, b"<script>alert(1)</script>", kind, filename='a"b\r\nc.html')
    for reply in (
        get(user, f"download/{path}"),
        messaging.client.get(f"{V3}/download/{path}"),
    ):
        assert reply.content == b"<script>alert(1)</script>"
        assert reply.headers["content-type"] == (kind or "application/octet-stream")
        assert reply.headers["content-disposition"] == (
            f"{shown}; filename*=utf-8''a%22b%0D%0Ac.html"
        )
        assert reply.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["cross-origin-resource-policy"] == "cross-origin"
    named = get(user, f"download/{path}/other.txt")
    assert named.headers["content-disposition"] == f"{shown}; filename*=utf-8''other.txt"
    head = get(user, f"download/{path}", "HEAD")
    assert (head.status_code, head.headers["content-length"], head.content) == (200, "25", b"")


def test_who_is_not_signed_in_gets_what_the_setting_says(served: Messaging) -> None:
    user = served.user()
    path = uploaded(user, encoded(gradient(40, 40), "PNG"))
    size = {"width": 9, "height": 9}
    for name in (f"download/{path}", f"thumbnail/{path}", "config"):
        assert get(user, name, **size).status_code == 200, name
        unknown = served.client.get(f"{V1}/{name}", params=size)
        assert code_of(unknown) == (401, "M_MISSING_TOKEN")
        expected = (401, "M_MISSING_TOKEN") if name == "config" else (404, "M_NOT_FOUND")
        assert code_of(served.client.get(f"{V3}/{name}", params=size)) == expected, name
    assert code_of(served.client.post(f"{V3}/upload", content=b"x")) == (401, "M_MISSING_TOKEN")


def test_what_is_not_there_or_elsewhere_is_not_found(messaging: Messaging) -> None:
    user = messaging.user()
    path = uploaded(user, b"x")
    media_id = path.partition("/")[2]
    for other in (f"{SERVER_NAME}/none", f"elsewhere.example/{media_id}", f"{SERVER_NAME}/..%2fx"):
        for name in (f"download/{other}", f"thumbnail/{other}"):
            assert code_of(get(user, name, width=9, height=9)) == (404, "M_NOT_FOUND"), name


@pytest.mark.parametrize(
    ("width", "height", "crop", "size"),
    [
        (1, 1, False, (32, 16)),
        (96, 96, True, (96, 96)),
        (97, 10, False, (320, 160)),
        (5_000, 5_000, False, (600, 300)),
        (5_000, 5_000, True, (400, 300)),
    ],
)
def test_a_thumbnail_is_the_next_larger_there_is_and_never_grows(
    messaging: Messaging, width: int, height: int, crop: bool, size: tuple[int, int]
) -> None:
    user = messaging.user()
    path = uploaded(user, photo(300, 600, orientation=6), "image/jpeg")
    params = {"width": width, "height": height, "shape": "crop" if crop else "scale"}
    before = stored(messaging)
    found = [get(user, f"thumbnail/{path}", **params) for _ in range(2)]
    assert found[0].content == found[1].content
    assert Image.open(io.BytesIO(found[0].content)).size == size
    assert len(stored(messaging)) == len(before) + 1
    # It need not survive a crash: without its file it is made again.
    for file in set(stored(messaging)) - set(before):
        file.unlink()
    assert get(user, f"thumbnail/{path}", **params).content == found[0].content


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"a text", (400, "M_UNKNOWN")),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", (400, "M_UNKNOWN")),
        (photo(300, 200)[:4_000], (400, "M_UNKNOWN")),
        (bomb(30_000, 30_000), (413, "M_TOO_LARGE")),
        (b"", (400, "M_UNKNOWN")),
    ],
)
def test_what_has_no_thumbnail_says_so(
    messaging: Messaging, body: bytes, code: tuple[int, str]
) -> None:
    user = messaging.user()
    path = uploaded(user, body)
    asked = f"thumbnail/{path}"
    assert code_of(get(user, asked, width=32, height=32)) == code
    assert code_of(get(user, asked, width=32)) == (400, "M_MISSING_PARAM")
    assert code_of(get(user, asked, width="x", height=3)) == (400, "M_INVALID_PARAM")
    wrong = get(user, asked, width=32, height=32, shape="stretch")
    assert code_of(wrong) == (400, "M_INVALID_PARAM")
    assert get(user, f"download/{path}").content == body


def test_an_animation_has_a_thumbnail_that_stands_still(messaging: Messaging) -> None:
    user = messaging.user()
    for kind in ("GIF", "WEBP"):
        path = uploaded(user, animation(kind))
        small = get(user, f"thumbnail/{path}", width=32, height=32).content
        assert getattr(Image.open(io.BytesIO(small)), "n_frames", 1) == 1


def test_a_file_can_be_announced_and_waited_for(messaging: Messaging) -> None:
    user, other = messaging.user(), messaging.user()
    made = user.ok("POST", "/_matrix/media/v1/create")
    assert made["unused_expires_at"] > time.time() * 1000
    path = made["content_uri"].removeprefix("mxc://")
    early = get(other, f"download/{path}", timeout_ms=0)
    assert code_of(early) == (504, "M_NOT_YET_UPLOADED")

    def put(who: User) -> httpx.Response:
        headers = {"Authorization": f"Bearer {who.token}", "Content-Type": "text/plain"}
        return who.client.put(f"{V3}/upload/{path}", content=b"late", headers=headers)

    assert code_of(put(other)) == (403, "M_FORBIDDEN")
    heard: list[httpx.Response] = []
    waiting = threading.Thread(target=lambda: heard.append(get(other, f"download/{path}")))
    waiting.start()
    assert put(user).json() == {}
    waiting.join(20)
    assert heard[0].content == b"late"
    assert code_of(put(user)) == (409, "M_CANNOT_OVERWRITE_MEDIA")
    path = f"{SERVER_NAME}/unknown"
    assert code_of(put(user)) == (404, "M_NOT_FOUND")
    codes = [user.call("POST", "/_matrix/media/v1/create").status_code for _ in range(51)]
    assert codes == [*(200,) * 50, 429]


def endless(size: int) -> Iterator[bytes]:
    for _ in range(size // 65_536):
        yield b"\x89PNG\r\n\x1a\n" * 8_192


def peak_bytes(messaging: Messaging) -> int:
    """The most memory that any worker has ever had."""
    texts = [Path(f"/proc/{pid}/status").read_text() for pid in messaging.process.worker_pids]
    return max(int(text.partition("VmHWM:")[2].split()[0]) * 1024 for text in texts)


def test_too_large_a_file_is_never_read_whole(served: Messaging) -> None:
    user = served.user()
    uploaded(user, b"x" * LIMIT)
    files, before = stored(served), peak_bytes(served)
    assert code_of(post(user, b"x" * (LIMIT + 1))) == (413, "M_TOO_LARGE")
    try:
        reply = post(user, endless(100_000_000))
    except httpx.TransportError:
        pass  # Refused while it was still being sent.
    else:
        assert code_of(reply) == (413, "M_TOO_LARGE")
    assert peak_bytes(served) - before < 30_000_000
    assert stored(served) == files


@pytest.mark.parametrize("framing", ["Content-Length: 400000", "Transfer-Encoding: chunked"])
def test_a_body_that_ends_too_early_is_no_file(served: Messaging, framing: str) -> None:
    user = served.user()
    before = stored(served)
    part = b"x" * 300_000
    if "chunked" in framing:
        part = b"%x\r\n%s\r\n" % (len(part), part)
    with socket.create_connection(("127.0.0.1", served.process.port)) as connection:
        connection.sendall(
            f"POST {V3}/upload HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {user.token}\r\n"
            f"{framing}\r\n\r\n".encode()
            + part
        )
        wait_until(lambda: stored(served) != before, timeout_s=10.0, what="the file to begin")
    wait_until(lambda: stored(served) == before, timeout_s=10.0, what="the half file to go")
    found = served.sql(
        "SELECT 1 FROM media JOIN account ON no = user_no WHERE user_id = $1", user.user_id
    )
    assert found == []


def test_a_full_disk_is_said_and_leaves_no_half_file(messaging: Messaging) -> None:
    """The kernel refuses the workers' writes, as it does on a full disk."""
    user = messaging.user()
    body = os.urandom(400_000)
    before = stored(messaging)
    limits = {
        pid: resource.prlimit(pid, resource.RLIMIT_FSIZE) for pid in messaging.process.worker_pids
    }
    for pid, (_, hard) in limits.items():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        failed = post(user, body)
    finally:
        for pid, limit in limits.items():
            resource.prlimit(pid, resource.RLIMIT_FSIZE, limit)
    assert code_of(failed) == (507, "M_UNKNOWN")
    assert "full" in failed.json()["error"]
    assert stored(messaging) == before
    assert get(user, f"download/{uploaded(user, body)}").content == body
