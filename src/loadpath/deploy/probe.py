"""One short conversation with a server, to see whether it is ready."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Coroutine
from typing import TypeAlias, TypeVar

from loadpath.deploy.address import Address
from loadpath.deploy.guard import GuardedChild
from loadpath.spec import Tls
from loadpath.spec.tls import client_context, tls_words

T = TypeVar("T")

Security: TypeAlias = tuple[ssl.SSLContext, str]
"""What to secure a connection with, and the name that the other side goes by."""

CONNECT_TIMEOUT_S = 2.0
_FIRST_PAUSE_S = 0.005
_LONGEST_PAUSE_S = 0.02
"""So late it is seen at the most that a server is back. A look costs some 0.3 ms."""


@contextlib.asynccontextmanager
async def conversation(
    address: Address,
    timeout_s: float = CONNECT_TIMEOUT_S,
    *,
    reset: bool = True,
    security: Security | None = None,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection for at most `timeout_s` seconds.

    Raises `OSError` (of which `TimeoutError` is one) or `EOFError` when there is no such server.
    `reset` closes it at once: a connection that is closed as usual lingers in the kernel, and would
    be taken for one of the service's. `security`: how to speak TLS with it.
    """
    async with asyncio.timeout(timeout_s):
        context, name = security or (None, None)
        reader, writer = await asyncio.open_connection(
            address.host, address.port, ssl=context, server_hostname=name
        )
        try:
            yield reader, writer
        finally:
            if reset:
                connection: socket.socket = writer.get_extra_info("socket")
                at_once = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
            writer.close()


class HandshakeError(Exception):
    """What answers there does not speak TLS as it should; the message says what is wrong."""


async def connects(address: Address) -> OSError | None:
    """None when something accepts connections there, else why not."""
    try:
        async with conversation(address):
            return None
    except OSError as error:
        return error


async def speaks_tls(address: Address) -> bool:
    """Whether a TLS handshake gets anywhere there."""
    try:
        async with conversation(address, security=(client_context(Tls()), "localhost")):
            return True
    except OSError:
        return False


async def http_status(
    address: Address,
    method: str,
    path: str,
    timeout_s: float = CONNECT_TIMEOUT_S,
    *,
    security: Security | None = None,
) -> int | None:
    """The status of one HTTP/1.1 request; None when there is no HTTP reply in that time.

    Raises `HandshakeError` when TLS is spoken otherwise than `security` wants, or not at all.
    """
    request = (
        f"{method} {path} HTTP/1.1\r\nHost: {address}\r\n"
        "User-Agent: loadpath\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    )
    line = b""
    try:
        async with conversation(address, timeout_s, reset=False, security=security) as (
            reader,
            writer,
        ):
            writer.write(request.encode("latin-1", "replace"))
            line = await reader.readline()
            # To its end: a service that cannot send all of its reply would print an error.
            while await reader.read(1 << 16):
                pass
    except ssl.SSLError as error:
        if not line:
            raise HandshakeError(tls_words(error)) from None
    except (OSError, EOFError, ValueError):
        # A server that keeps the connection open all the same has said its status by now.
        pass
    words = line.split(None, 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
        return None
    return int(words[1])


async def unless_ended(child: GuardedChild, answer: Coroutine[None, None, T]) -> T | None:
    """What `answer` returns; None when the child ends meanwhile, and nobody may be there to answer.

    One that had ended before has left a daemon, which is waited for.
    """
    if child.returncode is not None:
        return await answer
    asking = asyncio.ensure_future(answer)
    ending = asyncio.ensure_future(child.wait())
    try:
        await asyncio.wait((asking, ending), return_when=asyncio.FIRST_COMPLETED)
        return asking.result() if asking.done() else None
    finally:
        asking.cancel()
        ending.cancel()
        await asyncio.gather(asking, ending, return_exceptions=True)


async def pauses() -> AsyncIterator[None]:
    """Ever longer pauses to ask again after: short at first, most servers start fast."""
    pause_s = _FIRST_PAUSE_S
    while True:
        yield
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 1.5, _LONGEST_PAUSE_S)
