"""What may be wrong with a load path: one kind a file in `suspects/`."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

SuspicionKind: TypeAlias = Literal[
    "n_plus_one", "repeated", "transaction_across_call", "no_index", "failing"
]


class Suspicion(msgspec.Struct, frozen=True, kw_only=True):
    """Something in an operation's load path that a reviewer would ask about.

    `certain` False: what was seen fits, and so would something harmless. `shape` is the call it is
    about (a call's, as shown), `said` the finding in a sentence, `advice` what usually cures it.
    """

    kind: SuspicionKind
    dependency: str
    shape: str
    said: str
    advice: str
    certain: bool = True
