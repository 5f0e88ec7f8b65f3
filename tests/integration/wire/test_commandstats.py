"""What the reader of Redis counts and names, against what an embedded Valkey says of itself."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from loadpath.deploy import Guard
from loadpath.deploy.dependency import RunningDependency
from loadpath.deploy.embedded import start_embedded
from loadpath.deploy.logs import Log
from loadpath.spec import Dependency
from loadpath.wire.resp import RedisConversation
from loadpath.wire.resp_commands import describe


def on_valkey(work: Callable[[RunningDependency], None]) -> None:
    async def main() -> None:
        async with Guard() as guard:
            folder = guard.make_folder()
            server = await start_embedded(
                Dependency(name="cache", kind="valkey", env={}),
                guard=guard,
                folder=folder,
                log=Log(folder / "log"),
                emit=lambda event: None,
            )
            await asyncio.to_thread(work, server.running)

    asyncio.run(main())


class Relay:
    """Reads one connection as it passes it on."""

    def __init__(self, port: int) -> None:
        self.conversation = RedisConversation()
        self._target = port
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        server = socket.create_connection(("127.0.0.1", self._target))
        ways = (
            (client, server, self.conversation.sent),
            (server, client, self.conversation.received),
        )
        self._threads += [
            threading.Thread(target=self._copy, args=way, daemon=True) for way in ways
        ]
        for thread in self._threads[1:]:
            thread.start()

    def _copy(
        self, source: socket.socket, target: socket.socket, note: Callable[[bytes, float], None]
    ) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                with self._lock:
                    note(data, time.monotonic())
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        for _ in range(2):
            for thread in list(self._threads):
                thread.join(timeout=10)
        self._listener.close()


@contextlib.contextmanager
def relayed(running: RunningDependency, **options: Any) -> Iterator[tuple[Relay, redis.Redis]]:
    relay = Relay(running.port)
    client = redis.Redis(port=relay.port, password=running.password, socket_timeout=20, **options)
    try:
        client.ping()
        yield relay, client
    finally:
        client.close()
        relay.close()


def use(client: redis.Redis) -> None:
    for number in range(50):
        client.set(f"link:{number}", "x" * number * 100, ex=60)
        client.get(f"link:{number}")
    client.mget([f"link:{number}" for number in range(50)])
    client.hset("user:17", mapping={"name": "Ada", "visits": "3"})
    client.hgetall("user:17")
    with contextlib.suppress(redis.ResponseError):
        client.lpush("user:17", "wrong")
    client.eval("return ARGV[1]", 1, "user:17", "x" * 5000)
    client.object("encoding", "user:17")
    client.client_info()
    client.blpop(["queue"], timeout=0.01)
    client.xadd("events", {"a": "b"})
    client.xread({"events": "0"})
    with client.pipeline(transaction=False) as pipe:
        for number in range(300):
            pipe.incr(f"n:{number % 7}")
        pipe.execute()
    with client.pipeline(transaction=True) as pipe:
        pipe.watch("n:1")
        pipe.multi()
        pipe.incrby("n:1", 2)
        pipe.zadd("top", {"a": 1.0})
        pipe.execute()


@pytest.mark.parametrize("protocol", [2, 3])
def test_what_is_counted_is_what_the_server_counted(protocol: int) -> None:
    def work(running: RunningDependency) -> None:
        server = redis.Redis(port=running.port, password=running.password, protocol=2)
        with relayed(running, protocol=protocol) as (relay, client):
            server.config_resetstat()
            relay.conversation.finished.clear()
            use(client)
            stats = server.info("commandstats")
            finished = list(relay.conversation.finished)
            assert relay.conversation.unread is None
        counted = Counter({name[8:]: values["calls"] for name, values in stats.items()})
        del counted["config|resetstat"]
        seen = Counter(exchange.verb.lower().replace(" ", "|") for exchange in finished)
        assert seen == counted
        failed = Counter({n[8:]: v["failed_calls"] for n, v in stats.items() if v["failed_calls"]})
        errors = Counter(e.verb.lower().replace(" ", "|") for e in finished if e.error is not None)
        assert errors == failed == {"lpush": 1}
        server.close()

    on_valkey(work)


# What the server itself says the first key is, where that depends on the other words.
WHOSE_KEYS_MOVE = (
    ["EVAL", "return 1", "2", "a", "b", "c"],
    ["EVALSHA", "x" * 40, "1", "a"],
    ["FCALL", "f", "1", "a", "b"],
    ["XREAD", "COUNT", "2", "STREAMS", "a", "b", "0", "0"],
    ["XREADGROUP", "GROUP", "g", "streams", "NOACK", "STREAMS", "a", ">"],
    ["ZUNION", "2", "a", "b"],
    ["ZINTERSTORE", "a", "2", "b", "c"],
    ["SINTERCARD", "2", "a", "b"],
    ["LMPOP", "2", "a", "b", "LEFT"],
    ["BZMPOP", "0", "1", "a", "MIN"],
    ["MIGRATE", "host", "1", "a", "0", "10"],
    ["SORT", "a", "BY", "b_*", "STORE", "c"],
    ["BITOP", "AND", "a", "b"],
)
# Their first word is a channel, which is told as a key is; the server does not call it one.
CHANNELS = {"publish", "subscribe", "unsubscribe", "psubscribe", "punsubscribe", "spublish"} | {
    "ssubscribe",
    "sunsubscribe",
}
# A subcommand that nobody sends, or keys the server cannot tell.
MOVED = "movablekeys"


def test_the_first_key_stands_where_the_server_says() -> None:
    def work(running: RunningDependency) -> None:
        server = redis.Redis(port=running.port, password=running.password, protocol=2)
        server.response_callbacks.clear()
        commands = server.execute_command("COMMAND")
        flat = [*commands, *(sub for command in commands for sub in command[9])]
        assert len(flat) > 300
        for name, _, flags, place, *_ in flat:
            words = name.split(b"|")
            if words[0].decode() in CHANNELS or MOVED.encode() in flags:
                continue
            words += [b"word%d" % number for number in range(len(words), 8)]
            expected = f"word{place}" if place else ""
            if name in {command[0] for command in commands if command[9]}:
                expected = ""  # a container alone
            assert describe(words)[1] == expected, name
        for example in WHOSE_KEYS_MOVE:
            first = server.execute_command("COMMAND", "GETKEYS", *example)[0]
            words = [word.encode() for word in example]
            assert describe(words)[1] == first.decode() == "a", example
        server.close()

    on_valkey(work)
