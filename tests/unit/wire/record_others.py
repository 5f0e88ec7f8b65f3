"""Records what real clients say to Valkey, NATS and HTTP servers, for the tests to read again.

    python tests/unit/wire/record_others.py [SCENE …]

It starts the embedded servers, lets each client play its scene through a plain relay, and writes
every connection to `transcripts/SCENE.N.json`. The servers' random passwords die with them.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import http.server
import json
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import glide
import nats
import redis
import uvicorn
import websockets.sync.client
from nats.errors import NoRespondersError
from nats.js.api import ConsumerConfig

from loadpath.deploy import Guard
from loadpath.deploy.dependency import RunningDependency
from loadpath.deploy.embedded import start_embedded
from loadpath.deploy.logs import Log
from loadpath.spec import Dependency

TRANSCRIPTS = Path(__file__).parent / "transcripts"
Scene = Callable[[int, RunningDependency | None], Awaitable[None]]


class Relay:
    """Notes every piece that crosses, in order, a connection each."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.connections: list[list[tuple[str, str]]] = []
        self._threads: list[threading.Thread] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                pieces: list[tuple[str, str]] = []
                self.connections.append(pieces)
                for side, source, target in (("C", client, server), ("S", server, client)):
                    thread = threading.Thread(
                        target=self._copy, args=(side, source, target, pieces), daemon=True
                    )
                    thread.start()
                    self._threads.append(thread)

    def _copy(
        self, side: str, source: socket.socket, target: socket.socket, pieces: list[Any]
    ) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                pieces.append((side, data.decode("latin-1")))
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        for thread in self._threads:
            thread.join(timeout=5)
        self._listener.close()


def in_thread(scene: Callable[..., None], *given: Any) -> Scene:
    async def play(port: int, running: RunningDependency | None) -> None:
        await asyncio.to_thread(scene, port, running, *given)

    return play


def redis_py(port: int, running: RunningDependency, protocol: int) -> None:
    client = redis.Redis(port=port, password=running.password, protocol=protocol)
    client.set("link:abc123", "https://example.org/a", ex=60)
    client.get("link:abc123")
    client.get("link:missing")
    client.hset("user:17", mapping={"name": "Ada", "visits": 3})
    client.hgetall("user:17")
    client.incrbyfloat("score:17", 1.5)
    client.zadd("top", {"a": 1.0, "b": 2.5})
    client.zrange("top", 0, -1, withscores=True)
    client.eval("return {KEYS[1], ARGV[1]}", 1, "user:17", "x")
    client.xadd("events", {"kind": "visit"})
    client.xread({"events": "0"}, count=1)
    client.set("large", b"x" * 1100)
    client.get("large")
    client.info("clients")
    with contextlib.suppress(redis.ResponseError):
        client.incr("link:abc123")
    client.close()


def redis_py_pipeline(port: int, running: RunningDependency) -> None:
    client = redis.Redis(port=port, password=running.password)
    with client.pipeline(transaction=False) as pipe:
        for number in range(20):
            pipe.set(f"n:{number}", number)
            pipe.get(f"n:{number}")
        pipe.execute()
    with client.pipeline(transaction=True) as pipe:
        pipe.watch("n:1")
        pipe.multi()
        pipe.incr("n:1")
        pipe.get("n:1")
        pipe.execute()
    with client.pipeline(transaction=True) as pipe:
        pipe.set("n:2", 1)
        pipe.execute_command("NOSUCHCOMMAND")
        with contextlib.suppress(redis.RedisError):
            pipe.execute()
    client.close()


def redis_py_pubsub(port: int, running: RunningDependency, protocol: int) -> None:
    speaker = redis.Redis(port=running.port, password=running.password)
    client = redis.Redis(port=port, password=running.password, protocol=protocol)
    listener = client.pubsub()
    listener.subscribe("visits", "links")
    listener.psubscribe("user.*")
    seen = [listener.get_message(timeout=2) for _ in range(3)]
    speaker.publish("visits", "one")
    speaker.publish("user.17", "two")
    seen += [listener.get_message(timeout=2) for _ in range(2)]
    listener.ping()
    listener.unsubscribe()
    listener.punsubscribe()
    seen += [listener.get_message(timeout=2) for _ in range(4)]
    assert None not in seen[:5], seen
    listener.close()
    client.close()


