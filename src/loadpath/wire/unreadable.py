"""Why a conversation can be read no further, and what tells it early."""

from __future__ import annotations

from typing import Final

ENCRYPTED: Final = "the connection is encrypted (TLS)"

_SHOWN_BYTES = 40


class UnreadableError(Exception):
    """What crossed cannot be read, or is out of place; the message is the sentence that says why.

    It never leaves `wire`: a conversation turns it into its `unread`.
    """


def shown(data: bytes) -> str:
    """The beginning of what came, for a sentence that says why it is not read."""
    return repr(bytes(data[:_SHOWN_BYTES]))


def is_encrypted(data: bytes) -> bool:
    """Whether a connection that begins, or goes on, with this speaks TLS (RFC 8446, section 5.1).

    No message of the text protocols begins with that byte.
    """
    return data[:1] == b"\x16" and data[1:2] in {b"", b"\x03"}


def whole_number(digits: bytes) -> int | None:
    """A length or count as protocols write it: ASCII digits and nothing else; None if it is not."""
    if not digits.isdigit() or len(digits) > 18:
        return None
    return int(digits)
