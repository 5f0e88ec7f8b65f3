"""How a connection to PostgreSQL begins: packets without a type, and answers of a single byte."""

from __future__ import annotations

from struct import Struct

from loadpath.wire import postgres_messages as m
from loadpath.wire.exchange import Exchange
from loadpath.wire.postgres_texts import startup_database

_LENGTH = Struct(">I").unpack_from


class Startup:
    """Reads the client's packets up to the one that begins a session, or cancels a query.

    `exchange` is there once that has come: `startup`, to be answered, or `cancel`, which is never
    answered: the server just closes that connection. `answers_due` are the requests for encryption
    that wait for the server's one byte. `trouble` says why nothing more can be read.
    """

    def __init__(self) -> None:
        self.exchange: Exchange | None = None
        self.answers_due = 0
        self.trouble: str | None = None
        self._kept = bytearray()
        self._began_s = 0.0
        self._bytes = 0
        self._answers = 0

    def sent(self, data: bytes, at_s: float) -> bytes:
        """What the client sent; returns what is not part of the startup any more."""
        kept = self._kept
        if not kept and not self._bytes:
            self._began_s = at_s
        kept += data
        while len(kept) >= 4:
            length = _LENGTH(kept, 0)[0]
            if kept[0] == 0x16:
                self.trouble = "the connection is encrypted: it begins with TLS"
            elif not 8 <= length <= m.LONGEST_STARTUP:
                self.trouble = f"the client's first packet has the length {length}"
            if self.trouble is not None or len(kept) < max(8, length):
                break
            packet = bytes(kept[8:length])
            code = _LENGTH(kept, 4)[0]
            del kept[:length]
            self._bytes += length
            if code in (m.TLS_CODE, m.GSS_CODE) and length == 8:
                self.answers_due += 1
                continue
            if code == m.CANCEL_CODE:
                self.exchange = Exchange("cancel", "", self._began_s)
                self.exchange.ended_s = self.exchange.first_byte_s = at_s
            elif code >> 16 == 3:
                self.exchange = Exchange("startup", startup_database(packet), self._began_s)
            else:
                version = f"{code >> 16}.{code & 0xFFFF}"
                self.trouble = f"the client speaks PostgreSQL's protocol {version}"
                break
            self.exchange.request_bytes = self._bytes
            self.exchange.reply_bytes = self._answers
            return bytes(kept)
        return b""

    def received(self, data: bytes) -> bytes:
        """What the server sent while answers are due; returns what is not one of them."""
        while self.answers_due and data:
            answer = data[:1]
            if answer == b"N":
                self.answers_due -= 1
                self._answers += 1
                data = data[1:]
            elif answer == b"E":  # a server that cannot go on says so in a message
                self.answers_due = 0
            else:
                how = {b"S": "TLS", b"G": "GSSAPI"}.get(answer)
                self.trouble = (
                    f"the connection is encrypted: the server accepted {how}"
                    if how
                    else "the server's answer to a request for encryption is none"
                )
                return b""
        return data
