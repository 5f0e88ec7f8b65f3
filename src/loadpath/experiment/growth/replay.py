"""A client of PostgreSQL that runs a statement with bytes that crossed a wire before.

Drivers turn values into bytes, each in its own way (asyncpg in binary, others as text), and no
driver takes bytes back. Sending the same Parse and Bind again needs no value to be understood, and
leaves the choice of a plan to the server, as it was for the service: after five runs of a statement
that was prepared under a name it may settle for one plan for all values. The plan is heard from
auto_explain, since EXPLAIN would make another one, of its own.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import secrets
import struct
import time
from types import TracebackType
from typing import Any, Final

import msgspec

from loadpath.errors import WouldNotRunError
from loadpath.statements.plan import ran
from loadpath.statements.record import Ran

CONNECT_TIMEOUT_S = 10.0
STATEMENT_TIMEOUT_S = 20.0
"""What takes longer than this is said to, and not waited for."""

_PROTOCOL_3: Final = 196608
_HEARING = """
LOAD 'auto_explain';
SET auto_explain.log_min_duration = 0; SET auto_explain.log_analyze = on;
SET auto_explain.log_buffers = on; SET auto_explain.log_wal = on; SET auto_explain.log_timing = off;
SET auto_explain.log_format = json; SET auto_explain.log_level = notice;
SET auto_explain.log_nested_statements = on; SET auto_explain.log_parameter_max_length = 0
"""


class ServerError(Exception):
    """What the server said instead of doing it. `code` is the SQLSTATE."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Replay:
    """One connection. Use it as an async context manager; one statement at a time.

    Raises `WouldNotRunError` when it cannot connect, and `ServerError` for what the server refuses.
    """

    def __init__(self, *, host: str, port: int, user: str, password: str, database: str) -> None:
        self._where = (host, port)
        self._login = (user, password, database)
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def __aenter__(self) -> Replay:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                self._reader, self._writer = await asyncio.open_connection(*self._where)
                await self._log_in()
                for statement in _HEARING.split(";"):
                    await self.do(statement)
        except (OSError, TimeoutError, EOFError, ServerError) as error:
            raise WouldNotRunError(
                f"the grown database cannot be asked: {str(error) or type(error).__name__}",
                advice="auto_explain has to be there, and the user has to be a superuser.",
            ) from error
        await self.do(f"SET statement_timeout = {int(1000 * STATEMENT_TIMEOUT_S)}")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.close()

    async def do(self, statement: str) -> None:
        """Run a statement without looking at what it returns."""
        self._send(b"Q", statement.encode() + b"\0")
        await self._answer()

    async def prepare(self, name: str, text: str, types: bytes) -> None:
        """Parse a statement under that name, with what its Parse said of types."""
        self._send(b"P", name.encode() + b"\0" + text.encode() + b"\0" + (types or b"\0\0"))
        self._send(b"S", b"")
        await self._answer()

    async def forget(self, name: str) -> None:
        """Close a prepared statement."""
        self._send(b"C", b"S" + name.encode() + b"\0")
        self._send(b"S", b"")
        await self._answer()

    async def run(self, name: str, values: bytes) -> Ran:
        """Bind and execute what was prepared; what it did, by the server's own account."""
        began_s = time.perf_counter()
        self._send(b"B", b"\0" + name.encode() + b"\0" + (values or b"\0\0\0\0\0\0"))
        self._send(b"E", b"\0\0\0\0\0")
        # Within a transaction a portal is open until it is closed, and its plan is told only then.
        self._send(b"C", b"P\0")
        self._send(b"S", b"")
        tag, told = await self._answer()
        took_s = time.perf_counter() - began_s
        plans: list[dict[str, Any]] = []
        for text in told:
            said, found, plan = text.partition("plan:\n")
            if said.startswith("duration: ") and found:
                plans.append(msgspec.json.decode(plan.encode()))
                took_s = float(said.split()[1]) / 1000
        if not plans:
            raise ServerError("", f"{tag or 'it'} has no plan")
        return ran(plans, affected=_count(tag), time_s=took_s)

    async def _log_in(self) -> None:
        user, password, database = self._login
        fields = ("user", user, "database", database, "application_name", "loadpath")
        packet = b"".join(word.encode() + b"\0" for word in fields) + b"\0"
        self._writer.write(struct.pack("!II", len(packet) + 8, _PROTOCOL_3) + packet)
        scram = _Scram(password)
        while True:
            kind, body = await self._message()
            if kind == b"R":
                self._authenticate(int.from_bytes(body[:4]), body[4:], user, password, scram)
            elif kind == b"E":
                raise _error(body)
            elif kind == b"Z":
                return

    def _authenticate(
        self, asked: int, rest: bytes, user: str, password: str, scram: _Scram
    ) -> None:
        if asked == 3:
            self._send(b"p", password.encode() + b"\0")
        elif asked == 5:
            inner = hashlib.md5(password.encode() + user.encode()).hexdigest()
            self._send(
                b"p", b"md5" + hashlib.md5(inner.encode() + rest).hexdigest().encode() + b"\0"
            )
        elif asked == 10:
            first = scram.first()
            self._send(b"p", b"SCRAM-SHA-256\0" + len(first).to_bytes(4) + first)
        elif asked == 11:
            self._send(b"p", scram.final(rest))
        elif asked not in (0, 12):
            raise ServerError("", f"the server asks for a login of a kind ({asked}) unknown here")

    async def _answer(self) -> tuple[str, list[str]]:
        """Command tag and notices up to ReadyForQuery. Raises `ServerError` after that."""
        await self._writer.drain()
        tag, told, failed = "", [], None
        while True:
            kind, body = await self._message()
            if kind == b"N":
                told.append(_field(body, b"M"))
            elif kind == b"C":
                tag = body[:-1].decode()
            elif kind == b"E":
                failed = _error(body)
            elif kind == b"Z":
                if failed is not None:
                    raise failed
                return tag, told

    def _send(self, kind: bytes, body: bytes) -> None:
        self._writer.write(kind + (len(body) + 4).to_bytes(4) + body)

    async def _message(self) -> tuple[bytes, bytes]:
        head = await self._reader.readexactly(5)
        return head[:1], await self._reader.readexactly(int.from_bytes(head[1:]) - 4)


class _Scram:
    """The client's side of SCRAM-SHA-256 (RFC 5802, RFC 7677) without channel binding."""

    def __init__(self, password: str) -> None:
        self._password = password.encode()
        self._nonce = base64.b64encode(secrets.token_bytes(18))

    def first(self) -> bytes:
        return b"n,,n=,r=" + self._nonce

    def final(self, server_first: bytes) -> bytes:
        given = dict(part.split(b"=", 1) for part in server_first.split(b","))
        salt, rounds = base64.b64decode(given[b"s"]), int(given[b"i"])
        salted = hashlib.pbkdf2_hmac("sha256", self._password, salt, rounds)
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        without_proof = b"c=biws,r=" + given[b"r"]
        said = b"n=,r=" + self._nonce + b"," + server_first + b"," + without_proof
        signature = hmac.digest(hashlib.sha256(client_key).digest(), said, "sha256")
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        return without_proof + b",p=" + base64.b64encode(proof)


def _count(tag: str) -> int | None:
    last = tag.rpartition(" ")[2]
    return int(last) if last.isdigit() else None


def _field(body: bytes, name: bytes) -> str:
    for field in body.split(b"\0"):
        if field[:1] == name:
            return field[1:].decode("utf-8", "replace")
    return ""


def _error(body: bytes) -> ServerError:
    return ServerError(_field(body, b"C"), _field(body, b"M"))
