"""Streams: what happens arrives at once, and only at those who may see it."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from mastodon import Mastodon, StreamListener
from social.live.connections import WAITING_BYTES_MAX
from social.testing import Social, Starter, User
from systems_common.testing import granian_service, wait_until
from systems_common.testing.pictures import encoded, gradient
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.protocol import State
from websockets.sync.client import ClientConnection, connect

STREAMING = "/api/v1/streaming"


class Socket:
    """A WebSocket with one stream, or several."""

    def __init__(
        self,
        url: str,
        user: User,
        *more: dict[str, str],
        sock: socket.socket | None = None,
        **stream: str,
    ) -> None:
        query = urlencode({"access_token": user.token, **stream})
        self.ws: ClientConnection = connect(
            f"{url.replace('http', 'ws', 1)}{STREAMING}?{query}",
            max_size=None,
            sock=sock,
            legacy=True,
        )
        for one in more:
            self.say(type="subscribe", **one)

    def say(self, **command: str) -> None:
        """Send a command, and wait until it is obeyed."""
        self.ws.send(json.dumps(command))
        self.ws.send("{}")
        assert self.next() == {"error": "Unknown stream type", "status": 400}

    def next(self) -> Any:
        return json.loads(self.ws.recv(timeout=10))

    def until(self, identifier: str) -> list[tuple[str, str, str]]:
        """Stream, event and id of all that comes, up to the update with this id."""
        found = []
        while True:
            message = self.next()
            payload = json.loads(message["payload"])
            about = str(payload) if message["event"] == "delete" else payload["id"]
            found.append((":".join(message["stream"]), message["event"], about))
            if (message["event"], about) == ("update", identifier):
                return found

    def __enter__(self) -> Socket:
        return self

    def __exit__(self, *_: object) -> None:
        self.ws.close()


class Heard(StreamListener):
    """Keeps what Mastodon.py makes of a stream."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []
        self.lost = threading.Event()

    def on_any_event(self, name: str, data: Any = None) -> None:
        self.events.append((name, data))

    def on_abort(self, err: Exception) -> None:
        self.lost.set()

    def wait_for(self, name: str, identifier: Any) -> Any:
        def found() -> list[Any]:
            return [
                data
                for event, data in list(self.events)
                if event == name and str(getattr(data, "id", data)) == str(identifier)
            ]

        wait_until(lambda: bool(found()), timeout_s=10.0, what=f"{name} of {identifier}")
        return found()[0]


@contextlib.contextmanager
def heard(social: Social, user: User, *streams: str) -> Iterator[list[Heard]]:
    """Streams of Mastodon.py, ended by revoking the token: its own close waits for a heartbeat."""
    api = Mastodon(access_token=user.token, api_base_url=social.process.url)
    assert api.stream_healthy()
    listeners = [Heard() for _ in streams]
    handles = [
        getattr(api, f"stream_{stream}")(listener, run_async=True)
        for stream, listener in zip(streams, listeners, strict=True)
    ]
    try:
        yield listeners
    finally:
        social.sql("DELETE FROM token WHERE account_id = $1", user.number)
        for handle in handles:
            handle.join(10.0)
            assert not handle.is_alive()


def test_mastodon_py_hears_of_everything(social: Social) -> None:
    ann, bob, carol = (social.user() for _ in range(3))
    bob.post(f"/accounts/{ann.id}/follow")
    with heard(social, bob, "user", "user_notifications") as (user, notices):
        post = ann.write("Hello")["id"]
        assert user.wait_for("update", post).account.username == ann.name
        assert bob.home() == [post]
        ann.call("PUT", f"/api/v1/statuses/{post}", json={"status": "Hello, again"})
        assert user.wait_for("status.update", post).content == "<p>Hello, again</p>"
        ann.post(f"/statuses/{bob.write('mine')['id']}/favourite")
        ann.post(f"/accounts/{bob.id}/follow")
        ann.write(f"for @{bob.name}")
        for listener in (user, notices):
            wait_until(
                lambda listener=listener: (
                    [data.type for name, data in listener.events if name == "notification"]
                    == ["favourite", "follow", "mention"]
                ),
                timeout_s=10.0,
                what="three notifications",
            )
        assert {name for name, _ in notices.events} == {"notification"}
        # Whom one begins to follow is heard from then on, and whom one does not follow is not.
        bob.post(f"/accounts/{carol.id}/follow")
        heard_of: set[str] = set()

        def hears_of_carol() -> bool:
            heard_of.add(carol.write("now you hear me")["id"])
            return not heard_of.isdisjoint(updates(user))

        wait_until(hears_of_carol, timeout_s=10.0, what="a status of who is followed since")
        bob.post(f"/accounts/{carol.id}/unfollow")
        last = carol.write("and now you do not")["id"]
        shared = ann.post(f"/statuses/{last}/reblog")["id"]
        assert user.wait_for("update", shared).reblog.content == "<p>and now you do not</p>"
        assert last not in updates(user)
        # With what it shares the share is gone as well.
        carol.call("DELETE", f"/api/v1/statuses/{last}")
        user.wait_for("delete", shared)


