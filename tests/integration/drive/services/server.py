"""A service whose path says how it answers, well or badly. Prints its port when it listens.

Arguments: the port (0: any), how many connections may wait to be accepted (default 1000), and a PEM
file with certificate and key (then it speaks TLS).
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
import sys
from collections.abc import Awaitable, Callable

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Request:
    def __init__(self, method: str, target: str, head: bytes, body: bytes) -> None:
        self.method = method
        self.target = target
        self.head = head
        self.body = body
        self.word, _, self.argument = target.strip("/").partition("?")[0].partition("/")


class Server:
    def __init__(self) -> None:
        self.connections = 0
        self.requests: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        answered = 0
        try:
            while not writer.is_closing():
                request = await read(reader)
                self.requests.append(f"{request.method} {request.target}")
                if request.word == "once" and answered:  # a second request is one too many
                    break
                await self.answer(request, writer)
                answered += 1
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def answer(self, request: Request, writer: asyncio.StreamWriter) -> None:
        if request.word == "seen":
            writer.write(json_reply({"connections": self.connections, "requests": self.requests}))
        elif request.word in BEHAVIORS:
            await BEHAVIORS[request.word](request, writer)
        else:
            writer.write(OK)


async def read(reader: asyncio.StreamReader) -> Request:
    head = await reader.readuntil(b"\r\n\r\n")
    method, target, _ = head.split(b"\r\n")[0].decode().split(" ", 2)
    length = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line[15:])
    return Request(method, target, head, await reader.readexactly(length))


def json_reply(value: object, status: str = "200 OK") -> bytes:
    body = json.dumps(value).encode()
    head = f"content-type: application/json\r\ncontent-length: {len(body)}"
    return f"HTTP/1.1 {status}\r\n{head}\r\n\r\n".encode() + body


async def pieces(writer: asyncio.StreamWriter, data: bytes, size: int) -> None:
    for at in range(0, len(data), size):
        writer.write(data[at : at + size])
        await writer.drain()
        await asyncio.sleep(0.0005)


async def echo(request: Request, writer: asyncio.StreamWriter) -> None:
    seen = {
        "method": request.method,
        "target": request.target,
        "head": request.head.decode(),
        "body": request.body.decode(),
    }
    writer.write(json_reply(seen))


async def chunked(request: Request, writer: asyncio.StreamWriter) -> None:
    data = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n"
        b'5;a="b"\r\nhello\r\n00a\r\n, chunked!\r\n0\r\nX-Sum: 15\r\n\r\n'
    )
    await pieces(writer, data, int(request.argument or 7))


async def split(request: Request, writer: asyncio.StreamWriter) -> None:
    await pieces(writer, OK, int(request.argument or 3))


async def slow(request: Request, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(int(request.argument) / 1000)
    writer.write(OK)


async def hang(request: Request, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(3600)


async def close(request: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(OK.replace(b"\r\n\r\n", b"\r\nConnection: Close\r\n\r\n"))
    writer.close()


async def stale(request: Request, writer: asyncio.StreamWriter) -> None:
    """Keeps the connection open by what it says, and closes it at the next request."""
    writer.write(OK)
    writer.close()


async def reset(request: Request, writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.close()


async def half(request: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this")
    await writer.drain()
    writer.close()


async def endless(request: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while not writer.is_closing():
        writer.write(b"X-More: of the same\r\n" * 100)
        await writer.drain()
        await asyncio.sleep(0.0005)


async def interim(request: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK
    )


async def to_close(request: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.0 200 OK\r\n\r\nup to ")
    await writer.drain()
    await asyncio.sleep(0.002)
    writer.write(b"the end")
    writer.close()


async def status(request: Request, writer: asyncio.StreamWriter) -> None:
    body = {"password": "hunter2", "detail": f"as asked: {request.argument}"}
    writer.write(json_reply(body, f"{request.argument} Asked For"))


async def big(request: Request, writer: asyncio.StreamWriter) -> None:
    size = int(request.argument)
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
    writer.write(b"x" * size)
    await writer.drain()


async def stream(request: Request, writer: asyncio.StreamWriter) -> None:
    """As many bytes as asked, or without an end, from a buffer that stays small."""
    size = int(request.argument or 0)
    piece = b"x" * (1 << 20)
    if size:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
    else:
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    left = size or sys.maxsize
    while left and not writer.is_closing():
        part = piece[:left]
        writer.write(part if size else b"%x\r\n%b\r\n" % (len(part), part))
        await writer.drain()
        left -= len(part)


async def cut(request: Request, writer: asyncio.StreamWriter) -> None:
    """Ends within a chunk."""
    writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n64\r\nonly this")
    writer.close()


TOKENS: dict[str, str] = {}
"""Who is logged in, by token."""

LOGINS: list[str] = []
"""Who logged in, in order."""


async def login(request: Request, writer: asyncio.StreamWriter) -> None:
    user = json.loads(request.body)["user"]
    if user == request.argument:
        writer.write(json_reply({"detail": f"{user} is locked"}, "403 Forbidden"))
        return
    LOGINS.append(user)
    token = f"token-{len(LOGINS)}-of-{user}"
    TOKENS[token] = user
    writer.write(json_reply({"token": token}))


async def whoami(request: Request, writer: asyncio.StreamWriter) -> None:
    user = TOKENS.get(header(request, "authorization").removeprefix("Bearer "))
    if user is None:
        detail = {"detail": "who are you?", "got": header(request, "authorization")}
        writer.write(json_reply(detail, "401 Unauthorized"))
    elif user == request.argument:
        await status(Request("GET", "/status/500", b"", b""), writer)
    else:
        writer.write(json_reply({"user": user}))


async def expire(request: Request, writer: asyncio.StreamWriter) -> None:
    TOKENS.clear()
    writer.write(json_reply({"logins": LOGINS}))
    LOGINS.clear()


async def count(request: Request, writer: asyncio.StreamWriter) -> None:
    """Counts in a cookie how often its owner was here."""
    cookies = dict(
        pair.split("=", 1) for pair in header(request, "cookie").split("; ") if "=" in pair
    )
    visits = int(cookies.get("visits", "0")) + 1
    set_cookies = f"Set-Cookie: visits={visits}; Path=/\r\nSet-Cookie: other=1; Path=/elsewhere\r\n"
    reply = json_reply({"cookies": cookies, "visits": visits})
    writer.write(reply.replace(b"\r\n", f"\r\n{set_cookies}".encode(), 1))


async def redirect(request: Request, writer: asyncio.StreamWriter) -> None:
    """/redirect/STATUS?LOCATION"""
    location = request.target.partition("?")[2]
    head = f"HTTP/1.1 {request.argument} Moved\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n"
    writer.write(head.encode())


def header(request: Request, name: str) -> str:
    for line in request.head.decode().split("\r\n")[1:]:
        key, _, value = line.partition(":")
        if key.lower() == name:
            return value.strip()
    return ""


def verbatim(data: bytes) -> Callable[[Request, asyncio.StreamWriter], Awaitable[None]]:
    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(data)

    return answer


STORED: dict[str, int] = {}
TRIED: dict[str, int] = {}


async def make(request: Request, writer: asyncio.StreamWriter) -> None:
    """Store a thing called by the body, as the path says: well, or in one of the wrong ways."""
    how, name = request.argument, request.body.decode()
    TRIED[name] = tried = TRIED.get(name, 0) + 1
    stores = {"well": True, "lose": False, "refuse": False, "down": False}.get(how, True)
    if stores:
        STORED[name] = STORED.get(name, 0) + 1
    if how == "refuse":
        writer.write(json_reply("no", "409 Conflict"))
    elif how == "down" or (how == "twice" and tried == 1):
        writer.write(json_reply("later", "503 Service Unavailable"))
    elif how == "mute" or (how == "cut" and tried == 1):
        writer.close()
    else:
        writer.write(json_reply({"name": name}, "201 Created"))


async def made(request: Request, writer: asyncio.StreamWriter) -> None:
    """How often it is stored."""
    writer.write(json_reply(STORED.get(request.argument, 0)))


BEHAVIORS: dict[str, Callable[[Request, asyncio.StreamWriter], Awaitable[None]]] = {
    "echo": echo,
    "make": make,
    "made": made,
    "chunked": chunked,
    "split": split,
    "slow": slow,
    "hang": hang,
    "close": close,
    "stale": stale,
    "reset": reset,
    "half": half,
    "endless": endless,
    "interim": interim,
    "toclose": to_close,
    "status": status,
    "big": big,
    "stream": stream,
    "cut": cut,
    "badchunk": verbatim(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nsix\r\nhello!"),
    "old": verbatim(b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok"),
    "oldkept": verbatim(
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\nConnection: Keep-Alive\r\n\r\nok"
    ),
    "login": login,
    "whoami": whoami,
    "expire": expire,
    "count": count,
    "redirect": redirect,
    "garbage": verbatim(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "toolong": verbatim(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok, and more"),
    "lengths": verbatim(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok"),
    "empty": verbatim(b"HTTP/1.1 204 No Content\r\n\r\n"),
    "unchanged": verbatim(b"HTTP/1.1 304 Not Modified\r\ncontent-length: 99\r\n\r\n"),
    "headonly": verbatim(b"HTTP/1.1 200 OK\r\ncontent-length: 12345\r\n\r\n"),
    "moved": verbatim(
        b"HTTP/1.1 302 Found\r\nlocation: http://192.0.2.1/elsewhere\r\ncontent-length: 0\r\n\r\n"
    ),
}


async def main() -> None:
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    backlog = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    secured = None
    if len(sys.argv) > 3:
        secured = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        secured.load_cert_chain(sys.argv[3])
    server = await asyncio.start_server(
        Server().serve, "127.0.0.1", port, backlog=backlog, ssl=secured
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
