"""A cache before a service, in a process of its own: what it answers, and what it asks for."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from loadpath.deploy import Guard
from loadpath.errors import LoadpathError
from loadpath.proxy import Front, RuleCounts
from loadpath.spec import Tls
from loadpath.spec.keeping import KeepRule

LOCALHOST = Path(__file__).parents[1] / "certificates" / "localhost.pem"


class Service:
    """Counts what it is asked, and answers each time with the count; `/slow` when it is let go."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.let_go = asyncio.Event()
        self.says = ""
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = re.search(r"Content-Length: (\d+)", head)
                body = await reader.readexactly(int(length[1])) if length else b""
                line = head.partition("\r\n")[0].removesuffix(" HTTP/1.1")
                self.asked.append(line)
                if "/slow" in line:
                    await self.let_go.wait()
                if "/vanish" in line:
                    break
                said = (self.says or f"answer {len(self.asked)}").encode() + body
                extra = "Vary: Accept-Language\r\n" if "/tongues" in line else ""
                status = "503 No" if "/broken" in line else "200 OK"
                if "/chunks" in line:
                    writer.write(
                        f"HTTP/1.1 {status}\r\nTransfer-Encoding: chunked\r\n\r\n"
                        f"{len(said):x}\r\n".encode()
                    )
                    await writer.drain()
                    writer.write(said + b"\r\n0\r\n\r\n")
                else:
                    writer.write(
                        f"HTTP/1.1 {status}\r\n{extra}Content-Length: {len(said)}\r\n\r\n".encode()
                        + said
                    )
                await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def fronted(*rules: KeepRule, tls: Tls | None = None) -> AsyncIterator[tuple[Front, Service]]:
    service = Service()
    context = None
    if tls is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(LOCALHOST)
    server = await asyncio.start_server(service.serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    async with (
        Guard() as guard,
        Front("127.0.0.1", port, rules, spawn=guard.spawn, tls=tls) as front,
    ):
        yield front, service
    server.close()


async def ask(front: Front, target: str, *, method: str = "GET", body: str = "", **headers: str):  # type: ignore[no-untyped-def]
    """Status, headers in lower case and body of one request on a connection of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
    said = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    writer.write(f"{method} {target} HTTP/1.1\r\nHost: x\r\n{said}{length}\r\n{body}".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    size = re.search(r"content-length: (\d+)", head)
    if size is None:
        got = await reader.readuntil(b"0\r\n\r\n")
    else:
        got = await reader.readexactly(int(size[1]))
    writer.close()
    return int(head[9:12]), head, got.decode()


async def compared(front: Front, count: int) -> RuleCounts:
    """Wait until so many hits were compared with the service."""
    while (seen := (await front.counts()).rules[0]).sampled < count:
        await asyncio.sleep(0.01)
    return seen


def rule(pattern: str, ttl_s: float = 60.0) -> KeepRule:
    return KeepRule("it", "GET", pattern, ttl_s)


def test_what_a_rule_says_is_asked_once_and_the_rest_each_time() -> None:
    async def test() -> None:
        rules = rule("/(kept|chunks|tongues)"), rule("/short", 0.05)
        async with fronted(*rules) as (front, service):
            first = await ask(front, "/kept")
            again = await ask(front, "/kept")
            assert first[2] == again[2] == "answer 1"
            assert "age: 0" in again[1]
            assert "age:" not in first[1]
            assert (await ask(front, "/other"))[2] != (await ask(front, "/other"))[2]
            assert (await ask(front, "/chunks"))[2] == (await ask(front, "/chunks"))[2]
            german = await ask(front, "/tongues", Accept_Language="de")
            assert (await ask(front, "/tongues", Accept_Language="fr"))[2] != german[2]
            assert (await ask(front, "/tongues", Accept_Language="de"))[2] == german[2]
            posted = await ask(front, "/kept", method="POST", body="xyz")
            assert posted[2].endswith("xyz")
            short = await ask(front, "/short")
            await asyncio.sleep(0.06)
            assert (await ask(front, "/short"))[2] != short[2]
            kept, lapsed = (await front.counts()).rules
            assert (kept.requests, kept.hits, kept.fetched, kept.stored) == (7, 3, 4, 4)
            assert (lapsed.hits, lapsed.fetched) == (0, 2)
            assert service.asked.count("GET /kept") == 1
            await front.flush()
            assert (await ask(front, "/kept"))[2] != first[2]

    asyncio.run(test())


def test_who_asks_while_it_is_fetched_waits_for_that() -> None:
    async def test() -> None:
        async with fronted(rule("/slow")) as (front, service):
            asking = [asyncio.create_task(ask(front, "/slow")) for _ in range(5)]
            while (await front.counts()).rules[0].requests < 5:
                await asyncio.sleep(0.01)
            service.let_go.set()
            assert {(await each)[2] for each in asking} == {"answer 1"}
            assert service.asked == ["GET /slow"]
            seen = (await front.counts()).rules[0]
            assert (seen.hits, seen.waited, seen.fetched) == (4, 4, 1)

    asyncio.run(test())


def test_errors_are_passed_on_and_never_kept() -> None:
    async def test() -> None:
        async with fronted(rule("/.*")) as (front, service):
            assert (await ask(front, "/broken"))[0] == 503
            assert (await ask(front, "/broken"))[0] == 503
            with pytest.raises(asyncio.IncompleteReadError):
                await ask(front, "/vanish")
            assert service.asked.count("GET /broken") == 2
            assert (await front.counts()).entries == 0

    asyncio.run(test())


def test_a_sample_of_the_hits_is_compared_with_what_the_service_says() -> None:
    async def test() -> None:
        async with fronted(rule("/kept")) as (front, service):
            service.says = "as it was"
            await front.sample(2)
            for _ in range(5):
                await ask(front, "/kept")
            await compared(front, 2)
            service.says = "changed"
            for _ in range(4):
                await ask(front, "/kept")
            seen = await compared(front, 4)
            assert (seen.hits, seen.sampled, seen.stale) == (8, 4, 2)

    asyncio.run(test())


@pytest.mark.parametrize("tls", [Tls(), Tls(ca=LOCALHOST)])
def test_a_service_that_speaks_tls_is_asked_over_tls(tls: Tls) -> None:
    async def test() -> None:
        async with fronted(rule("/kept"), tls=tls) as (front, service):
            first, again = await ask(front, "/kept"), await ask(front, "/kept")
            assert first[2] == again[2] == "answer 1"
            assert (await ask(front, "/other"))[2] == "answer 2"
            await front.sample(1)
            await ask(front, "/kept")
            await compared(front, 1)
            assert service.connections == 1

    asyncio.run(test())


def test_a_certificate_that_is_not_accepted_is_a_failure_and_no_reply() -> None:
    async def test() -> None:
        wrong = Tls(ca=LOCALHOST, name="shop.example")
        async with fronted(rule("/kept"), tls=wrong) as (front, service):
            with pytest.raises(asyncio.IncompleteReadError):
                await ask(front, "/kept")
            assert (await front.counts()).failed == 1
            assert service.asked == []

    asyncio.run(test())


def test_one_that_was_killed_is_an_error_and_not_a_figure() -> None:
    async def test() -> None:
        async with fronted() as (front, _):
            assert (await ask(front, "/kept"))[0] == 200
            os.kill(front.pid, signal.SIGKILL)
            with pytest.raises(LoadpathError, match="ended by SIGKILL"):
                await front.counts()

    asyncio.run(test())