def redis_py_blocking(port: int, running: RunningDependency) -> None:
    speaker = redis.Redis(port=running.port, password=running.password)
    client = redis.Redis(port=port, password=running.password)
    later = threading.Timer(0.1, lambda: speaker.lpush("queue", "job"))
    later.start()
    client.blpop(["queue", "other"], timeout=5)
    client.blpop(["queue"], timeout=0.05)
    client.execute_command("CLIENT", "NO-EVICT", "off")
    client.close()


async def valkey_glide(port: int, running: RunningDependency | None) -> None:
    assert running is not None
    configuration = glide.GlideClientConfiguration(
        [glide.NodeAddress("127.0.0.1", port)],
        credentials=glide.ServerCredentials(running.password),
    )
    client = await glide.GlideClient.create(configuration)
    await client.set("link:glide1", "x" * 200)
    await asyncio.gather(*(client.get(f"link:glide{number}") for number in range(8)))
    await client.hset("user:18", {"name": "Lin"})
    await client.hgetall("user:18")
    batch = glide.Batch(is_atomic=True)
    batch.incr("n:18")
    batch.get("n:18")
    await client.exec(batch, raise_on_error=True)
    await client.close()


async def connected(port: int, running: RunningDependency | None, **options: Any) -> Any:
    assert running is not None
    return await nats.connect(
        f"nats://127.0.0.1:{port}",
        user=running.user,
        password=running.password,
        allow_reconnect=False,
        **options,
    )


async def nats_core(port: int, running: RunningDependency | None) -> None:
    client = await connected(port, running)
    seen = asyncio.Event()

    async def answer(message: Any) -> None:
        await message.respond(b"pong " + message.data)

    async def note(message: Any) -> None:
        seen.set()

    await client.subscribe("ask.*", cb=answer)
    await client.subscribe("visits.>", queue="workers", cb=note)
    await client.publish("visits.7f3a.created", b"x" * 700, headers={"Trace": "17"})
    await client.publish("nobody.listens", b"")
    await asyncio.wait_for(seen.wait(), 5)
    await client.request("ask.time", b"now", timeout=5)
    with contextlib.suppress(NoRespondersError):
        await client.request("silence", b"", timeout=5)
    await client.request("ask.old", b"style", timeout=5, old_style=True)
    await client.drain()


async def nats_verbose(port: int, running: RunningDependency | None) -> None:
    client = await connected(port, running, verbose=True)
    await client.subscribe("a.b")
    await client.publish("a.b", b"1")
    await client.flush()
    await client.close()


