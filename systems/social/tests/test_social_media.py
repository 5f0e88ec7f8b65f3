"""Pictures, from the upload to the file behind its address, and what is refused."""

from __future__ import annotations

import io
import os
import resource
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from mastodon import Mastodon, MastodonAPIError
from PIL import Image
from social.testing import Social, Starter, User
from systems_common.testing import (
    EmbeddedServer,
    free_port,
    kill_tree,
    s3_server,
    spawn,
    wait_until,
)
from systems_common.testing.pictures import SECRET, animation, bomb, encoded, gradient, photo

LIMIT = 400_000
UNUSED_S = 2.0


@pytest.fixture(scope="module")
def served(starter: Starter) -> Iterator[Social]:
    """A service that takes small files and soon forgets what is not used."""
    with starter(MEDIA_BYTES_MAX=str(LIMIT), MEDIA_UNUSED_S=str(UNUSED_S)) as running:
        yield running


def client(social: Social, user: User) -> Mastodon:
    return Mastodon(access_token=user.token, api_base_url=social.process.url)


def post(user: User, body: bytes, name: str = "a.png", **fields: str) -> httpx.Response:
    return user.client.post("/api/v2/media", files={"file": (name, body, "image/png")}, data=fields)


def uploaded(user: User, body: bytes | None = None, **fields: str) -> Any:
    reply = post(user, body or encoded(gradient(60, 40), "PNG"), **fields)
    assert reply.status_code == 200, reply.text
    return reply.json()


def fetched(social: Social, url: str, method: str = "GET") -> httpx.Response:
    return social.client.request(method, url.removeprefix("https://social.example"))


def stored(social: Social) -> list[Path]:
    folder = Path(social.settings["MEDIA_STORE"])
    return sorted(one for one in folder.rglob("*") if one.is_file())


def test_a_photo_is_posted_with_mastodon_py_and_tells_nothing_else(social: Social) -> None:
    user = social.user()
    api = client(social, user)
    sent = photo(900, 600, orientation=6)
    media = api.media_post(
        io.BytesIO(sent), mime_type="image/jpeg", description="A view", focus=(0.5, -0.25)
    )
    assert (media.type, media.description) == ("image", "A view")
    assert len(media.blurhash) == 36
    original, small = media.meta.original, media.meta.small
    assert (original.width, original.height, original.size) == (600, 900, "600x900")
    assert small.width * small.height <= 640 * 360 * 1.01
    assert (media.meta.focus.x, media.meta.focus.y) == (0.5, -0.25)
    api.media_update(media.id, description="A better view")
    assert api.media(media.id).description == "A better view"

    status = api.status_post("", media_ids=[media])
    [shown] = status.media_attachments
    assert (shown.id, shown.description) == (media.id, "A better view")
    for url, size in ((shown.url, (600, 900)), (shown.preview_url, (small.width, small.height))):
        reply = fetched(social, url)
        assert reply.headers["content-type"] == "image/jpeg"
        assert Image.open(io.BytesIO(reply.content)).size == size
        assert SECRET in sent
        assert SECRET not in reply.content
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert "immutable" in reply.headers["cache-control"]
    head = fetched(social, shown.url, "HEAD")
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["content-length"]) > 1_000

    # Used once, and by its owner alone.
    for other in (user, social.user()):
        reply = other.client.post(
            "/api/v1/statuses", json={"status": "again", "media_ids": [str(media.id)]}
        )
        assert reply.status_code == 422, reply.text
    assert user.get("/accounts/verify_credentials")["statuses_count"] == 1
    user.call("GET", f"/api/v1/media/{media.id}", 404)
    user.call("DELETE", f"/api/v1/media/{media.id}", 422)


def test_an_animation_moves_on(social: Social) -> None:
    user = social.user()
    for kind in ("GIF", "WEBP"):
        media = uploaded(user, animation(kind))
        reply = fetched(social, media["url"])
        assert reply.headers["content-type"] == f"image/{kind.lower()}"
        assert getattr(Image.open(io.BytesIO(reply.content)), "n_frames", 1) == 4
        assert SECRET not in reply.content


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"a text that calls itself a picture", "expected a JPEG, PNG, GIF or WebP"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "expected a JPEG, PNG, GIF or WebP"),
        (photo(300, 200)[:4_000], "damaged"),
        (bomb(30_000, 30_000), "pixels"),
        (bomb(6_000, 6_000), "pixels"),
        (b"", "blank"),
    ],
)
def test_what_is_no_good_picture_is_refused_and_leaves_nothing(
    social: Social, body: bytes, said: str
) -> None:
    before = stored(social)
    reply = post(social.user(), body)
    assert reply.status_code == 422, reply.text
    assert said in reply.json()["error"]
    assert stored(social) == before


