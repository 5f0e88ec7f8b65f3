"""A WebSocket service made with the websockets library, and one that breaks the protocol by hand.

Prints the ports of both when they listen. Argument: a PEM file, then the first one speaks TLS.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import ssl
import sys
from http import HTTPStatus

from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.http11 import Request, Response

SPOKEN: dict[str, list[str]] = {"closes": []}
ROOM: set[ServerConnection] = set()


async def handle(peer: ServerConnection) -> None:
    assert peer.request is not None
    path = peer.request.path.partition("?")[0]
    word, _, argument = path.strip("/").partition("/")
    try:
        await answer(peer, word, argument)
        await peer.wait_closed()
    finally:
        ROOM.discard(peer)
        SPOKEN["closes"].append(f"{word} {peer.close_code}")


async def answer(peer: ServerConnection, word: str, argument: str) -> None:
    assert peer.request is not None
    if word == "head":
        await peer.send(json.dumps(dict(peer.request.headers.raw_items())))
    elif word == "burst":
        for number in range(int(argument)):
            await peer.send(str(number))
    elif word == "flood":  # as much as the other side takes
        while True:
            await peer.send("x" * 10_000)
    elif word == "pieces":
        await peer.send(["one ", "two ", "", "three"])
    elif word == "ping":
        await asyncio.wait_for(await peer.ping(b"are you there"), 5)
        await peer.send("pong came")
    elif word == "bye":
        await peer.close(int(argument), "had enough")
    elif word == "speaks":
        compressed = [type(each).__name__ for each in peer.protocol.extensions]
        await peer.send(json.dumps([peer.subprotocol, compressed]))
    elif word == "room":
        ROOM.add(peer)
        async for message in peer:
            broadcast(ROOM, message)
    elif word == "closes":
        await peer.send(json.dumps(SPOKEN["closes"]))
    elif word == "echo":
        async for message in peer:
            await peer.send(message)


def refuse(peer: ServerConnection, request: Request) -> Response | None:
    if request.path.startswith("/refuse/"):
        return peer.respond(HTTPStatus(int(request.path[8:])), "not you\n")
    if request.path == "/page":
        return peer.respond(HTTPStatus.OK, "a page\n")
    if request.path == "/private" and request.headers.get("Authorization") != "Bearer right":
        return peer.respond(HTTPStatus.UNAUTHORIZED, "who are you\n")
    return None


async def break_it(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer a handshake as its path says, and badly."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    path = head.split(" ")[1].strip("/")
    key = next(line[19:] for line in head.split("\r\n") if line.startswith("Sec-WebSocket-Key: "))
    magic = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    accept = base64.b64encode(hashlib.sha1((key + magic).encode()).digest()).decode()
    if path == "wrong-key":
        accept = "bm90IHRoZSBrZXk="
    switched = (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept}\r\n\r\n"
    ).encode()
    after = {
        "wrong-key": b"",
        "garbage": b"\xff\xff this is no frame",
        "cut": b"\x81\x0ahalf",  # a text of ten bytes, of which four come
        "cut-pieces": b"\x01\x04half",  # the first piece of a message
        "latin": b"\x81\x02\xe9\xe8",  # text that is not UTF-8
        "endless": b"\x82\x7f\x00\x00\x00\x7f\xff\xff\xff\xff",  # a message of 549 GB
        "deaf": b"",
    }
    try:
        if path == "silent":
            await reader.read()
            return
        writer.write(switched + after[path])
        await writer.drain()
        if path == "deaf":
            await asyncio.sleep(60)
        if path.startswith("cut"):
            return
        await reader.read()
    finally:
        writer.close()


async def main() -> None:
    context = None
    if len(sys.argv) > 1:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[1])
    good = await serve(
        handle, "127.0.0.1", 0, process_request=refuse, ssl=context, ping_interval=None
    )
    bad = await asyncio.start_server(break_it, "127.0.0.1", 0)
    ports = [next(iter(each.sockets)).getsockname()[1] for each in (good, bad)]
    print(*ports, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
