"""Which conversation reads which kind of dependency, and what takes the values out of its texts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from loadpath.wire import Conversation
from loadpath.wire.http1 import HttpConversation
from loadpath.wire.nats import NatsConversation
from loadpath.wire.postgres import PostgresConversation
from loadpath.wire.resp import RedisConversation
from loadpath.wire.shape_sets import ShapeSet
from loadpath.wire.shapes import key_shape, path_shape, subject_shape
from loadpath.wire.statements import statement_shape


class Shaping(Protocol):
    """Makes shapes of the texts of one tap, and may learn from them which words are values."""

    def add(self, text: str) -> str:
        """Learn from a text; its shape as it looks so far."""
        ...

    def settle(self, shape: str) -> str:
        """What a shape that `add` returned has become by what was learned since."""
        ...


class Reader(msgspec.Struct, frozen=True):
    """How one kind is read: a conversation for each connection, a shaping for each tap.

    `attentive` makes the conversation that does more than it must: keeps what statements are run
    with (its first argument), digests replies (the second); None: nobody can.
    """

    conversation: Callable[[], Conversation]
    shaping: Callable[[], Shaping]
    attentive: Callable[[bool, bool], Conversation] | None = None


class StatementShapes:
    """The shapes of SQL statements, each of which tells its values by itself."""

    def add(self, text: str) -> str:
        """Its shape."""
        return statement_shape(text).text

    def settle(self, shape: str) -> str:
        """The same."""
        return shape


READERS: dict[str, Reader] = {
    "postgres": Reader(
        PostgresConversation,
        StatementShapes,
        lambda keeps, digests: PostgresConversation(keep_parameters=keeps, digest_replies=digests),
    ),
    "valkey": Reader(
        RedisConversation,
        lambda: ShapeSet(key_shape, ":/|.#{}", "*"),
        lambda keeps, digests: RedisConversation(digest_replies=digests),
    ),
    "nats": Reader(NatsConversation, lambda: ShapeSet(subject_shape, ".", "*")),
    "http": Reader(HttpConversation, lambda: ShapeSet(path_shape, "/", "{}")),
}
