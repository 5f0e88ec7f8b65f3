"""One client that streams are shown to, and what waits to be sent to it, which has a bound."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from social.live.streams import Stream, kinds_of
from social.tokens import Token

__all__ = ["WAITING_BYTES_MAX", "Connection", "Outbox", "Watch"]

WAITING_BYTES_MAX = 2 << 20
"""Of one connection. Who lets more wait does not read, and is left."""

log = logging.getLogger(__name__)


class Outbox:
    """Events that wait for one client. Full, it ends, and throws away what is in it."""

    def __init__(self) -> None:
        self.ended = ""
        """Why it ended."""
        self._waiting: list[bytes] = []
        self._bytes = 0
        self._wakened = asyncio.Event()

    def give(self, event: bytes) -> None:
        """Add an event."""
        if self.ended:
            return
        self._bytes += len(event)
        if self._bytes > WAITING_BYTES_MAX and self._waiting:
            self._waiting.clear()
            self.end("it is too slow")
            log.warning("a reader of a stream is too slow and is left")
            return
        self._waiting.append(event)
        self._wakened.set()

    def end(self, reason: str) -> None:
        """Give nothing any more; what waits is still taken."""
        self.ended = self.ended or reason
        self._wakened.set()

    async def take(self, patience_s: float) -> list[bytes] | None:
        """All that waits, nothing if nothing came for so long; None at the end."""
        if not self._waiting and not self.ended:
            try:
                async with asyncio.timeout(patience_s):
                    await self._wakened.wait()
            except TimeoutError:
                return []
        self._wakened.clear()
        taken, self._waiting, self._bytes = self._waiting, [], 0
        return taken if taken or not self.ended else None


class Connection:
    """A client with its token and the streams it asked for.

    `encode` makes what is sent of a stream, the name of the event and its payload as JSON, which
    is empty where there is none.
    """

    def __init__(self, token: Token, encode: Callable[[Stream, str, bytes], bytes]) -> None:
        assert token.account_id is not None
        self.token = token
        self.account = token.account_id
        self.outbox = Outbox()
        self.watches: dict[Stream, Watch] = {}
        self._encode = encode

    def give(self, stream: Stream, kind: str, payload: bytes) -> None:
        """Put an event of one of its streams into its outbox."""
        self.outbox.give(self._encode(stream, kind.removeprefix("direct."), payload))


class Watch:
    """One stream of one connection, and the subjects that it hears of now."""

    __slots__ = ("connection", "kinds", "stream", "subjects")

    def __init__(self, connection: Connection, stream: Stream) -> None:
        self.connection = connection
        self.stream = stream
        self.kinds = kinds_of(stream, connection.token)
        self.subjects: frozenset[str] = frozenset()
