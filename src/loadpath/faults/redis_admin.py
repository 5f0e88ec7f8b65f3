"""Commands of Loadpath's own to a Redis server, past its tap."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from loadpath.errors import LoadpathError

if TYPE_CHECKING:
    from loadpath.deploy import RunningDependency
    from loadpath.faults.stage import Stage

_TIMEOUT_S = 10.0


async def tell(stage: Stage, target: str, *commands: tuple[str, ...]) -> list[str]:
    """The same of a dependency of a stage."""
    return await ask(stage.running(target), target, *commands)


async def ask(server: RunningDependency, target: str, *commands: tuple[str, ...]) -> list[str]:
    """The replies to these commands: the text of a string, status or number; the words of an array,
    a line each. Raises `LoadpathError` when one is an error or the server cannot be reached."""
    login = ("AUTH", server.user, server.password) if server.user else ("AUTH", server.password)
    asked = [login, *commands] if server.password else list(commands)
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(server.host, server.port)
            try:
                writer.write(b"".join(_encoded(words) for words in asked))
                replies = [await _reply(reader) for _ in asked]
            finally:
                writer.transport.abort()
    except (OSError, EOFError) as error:
        raise LoadpathError(f"Loadpath itself could not ask {target}: {error!r}") from None
    for words, reply in zip(asked, replies, strict=True):
        if reply.startswith("-"):
            raise LoadpathError(f"{target} answered {words[0]} with: {reply[1:]}")
    return [reply.removeprefix("+") for reply in replies[len(asked) - len(commands) :]]


def fields(info: str) -> dict[str, str]:
    """The reply to INFO as fields."""
    return dict(line.split(":", 1) for line in info.splitlines() if ":" in line)


def _encoded(words: tuple[str, ...]) -> bytes:
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        content = word.encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(content), content))
    return b"".join(parts)


async def _reply(reader: asyncio.StreamReader) -> str:
    line = (await reader.readuntil(b"\r\n"))[:-2]
    if line[:1] == b"$":
        if line == b"$-1":
            return ""
        return (await reader.readexactly(int(line[1:]) + 2))[:-2].decode("utf-8", "replace")
    if line[:1] == b"*":
        return "\n".join([await _reply(reader) for _ in range(int(line[1:]))])
    text = line.decode("utf-8", "replace")
    return text[1:] if line[:1] == b":" else text
