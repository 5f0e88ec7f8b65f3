"""Where one embedded server lives whose data is kept."""

from __future__ import annotations

from pathlib import Path

import msgspec


class KeptHome(msgspec.Struct, frozen=True):
    """Its folder (the data in `data` below it), its password, and the port it had (0: none yet).

    `lock` is a descriptor that it inherits: the folder stays locked as long as it lives.
    """

    folder: Path
    password: str
    port: int
    lock: int