def test_a_form_that_is_none_is_refused(social: Social) -> None:
    user = social.user()
    broken = {"Content-Type": "multipart/form-data; boundary=x"}
    assert (
        user.client.post("/api/v2/media", headers=broken, content=b"--x\r\nno").status_code == 400
    )
    plain = {"Content-Type": "multipart/form-data"}
    assert user.client.post("/api/v2/media", headers=plain, content=b"--x--").status_code == 400
    assert user.client.post("/api/v2/media", json={"file": "text"}).status_code == 422
    assert user.client.post("/api/v2/media", data={"file": "text"}).status_code == 422
    long = post(user, encoded(gradient(9, 9), "PNG"), description="x" * 1_501)
    assert (long.status_code, "too long" in long.text) == (422, True)
    for focus in ("1", "2,0", "a,b", "nan,0"):
        assert post(user, encoded(gradient(9, 9), "PNG"), focus=focus).status_code == 422, focus


def endless(size: int) -> Iterator[bytes]:
    yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
    for _ in range(size // 65_536):
        yield b"\x89PNG\r\n\x1a\n" * 8_192


def peak_bytes(social: Social) -> int:
    """The most memory that any worker has ever had."""
    texts = [Path(f"/proc/{pid}/status").read_text() for pid in social.process.worker_pids]
    return max(int(text.partition("VmHWM:")[2].split()[0]) * 1024 for text in texts)


def test_too_large_a_file_is_never_read_whole(served: Social) -> None:
    user = served.user()
    uploaded(user)
    before = peak_bytes(served)
    said = post(user, b"\x89PNG\r\n\x1a\n" + b"x" * LIMIT)
    assert (said.status_code, str(LIMIT) in said.json()["error"]) == (413, True)
    # With a length that gives it away, and without one.
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    for more in ({}, {"Content-Length": str(100_000_000)}):
        try:
            reply = user.client.post(
                "/api/v2/media", headers={**headers, **more}, content=endless(100_000_000)
            )
        except httpx.TransportError:
            # Refused while it was still being sent.
            continue
        assert reply.status_code == 413
    assert peak_bytes(served) - before < 30_000_000
    uploaded(user)


def test_a_form_that_ends_too_early_is_no_picture(social: Social) -> None:
    user = social.user()
    before = stored(social)
    head = (
        f"POST /api/v2/media HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {user.token}\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 900000\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", social.process.port)) as connection:
        connection.sendall(head.encode() + b"".join(endless(300_000)))
        wait_until(lambda: stored(social) != before, timeout_s=10.0, what="the file to begin")
    wait_until(lambda: stored(social) == before, timeout_s=10.0, what="the half file to go")
    assert social.sql("SELECT 1 FROM media WHERE account_id = $1", user.number) == []


def test_a_full_disk_is_said_and_leaves_no_half_file(social: Social) -> None:
    """The kernel refuses the workers' writes, as it does on a full disk."""
    user = social.user()
    noise = Image.frombytes("RGB", (300, 300), os.urandom(270_000))
    body = encoded(noise, "PNG")
    before = stored(social)
    limits = {
        pid: resource.prlimit(pid, resource.RLIMIT_FSIZE) for pid in social.process.worker_pids
    }
    for pid, (_, hard) in limits.items():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        for send in (
            post(user, body),
            user.client.patch(
                "/api/v1/accounts/update_credentials",
                files={"avatar": ("a.png", body, "image/png")},
            ),
        ):
            assert send.status_code == 507, send.text
            assert "full" in send.json()["error"]
    finally:
        for pid, limit in limits.items():
            resource.prlimit(pid, resource.RLIMIT_FSIZE, limit)
    assert stored(social) == before
    uploaded(user, body)


def test_pictures_of_an_edited_status_keep_their_history(social: Social) -> None:
    user = social.user()
    one, two, three = (uploaded(user, description=text)["id"] for text in ("a", "b", "c"))
    status = user.write("first", media_ids=[two, one])
    assert [one["description"] for one in status["media_attachments"]] == ["b", "a"]
    edit = {
        "status": "second",
        "media_ids": [one, three],
        "media_attributes": [{"id": one, "description": "A", "focus": "0.1,0.2"}],
    }
    edited = user.call("PUT", f"/api/v1/statuses/{status['id']}", json=edit)
    assert [one["description"] for one in edited["media_attachments"]] == ["A", "c"]
    assert edited["media_attachments"][0]["meta"]["focus"] == {"x": 0.1, "y": 0.2}
    # As forms send it: what is not named any more is taken away.
    user.call("PUT", f"/api/v1/statuses/{status['id']}", data={"status": "third"})
    history = user.get(f"/statuses/{status['id']}/history")
    shown = [[one["description"] for one in version["media_attachments"]] for version in history]
    assert shown == [["b", "a"], ["A", "c"], []]
    for version in history:
        for media in version["media_attachments"]:
            assert fetched(social, media["url"]).status_code == 200
    other = uploaded(social.user())["id"]
    refused = {"status": "x", "media_ids": [other]}
    user.call("PUT", f"/api/v1/statuses/{status['id']}", 422, json=refused)
    assert user.get(f"/statuses/{status['id']}")["content"] == "<p>third</p>"


