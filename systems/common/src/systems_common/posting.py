"""POSTs to addresses that strangers named: only to public ones, bounded in time and in size.

The address that was looked at is the one that is connected to, so a name that leads elsewhere the
second time leads nowhere, and no redirection is followed. For one request now and then: each takes
a connection of its own.
"""

from __future__ import annotations

import asyncio
import ssl
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from socket import SOCK_STREAM, getaddrinfo
from urllib.parse import SplitResult, urlsplit

from systems_common.hosts import clean_host, is_local_name, is_public

__all__ = ["NotPostedError", "Poster"]

_LOOKUPS_AT_ONCE = 4
_LOOKUPS_WAITING_MAX = 64
_HEAD_BYTES_MAX = 32 * 1024


class NotPostedError(Exception):
    """There was no answer: the address cannot be reached, may not be, or speaks no HTTP."""


class Poster:
    """Sends JSON. `public_only`: not to addresses of private networks, and only over TLS."""

    def __init__(
        self, *, public_only: bool, timeout_s: float = 10.0, answer_bytes_max: int = 65_536
    ) -> None:
        self._public_only = public_only
        self._timeout_s = timeout_s
        self._answer_bytes_max = answer_bytes_max
        self._tls = ssl.create_default_context()
        # A resolver that hangs holds a thread until it gives up, so these are apart and few.
        self._threads = ThreadPoolExecutor(_LOOKUPS_AT_ONCE, thread_name_prefix="resolve")
        self._looking_up = 0

    def close(self) -> None:
        """Wait for no lookup."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def post(self, url: str, body: bytes) -> tuple[int, bytes]:
        """The status and the body of the answer. Raises `NotPostedError`."""
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._post(url, body)
        except TimeoutError:
            raise NotPostedError(f"{url}: no answer within {self._timeout_s} s") from None
        except (OSError, ValueError, asyncio.IncompleteReadError) as error:
            raise NotPostedError(f"{url}: {error}") from error

    async def _post(self, url: str, body: bytes) -> tuple[int, bytes]:
        parts = urlsplit(url)
        host = clean_host(parts.hostname or "")
        if host is None or parts.scheme not in ("http", "https"):
            raise NotPostedError(f"{url}: expected an http or https URL with a host")
        if self._public_only and (parts.scheme != "https" or is_local_name(host)):
            raise NotPostedError(f"{url}: expected https and a public host")
        is_tls = parts.scheme == "https"
        port = parts.port or (443 if is_tls else 80)
        address = await self._address(host, port)
        reader, writer = await asyncio.open_connection(
            address,
            port,
            ssl=self._tls if is_tls else None,
            server_hostname=host if is_tls else None,
            limit=_HEAD_BYTES_MAX,
        )
        try:
            writer.write(_request(parts, body))
            await writer.drain()
            return await self._answer(reader)
        finally:
            # Aborted rather than closed: nobody waits for the other side's farewell.
            writer.transport.abort()

    async def _address(self, host: str, port: int) -> str:
        if self._looking_up >= _LOOKUPS_WAITING_MAX:
            raise NotPostedError(f"{host}: too many lookups hang")
        self._looking_up += 1
        lookup = asyncio.get_running_loop().run_in_executor(self._threads, _lookup, host, port)
        lookup.add_done_callback(self._looked_up)
        found = await asyncio.shield(lookup)
        # One private address among public ones is how rebinding begins.
        if self._public_only and not all(is_public(ip_address(one)) for one in found):
            raise NotPostedError(f"{host}: it is not a public address")
        return found[0]

    def _looked_up(self, lookup: asyncio.Future[list[str]]) -> None:
        self._looking_up -= 1
        if not lookup.cancelled():
            lookup.exception()  # Whoever waited has had it; one who gave up does not want it.

    async def _answer(self, reader: asyncio.StreamReader) -> tuple[int, bytes]:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.split("\r\n")
        protocol, _, status = first.partition(" ")
        if not protocol.startswith("HTTP/1.") or not status[:3].isdigit():
            raise ValueError("that is not HTTP")
        fields = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines)
        }
        if "chunked" in fields.get("transfer-encoding", "").lower():
            return int(status[:3]), await self._chunks(reader)
        length = fields.get("content-length")
        if length is not None:
            return int(status[:3]), await reader.readexactly(self._bounded(int(length)))
        found = await reader.read(self._answer_bytes_max + 1)
        while part := await reader.read(self._bounded(len(found)) + 1):
            found += part
        return int(status[:3]), found

    async def _chunks(self, reader: asyncio.StreamReader) -> bytes:
        found = b""
        while size := int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16):
            self._bounded(len(found) + size)
            found += await reader.readexactly(size)
            await reader.readexactly(2)
        return found

    def _bounded(self, size: int) -> int:
        if not 0 <= size <= self._answer_bytes_max:
            raise ValueError(f"the answer is larger than {self._answer_bytes_max} bytes")
        return size


def _lookup(host: str, port: int) -> list[str]:
    return [str(one[4][0]) for one in getaddrinfo(host, port, type=SOCK_STREAM)]


def _request(parts: SplitResult, body: bytes) -> bytes:
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = (
        f"POST {target} HTTP/1.1",
        f"Host: {parts.netloc.rpartition('@')[2]}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Connection: close",
    )
    if any(not " " <= letter <= "~" for line in lines for letter in line) or " " in target:
        raise ValueError("expected a URL of printable ASCII without spaces")
    return "\r\n".join((*lines, "", "")).encode("ascii") + body