def updates(listener: Heard) -> list[str]:
    return [str(data.id) for name, data in list(listener.events) if name == "update"]


def test_a_stream_has_what_its_timeline_has(social: Social) -> None:
    """Every stream of a viewer at once, on one connection, and the same lists read afterwards."""
    viewer, friend, muted, blocking, blocked, stranger = (social.user() for _ in range(6))
    for other in (friend, muted):
        viewer.post(f"/accounts/{other.id}/follow")
    made = viewer.post("/lists", {"title": "Friends"})["id"]
    viewer.post(f"/lists/{made}/accounts", {"account_ids": [friend.id]})
    streams = [
        {"stream": "public"},
        {"stream": "public:local"},
        {"stream": "public:remote"},
        {"stream": "hashtag", "tag": "Events"},
        {"stream": "list", "list": made},
        {"stream": "direct"},
    ]
    with Socket(social.process.url, viewer, *streams, stream="user") as ws:
        # These come after the streams were opened, and count all the same.
        viewer.post(f"/accounts/{muted.id}/mute")
        viewer.post(f"/accounts/{blocked.id}/block")
        blocking.post(f"/accounts/{viewer.id}/block")
        written = {}
        for who, author in {
            "friend": friend,
            "muted": muted,
            "blocking": blocking,
            "blocked": blocked,
            "stranger": stranger,
        }.items():
            for visibility in ("public", "unlisted", "private", "direct"):
                status = author.write(f"{who} #events", visibility=visibility)
                written[status["id"]] = (who, visibility)
        hello = stranger.write("hello")["id"]
        written[friend.write("to a stranger", in_reply_to_id=hello)["id"]] = ("friend", "reply")
        friend.post(f"/statuses/{hello}/reblog")
        last = friend.write("the last one #events")["id"]
        found: dict[str, list[tuple[str, str]]] = {}
        for stream, event, about in ws.until(last):
            if event == "update" and about in written:
                found.setdefault(stream, []).append(written[about])
    public = [("friend", "public"), ("stranger", "public")]
    home = [("friend", "public"), ("friend", "unlisted"), ("friend", "private")]
    assert found == {
        "user": home,
        f"list:{made}": home,
        "public": public,
        "public:local": public,
        "hashtag:events": public,
    }
    for path, stream in {
        "home": "user",
        f"list/{made}": f"list:{made}",
        "public": "public",
        "tag/events": "hashtag:events",
    }.items():
        listed = viewer.get(f"/timelines/{path}", limit=40)
        read = [written[one["id"]] for one in listed[::-1] if one["id"] in written]
        assert read == found[stream], path


def test_streams_are_opened_and_closed_by_messages(social: Social) -> None:
    ann, bob = social.user(), social.user()
    with Socket(social.process.url, bob) as ws:
        ws.say(type="subscribe", stream="hashtag", tag="one")
        ws.say(type="subscribe", stream="hashtag", tag="one")
        ws.say(type="subscribe", stream="hashtag:local", tag="two")
        first = ann.write("#one")["id"]
        assert ws.until(first) == [("hashtag:one", "update", first)]
        ws.say(type="unsubscribe", stream="hashtag", tag="one")
        ann.write("#one again")
        second = ann.write("#one #two")["id"]
        assert ws.until(second) == [("hashtag:local:two", "update", second)]
        ws.ws.send("no JSON")
        assert ws.next()["status"] == 400
        for command, status in [
            ({"type": "subscribe", "stream": "hashtag"}, 400),
            ({"type": "sing", "stream": "user"}, 400),
            ({"type": "subscribe", "stream": "list", "list": "1"}, 404),
        ]:
            ws.ws.send(json.dumps(command))
            assert ws.next()["status"] == status, command
        ws.ws.send("x" * 5_000)
        with pytest.raises(ConnectionClosed) as closed:
            ws.next()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009


