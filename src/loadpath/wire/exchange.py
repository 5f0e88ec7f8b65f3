"""The words that all protocols share: an exchange, and the conversation that exchanges make up."""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol, TypeAlias

Transaction: TypeAlias = Literal["none", "open", "failed"]


class Bound(NamedTuple):
    """What a statement of PostgreSQL was run with, as it was on the wire: to run it again exactly.

    `types` is what Parse says behind the statement (their number, their object ids), `values` what
    Bind says behind the names (formats, values, formats of the results); `named` whether the
    statement was prepared under a name. It holds a user's values: see `keep_parameters`.
    """

    types: bytes
    values: bytes
    named: bool


class Exchange:
    """One request and what came back for it, on one connection; or one message that was pushed.

    `verb` says what was asked: for PostgreSQL `query` (simple), `execute` (extended), `prepare`
    (a statement parsed or described but not run), `copy`, `cancel`, `startup`, and a few that
    `postgres.py` lists; for Redis the command in capitals with its subcommand; for NATS the
    operation (`PUB`, `MSG`, …), and what a JetStream delivery is answered with (`ACK`, `NAK`, …);
    for HTTP the method. `text` is the statement, the first key, the subject, or the request target,
    as it was on the wire: it may hold a user's values, so whoever keeps it turns it into its shape
    first. `parameters` is a hash of what the request was given besides `text` (0: nothing), equal
    for equal values within one process and meaningless outside of it. `bound` is None but where a
    reader was asked to keep what statements are run with. `digest` is a hash of what came back, as
    meaningless outside of one process: of the rows of a statement, of the whole reply of a Redis
    command; 0 where the reader was not asked for it.

    `began_s` is when the first byte of the request was read, `first_byte_s` and `ended_s` the first
    and last of the reply, all on the clock of whoever feeds the conversation. `request_bytes` and
    `reply_bytes` are whole messages with their framing. `rows` is None where the protocol has none.
    `error` is the protocol's own code (an SQLSTATE, the first word of a Redis error, the status of
    an HTTP reply of 500 and above), None for success; `status` is every HTTP reply's, None in
    other protocols. `transaction` is the connection's state after the exchange. `pushed` messages
    answer no request: their three times are one. `ended` False: the connection closed, or was no
    longer read, before the reply was whole.
    """

    __slots__ = (
        "began_s",
        "bound",
        "digest",
        "ended",
        "ended_s",
        "error",
        "first_byte_s",
        "parameters",
        "pushed",
        "reply_bytes",
        "request_bytes",
        "rows",
        "status",
        "text",
        "transaction",
        "verb",
    )

    def __init__(self, verb: str, text: str, began_s: float) -> None:
        self.verb = verb
        self.text = text
        self.parameters = 0
        self.bound: Bound | None = None
        self.digest = 0
        self.began_s = began_s
        self.first_byte_s = began_s
        self.ended_s = began_s
        self.request_bytes = 0
        self.reply_bytes = 0
        self.rows: int | None = None
        self.error: str | None = None
        self.status: int | None = None
        self.transaction: Transaction = "none"
        self.pushed = False
        self.ended = True


class Conversation(Protocol):
    """One connection as it is read: told what crossed it, in order; never raises for what it reads.

    `finished` are exchanges that came to their end, for the caller to take (and clear). `unread` is
    None while the conversation is understood. Once it is a sentence that says why it no longer is
    (an encrypted connection, a message nobody knows, one out of place), nothing more is read: the
    bytes may go on, and what was under way has been put into `finished` with `ended` False.
    """

    finished: list[Exchange]
    unread: str | None

    @property
    def idle(self) -> bool:
        """Whether nothing is under way: what comes next begins something, on either side."""
        ...

    def sent(self, data: bytes, at_s: float) -> None:
        """The client sent this; pieces may be cut anywhere."""
        ...

    def received(self, data: bytes, at_s: float) -> None:
        """The server sent this; pieces may be cut anywhere."""
        ...

    def closed(self, at_s: float) -> None:
        """The connection is gone: what was under way is put into `finished` with `ended` False."""
        ...
