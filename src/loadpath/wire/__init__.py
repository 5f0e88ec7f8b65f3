"""What crosses a wire, read: bytes in, finished exchanges out. Pure: no sockets, no clocks."""

from loadpath.wire.exchange import Conversation, Exchange

__all__ = ["Conversation", "Exchange"]
