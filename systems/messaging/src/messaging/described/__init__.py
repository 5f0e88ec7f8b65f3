"""What each endpoint takes and answers, for the OpenAPI document.

One module here for each `api_` module beside it. An entry is found by the method and the path of
the table of endpoints (`endpoints.py`), with names for what varies; who may call and what it does
the table says itself. A test fails when the two differ.
"""

from __future__ import annotations

from messaging.described import (
    account,
    boot,
    cross_signing,
    directory,
    events,
    key_backup,
    keys,
    media,
    messages,
    presence,
    push,
    pushers,
    rooms,
    search,
    server,
    sync,
)
from messaging.described.schemas import Shape

__all__ = ["SHAPES"]

SHAPES: tuple[Shape, ...] = (
    *server.SHAPES,
    *account.SHAPES,
    *boot.SHAPES,
    *rooms.SHAPES,
    *directory.SHAPES,
    *messages.SHAPES,
    *events.SHAPES,
    *sync.SHAPES,
    *keys.SHAPES,
    *cross_signing.SHAPES,
    *key_backup.SHAPES,
    *media.SHAPES,
    *presence.SHAPES,
    *push.SHAPES,
    *pushers.SHAPES,
    *search.SHAPES,
)