def test_at_most_four_and_only_those_are_listed_by_only_media(social: Social) -> None:
    user, reader = social.user(), social.user()
    media = [uploaded(user)["id"] for _ in range(5)]
    user.call("POST", "/api/v1/statuses", 422, json={"status": "", "media_ids": media})
    user.call("POST", "/api/v1/statuses", 422, json={"status": "", "media_ids": []})
    user.write("text alone #seen")
    with_media = user.write("a picture #seen", media_ids=media[:4])
    assert len(with_media["media_attachments"]) == 4
    for path in (f"/accounts/{user.id}/statuses", "/timelines/tag/seen", "/timelines/public"):
        found = reader.get(path, only_media=True)
        assert [one["id"] for one in found if one["account"]["id"] == user.id] == [
            with_media["id"]
        ], path
    reblog = reader.post(f"/statuses/{with_media['id']}/reblog")
    assert len(reblog["reblog"]["media_attachments"]) == 4


def test_the_same_key_again_uses_no_picture_twice(social: Social) -> None:
    user = social.user()
    media = uploaded(user)["id"]
    sent = {"status": "once", "media_ids": [media]}
    one, two = (
        user.call("POST", "/api/v1/statuses", json=sent, headers={"Idempotency-Key": "k"})
        for _ in range(2)
    )
    assert one["id"] == two["id"]
    assert len(two["media_attachments"]) == 1


def test_what_nothing_shows_is_cleared_away(served: Social) -> None:
    user = served.user()
    wait_until(lambda: stored(served) == [], timeout_s=15.0, what="earlier files to go")
    unused, deleted, kept, redrafted = (uploaded(user) for _ in range(4))
    status = user.write("kept", media_ids=[kept["id"]])
    gone = user.write("to be mended", media_ids=[redrafted["id"]])
    user.call("DELETE", f"/api/v1/media/{deleted['id']}")
    time.sleep(UNUSED_S / 2)
    # What was deleted with its status can be posted again for a while.
    text = user.call("DELETE", f"/api/v1/statuses/{gone['id']}")["text"]
    again = user.write(text, media_ids=[redrafted["id"]])
    wait_until(lambda: len(stored(served)) == 4, timeout_s=15.0, what="unused files to go")
    assert fetched(served, unused["url"]).status_code == 404
    for shown in (status, again):
        [media] = user.get(f"/statuses/{shown['id']}")["media_attachments"]
        assert fetched(served, media["url"]).status_code == 200
        user.call("DELETE", f"/api/v1/statuses/{shown['id']}")
    served.sql("DELETE FROM media")
    wait_until(lambda: stored(served) == [], timeout_s=15.0, what="all files to go")


def test_a_killed_service_leaves_no_row_without_files_and_no_file_without_a_name(
    social: Social,
) -> None:
    users = [social.user() for _ in range(4)]
    body = encoded(gradient(200, 200), "PNG")
    over = threading.Event()

    def work(user: User) -> list[str]:
        done = []
        while not over.is_set():
            try:
                reply = post(user, body)
            except httpx.TransportError:
                continue
            if reply.status_code == 200:
                done.append(reply.json()["url"])
        return done

    with ThreadPoolExecutor(4) as threads:
        running = [threads.submit(work, user) for user in users]
        try:
            for _ in range(2):
                time.sleep(0.4)
                social.process.kill()
                social.process.start()
        finally:
            over.set()
        acknowledged = [url for one in running for url in one.result(20)]
    assert acknowledged
    for url in acknowledged:
        assert fetched(social, url).status_code == 200
    named = {name for row in social.sql("SELECT name, preview_name FROM media") for name in row}
    doomed = {row[0] for row in social.sql("SELECT name FROM doomed_blob")}
    pictures = social.sql("SELECT avatar, header FROM account")
    named |= {name for row in pictures for name in row if name is not None}
    files = {one.name for one in stored(social) if one.parent.name != "incoming"}
    assert named <= files
    assert files - named <= doomed