async def nats_jetstream(port: int, running: RunningDependency | None) -> None:
    client = await connected(port, running)
    stream = client.jetstream()
    await stream.add_stream(name="VISITS", subjects=["visits.*"])
    for number in range(3):
        await stream.publish(f"visits.{number}", b"visit")
    with contextlib.suppress(nats.js.errors.APIError):
        await stream.publish("visits.9", b"late", headers={"Nats-Expected-Last-Sequence": "77"})
    pulled = await stream.pull_subscribe("visits.*", durable="worker")
    messages = await pulled.fetch(3, timeout=5)
    await messages[0].ack()
    await messages[1].nak()
    await messages[2].in_progress()
    await messages[2].ack_sync()
    await (await pulled.fetch(1, timeout=5))[0].term()
    with contextlib.suppress(nats.errors.TimeoutError):
        await pulled.fetch(1, timeout=0.2)
    pushed = await stream.subscribe("visits.*", config=ConsumerConfig(), ordered_consumer=True)
    await pushed.next_msg(timeout=5)
    await stream.delete_stream("VISITS")
    await client.close()


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        message = await receive()
        await send({"type": "websocket.send", "text": message.get("text") or ""})
        await send({"type": "websocket.close"})
        return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    status = int(scope["query_string"] or b"200")
    headers = []
    pieces = [] if status in {204, 304} else [b"read %d bytes" % len(body), b", and more"]
    if scope["path"] != "/chunked" and status not in {204, 304}:
        headers.append((b"content-length", str(sum(map(len, pieces))).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    for piece in pieces:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


@contextlib.contextmanager
def asgi_server() -> Iterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(application, log_level="warning"))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield listener.getsockname()[1]
    server.should_exit = True
    thread.join()


@contextlib.contextmanager
def old_server() -> Iterator[int]:
    """The standard library's, which speaks HTTP/1.0 and ends replies with the connection."""
    handler = http.server.SimpleHTTPRequestHandler
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


def http_client(port: int, _: None) -> None:
    client = http.client.HTTPConnection("127.0.0.1", port)

    def ask(method: str, target: str, **given: Any) -> None:
        client.request(method, target, **given)
        client.getresponse().read()

    ask("GET", "/users/17?200")
    ask("GET", "/chunked")
    ask("POST", "/users", body=b"x" * 700)
    ask("POST", "/users", body=iter([b"one", b"two" * 200]), encode_chunked=True)
    ask("HEAD", "/users/17")
    ask("DELETE", "/users/17?204")
    ask("GET", "/users/17?304")
    ask("GET", "/chunked?503")
    ask("GET", "/users/17", headers={"Connection": "close"})
    client.close()


def http_raw(port: int, _: None) -> None:
    with socket.create_connection(("127.0.0.1", port)) as raw:
        get = b"GET /n/%d HTTP/1.1\r\nHost: h\r\n\r\n"
        raw.sendall(b"".join(get % number for number in range(5)))
        seen = b""
        while seen.count(b"and more") < 5:
            seen += raw.recv(65536)
        raw.sendall(
            b"PUT /late HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
        )
        assert b" 100 " in raw.recv(65536)
        raw.sendall(b"body")
        assert b" 200 " in raw.recv(65536)
        raw.sendall(get % 9)
        raw.shutdown(socket.SHUT_WR)
        while raw.recv(65536):
            pass


def http_old(port: int, _: None) -> None:
    with socket.create_connection(("127.0.0.1", port)) as raw:
        raw.sendall(b"GET /nowhere/17 HTTP/1.0\r\n\r\n")
        while raw.recv(65536):
            pass


def http_websocket(port: int, _: None) -> None:
    with websockets.sync.client.connect(f"ws://127.0.0.1:{port}/chat") as client:
        client.send("hello")
        client.recv()


SCENES: dict[str, tuple[str, Scene]] = {
    "resp_redis_py_resp2": ("valkey", in_thread(redis_py, 2)),
    "resp_redis_py_resp3": ("valkey", in_thread(redis_py, 3)),
    "resp_redis_py_pipeline": ("valkey", in_thread(redis_py_pipeline)),
    "resp_redis_py_pubsub2": ("valkey", in_thread(redis_py_pubsub, 2)),
    "resp_redis_py_pubsub3": ("valkey", in_thread(redis_py_pubsub, 3)),
    "resp_redis_py_blocking": ("valkey", in_thread(redis_py_blocking)),
    "resp_valkey_glide": ("valkey", valkey_glide),
    "nats_core": ("nats", nats_core),
    "nats_verbose": ("nats", nats_verbose),
    "nats_jetstream": ("nats", nats_jetstream),
    "http_client": ("asgi", in_thread(http_client)),
    "http_raw": ("asgi", in_thread(http_raw)),
    "http_websocket": ("asgi", in_thread(http_websocket)),
    "http_old": ("old", in_thread(http_old)),
}


@contextlib.asynccontextmanager
async def dependencies() -> AsyncIterator[dict[str, tuple[int, RunningDependency | None]]]:
    async with Guard() as guard:
        folder = guard.make_folder()
        targets: dict[str, tuple[int, RunningDependency | None]] = {}
        for kind in ("valkey", "nats"):
            server = await start_embedded(
                Dependency(name=kind, kind=kind, env={}),
                guard=guard,
                folder=folder,
                log=Log(folder / f"{kind}.log"),
                emit=lambda event: None,
            )
            targets[kind] = server.running.port, server.running
        with asgi_server() as asgi, old_server() as old:
            targets["asgi"] = asgi, None
            targets["old"] = old, None
            yield targets


async def record(names: list[str]) -> None:
    async with dependencies() as targets:
        for name in names or SCENES:
            kind, play = SCENES[name]
            port, running = targets[kind]
            relay = Relay(port)
            await play(relay.port, running)
            await asyncio.to_thread(relay.close)
            for old in TRANSCRIPTS.glob(f"{name}.*.json"):
                old.unlink()
            for number, pieces in enumerate(c for c in relay.connections if c):
                lines = ",\n".join(json.dumps(piece) for piece in pieces)
                path = TRANSCRIPTS / f"{name}.{number}.json"
                path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
                print(path.name, len(pieces), "pieces")


if __name__ == "__main__":
    asyncio.run(record(sys.argv[1:]))
