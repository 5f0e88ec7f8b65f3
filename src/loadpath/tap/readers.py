"""Which conversation reads which kind of dependency, and what makes a shape of its texts."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from loadpath.wire import Conversation


class Reader(msgspec.Struct, frozen=True):
    """How one kind is read. `shape` takes the values out of an exchange's `text`."""

    conversation: Callable[[], Conversation]
    shape: Callable[[str], str]


READERS: dict[str, Reader] = {}