def test_an_account_has_pictures(served: Social) -> None:
    user = served.user()
    api = client(served, user)
    assert api.me().avatar.endswith("/assets/avatar.svg")
    me = api.account_update_credentials(
        display_name="Ann",
        avatar=photo(900, 600, orientation=6),
        avatar_mime_type="image/jpeg",
        header=encoded(gradient(800, 800), "PNG"),
        header_mime_type="image/png",
    )
    assert me.display_name == "Ann"
    sizes = {}
    for name, url in (("avatar", me.avatar), ("header", me.header)):
        body = fetched(served, url).content
        assert SECRET not in body
        sizes[name] = Image.open(io.BytesIO(body)).size
    assert sizes == {"avatar": (400, 400), "header": (800, 267)}
    assert served.client.get(f"/api/v1/accounts/{user.id}").json()["avatar"] == me.avatar
    with pytest.raises(MastodonAPIError, match="Avatar: expected a JPEG"):
        api.account_update_credentials(avatar=b"no picture", avatar_mime_type="image/png")
    user.call("DELETE", "/api/v1/profile/avatar")
    left = user.call("DELETE", "/api/v1/profile/header")
    assert left["header"].endswith("/assets/header.svg")
    wait_until(
        lambda: fetched(served, me.avatar).status_code == 404,
        timeout_s=10.0,
        what="the files of pictures that nobody has",
    )


def test_names_that_are_none_lead_nowhere(social: Social) -> None:
    for name in ("..%2f..%2fetc%2fpasswd", "nothing-like-it.png", "a.png", "x", "incoming"):
        assert social.client.get(f"/media/{name}").status_code == 404, name


@pytest.fixture(scope="module")
def bucket() -> Iterator[EmbeddedServer]:
    with s3_server() as server:
        yield server


def test_pictures_in_a_bucket_and_a_bucket_that_is_not_there(
    starter: Starter, bucket: EmbeddedServer
) -> None:
    with starter(MEDIA_STORE=bucket.url) as social:
        user = social.user()
        media = uploaded(user, encoded(gradient(700, 700), "PNG"))
        reply = fetched(social, media["url"])
        assert Image.open(io.BytesIO(reply.content)).size == (700, 700)
        assert social.client.get("/health").json()["checks"]["media"] == "pass"
        bucket.kill()
        assert fetched(social, media["url"]).status_code == 503
        failed = post(user, encoded(gradient(30, 30), "PNG"))
        assert (failed.status_code, failed.headers["retry-after"]) == (503, "1")
        health = social.client.get("/health")
        assert health.status_code == 200
        assert health.json()["checks"]["media"] != "pass"


def test_nginx_reads_the_files_itself(starter: Starter, tmp_path: Path) -> None:
    """The example of deploy/, on other ports and with another folder."""
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if program is None:
        pytest.skip("nginx is not installed here")
    example = (Path(__file__).parents[1] / "deploy" / "nginx.conf").read_text()
    with starter(MEDIA_ACCEL="/pictures") as social:
        port = free_port()
        for before, after in (
            ("127.0.0.1:8000", f"127.0.0.1:{social.process.port}"),
            ("listen 80;", f"listen 127.0.0.1:{port};"),
            ("    listen [::]:80;\n", ""),
            ("/var/lib/social/media", social.settings["MEDIA_STORE"]),
        ):
            assert before in example
            example = example.replace(before, after)
        folders = "".join(
            f"{kind}_temp_path {tmp_path}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        whole = tmp_path / "nginx.conf"
        whole.write_text(
            f"daemon off;\npid {tmp_path}/pid;\nerror_log {tmp_path}/error.log;\nevents {{}}\n"
            f"http {{\naccess_log off;\n{folders}{example}\n}}\n"
        )
        argv = [program, "-p", str(tmp_path), "-c", str(whole), "-e", str(tmp_path / "error.log")]
        nginx = spawn(argv, log=tmp_path / "log", cwd=tmp_path)
        try:
            user = social.user()
            url = f"http://127.0.0.1:{port}"
            front = httpx.Client(base_url=url, headers=user.client.headers, timeout=20.0)
            wait_until(lambda: _answers(front), timeout_s=10.0, what="nginx to answer")
            body = encoded(gradient(700, 700), "PNG")
            media = front.post("/api/v2/media", files={"file": ("a.png", body, "image/png")}).json()
            path = media["url"].removeprefix("https://social.example")
            reply = front.get(path)
            assert Image.open(io.BytesIO(reply.content)).size == (700, 700)
            assert reply.headers["content-type"] == "image/png"
            assert "immutable" in reply.headers["cache-control"]
            assert reply.headers["content-security-policy"] == "default-src 'none'; sandbox"
            assert reply.headers["x-content-type-options"] == "nosniff"
            # The service itself sent nothing of it, and nobody else gets there.
            assert social.client.get(path).content == b""
            name = path.rpartition("/")[2]
            assert front.get(f"/pictures/{name[:2]}/{name}").status_code == 404
        finally:
            kill_tree(nginx)


def _answers(front: httpx.Client) -> bool:
    try:
        return front.get("/api/v1/instance").status_code == 200
    except httpx.TransportError:
        return False