def test_a_token_is_needed_and_a_revoked_one_ends_its_streams(social: Social) -> None:
    url = f"ws://127.0.0.1:{social.process.port}{STREAMING}"
    user = social.user()
    reader = social.token(user.number, "read:notifications")
    app = social.token(None, "read")
    for query, status in [
        ("stream=user", 401),
        ("stream=user&access_token=none", 401),
        (f"stream=user&access_token={app}", 422),
        (f"stream=user&access_token={reader}", 403),
        (f"stream=nothing&access_token={reader}", 400),
    ]:
        with pytest.raises(InvalidStatus) as refused:
            connect(f"{url}?{query}", legacy=True)
        assert refused.value.response.status_code == status, query
    with pytest.raises(InvalidStatus):
        connect(f"{url.replace('streaming', 'timelines/home')}?access_token={user.token}")
    notices = f"stream=user:notification&access_token={reader}"
    header = {"Authorization": f"Bearer {user.token}"}
    with (
        connect(f"{url}?{notices}") as by_query,
        connect(f"{url}?stream=user", additional_headers=header) as by_header,
        connect(f"{url}?stream=user", subprotocols=[user.token]) as by_protocol,
        httpx.stream("GET", f"{social.process.url}{STREAMING}?{notices}") as events,
        social.client.stream("GET", f"{STREAMING}/user", headers=header) as with_header,
    ):
        assert by_protocol.subprotocol == user.token
        assert events.headers["content-type"].startswith("text/event-stream")
        assert with_header.headers["access-control-allow-origin"] == "*"
        social.sql("DELETE FROM token WHERE account_id = $1", user.number)
        for ws in (by_query, by_header, by_protocol):
            with pytest.raises(ConnectionClosed):
                ws.recv(timeout=10)
        for reply in (events, with_header):
            assert list(reply.iter_lines())[:1] == [":)"]


def test_pictures_have_a_stream_and_the_end_of_a_poll_is_told(social: Social) -> None:
    ann, bob = social.user(), social.user()
    with (
        Socket(social.process.url, bob, stream="public:media") as media,
        Socket(social.process.url, ann, stream="user:notification") as of_ann,
        Socket(social.process.url, bob, stream="user") as of_bob,
    ):
        ann.write("nothing to look at")
        picture = ann.call("POST", "/api/v2/media", files={"file": encoded(gradient(8, 8), "PNG")})[
            "id"
        ]
        shown = ann.write("look", media_ids=[picture])["id"]
        assert media.until(shown) == [("public:media", "update", shown)]
        poll = ann.write("yes?", poll={"options": ["yes", "no"], "expires_in": 300})["id"]
        bob.post(f"/polls/{poll}/votes", {"choices": [0]})
        social.sql("UPDATE poll SET expires_at = now() WHERE status_id = $1", int(poll))
        for ws in (of_ann, of_bob):
            message = ws.next()
            notice = json.loads(message["payload"])
            assert (message["event"], notice["type"]) == ("notification", "poll")
            assert notice["status"]["poll"]["expired"]


@contextlib.contextmanager
def small_socket(social: Social) -> Iterator[socket.socket]:
    """A connection that takes little while nobody reads from it."""
    with socket.socket() as found:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        found.settimeout(10)
        found.connect(("127.0.0.1", social.process.port))
        yield found


