"""POSTs to addresses of strangers, to real servers that answer well, badly, or not at all."""

from __future__ import annotations

import asyncio

import pytest
from systems_common.posting import NotPostedError, Poster


async def asked(answer: bytes, poster: Poster, *, host: str = "127.0.0.1") -> object:
    """What a server's answer is taken for, and what the server was told."""
    told = b""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal told
        told = await reader.readuntil(b"}")
        writer.write(answer)
        await writer.drain()
        if b"keep" not in answer:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        port = server.sockets[0].getsockname()[1]
        found = await poster.post(f"http://{host}:{port}/notify?a=b", b'{"a": 1}')
        assert told.startswith(b"POST /notify?a=b HTTP/1.1\r\nHost: ")
        return found
    finally:
        server.close()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: keep\r\n\r\n{}", (200, b"{}")),
        (b"HTTP/1.0 503 Busy\r\n\r\nlater", (503, b"later")),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"2\r\n{ \r\n1;x=y\r\n}\r\n0\r\n\r\n",
            (200, b"{ }"),
        ),
    ],
)
def test_an_answer_is_read(answer: bytes, expected: tuple[int, bytes]) -> None:
    assert asyncio.run(asked(answer, Poster(public_only=False))) == expected


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + b"x" * 2_000,
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 2_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nX: keep, and say no more",
    ],
)
def test_an_answer_that_is_none_is_no_answer(answer: bytes) -> None:
    poster = Poster(public_only=False, timeout_s=0.3, answer_bytes_max=1_000)
    with pytest.raises(NotPostedError):
        asyncio.run(asked(answer, poster))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "2130706433"])
def test_private_addresses_are_not_reached(host: str) -> None:
    async def refused(scheme: str) -> None:
        with pytest.raises(NotPostedError, match="public"):
            await Poster(public_only=True).post(f"{scheme}://{host}:9/", b"{}")

    asyncio.run(refused("http"))
    asyncio.run(refused("https"))


def test_a_url_cannot_carry_a_second_request() -> None:
    for url in ("http://127.0.0.1:9/a b", "http://127.0.0.1:9/\x7f", "ftp://127.0.0.1/", "http://"):
        with pytest.raises(NotPostedError):
            asyncio.run(Poster(public_only=False).post(url, b"{}"))