def test_who_does_not_read_is_dropped_and_others_go_on(social: Social) -> None:
    writer, stuck_user, user = (social.user() for _ in range(3))
    stuck_user.post(f"/accounts/{writer.id}/follow")
    # Each is 30 kB as HTML, and comes three times.
    text = '"' * 4_900 + " #many"
    # More than the kernel takes for a reader that does not read, and what may wait besides.
    count = ((4 << 20) + WAITING_BYTES_MAX) // 30_000 + 50
    streams = [{"stream": "public"}, {"stream": "hashtag", "tag": "many"}]
    with small_socket(social) as stuck, small_socket(social) as beneath:
        stuck.sendall(
            f"GET {STREAMING}/public?access_token={stuck_user.token} HTTP/1.1\r\n"
            "Host: x\r\n\r\n".encode()
        )
        assert stuck.recv(4_096).startswith(b"HTTP/1.1 200")
        # It reads until a few messages wait for somebody to take them, and nobody does.
        slow = Socket(social.process.url, stuck_user, *streams, sock=beneath, stream="user")
        with Socket(social.process.url, user, *streams) as fast:
            with ThreadPoolExecutor(4) as pool:
                wrote = pool.map(lambda n: writer.write(f"{n} {text}")["id"], range(count))
                seen: set[str] = set()
                while len(seen) < count:
                    message = fast.next()
                    if message["stream"] == ["public"]:
                        seen.add(json.loads(message["payload"])["id"])
                written = list(wrote)
            assert set(written) <= seen
            assert slow.ws.protocol.state is State.OPEN
            last = writer.write("the last one")["id"]
            while json.loads(fast.next()["payload"])["id"] != last:
                pass
        # Reading again they get what was on its way, and then the end.
        got = b""
        while not got.endswith(b"\r\n0\r\n\r\n") and (chunk := stuck.recv(1 << 16)):
            got += chunk
        assert got.count(b"event: update") < count
        number = 0
        with pytest.raises(ConnectionClosed):
            while slow.next():
                number += 1
        assert number < 3 * count


def test_reconnecting_and_reading_loses_nothing_when_nats_dies(social: Social) -> None:
    ann, bob = social.user(), social.user()
    bob.post(f"/accounts/{ann.id}/follow")
    bob.home()
    with Socket(social.process.url, bob, stream="user") as before:
        first = ann.write("before")["id"]
        assert before.until(first) == [("user", "update", first)]
        social.nats.kill()
        # It ends, so the client knows that it must look for itself.
        with pytest.raises(ConnectionClosed) as closed:
            before.next()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1001
    meanwhile = [ann.write(f"while it is away {n}")["id"] for n in range(3)]
    with pytest.raises(InvalidStatus) as refused:
        Socket(social.process.url, bob, stream="user")
    assert refused.value.response.status_code == 503
    social.nats.start()
    again: list[Socket] = []

    def is_back() -> bool:
        with contextlib.suppress(InvalidStatus):
            again.append(Socket(social.process.url, bob, stream="user"))
        return bool(again)

    wait_until(is_back, timeout_s=15.0, what="streams to be there again")
    with again[0] as after:
        seen: set[str] = set(bob.home(limit=40))
        more = [ann.write(f"after {n}")["id"] for n in range(3)]
        # What was not at home when it was read comes now, be it from before.
        deadline = time.monotonic() + 15.0
        while not seen >= {first, *meanwhile, *more} and time.monotonic() < deadline:
            message = after.next()
            if message["event"] == "update":
                seen.add(json.loads(message["payload"])["id"])
        assert seen == {first, *meanwhile, *more}
    social.assert_no_drift()


def test_streams_of_a_process_of_their_own_end_when_it_stops(starter: Starter) -> None:
    with (
        starter(ROLES="web") as web,
        granian_service("social.app:app", {**web.settings, "ROLES": "worker"}),
        granian_service(
            "social.app:app", {**web.settings, "ROLES": "streaming"}, options=("--ws",)
        ) as streaming,
    ):
        ann, bob = web.user(), web.user()
        bob.post(f"/accounts/{ann.id}/follow")
        assert httpx.get(f"{streaming.url}/api/v1/instance").status_code == 404
        api = Mastodon(access_token=bob.token, api_base_url=web.process.url)
        assert api.instance_v2().configuration.urls.streaming == web.settings["STREAMING_URL"]
        headers = {"Authorization": f"Bearer {bob.token}"}
        with (
            Socket(streaming.url, bob, stream="user") as ws,
            httpx.stream("GET", f"{streaming.url}{STREAMING}/user", headers=headers) as events,
        ):
            post = ann.write("over there")["id"]
            assert ws.until(post) == [("user", "update", post)]
            assert streaming.stop() == 0
            with pytest.raises(ConnectionClosed) as closed:
                ws.next()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1001
            # The stream ended as a reply should, and not in the middle of one.
            lines = list(events.iter_lines())
            assert "event: update" in lines
        assert "refused to gracefully stop" not in streaming.output
