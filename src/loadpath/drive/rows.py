"""One row a request: packed while the load runs, turned into columns when it is over."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from struct import Struct
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Rows: TypeAlias = npt.NDArray[np.void]
Columns: TypeAlias = dict[str, npt.NDArray[Any]]

# One call of a compiled Struct stores a row in 0.2 µs, a third of what a column each would take.
_FIELDS = (
    ("origin_s", "d"),  # intended start of the flow's first step; not written to disk
    ("intended_s", "d"),
    ("sent_s", "d"),
    ("first_byte_s", "d"),
    ("done_s", "d"),
    ("key", "Q"),
    ("flow", "I"),
    ("bytes", "I"),
    ("connection", "I"),
    ("operation", "H"),
    ("status", "H"),
    ("step", "B"),
    ("last", "?"),
    ("blocked", "B"),
    ("error", "B"),
)
_PACKED = Struct("<" + "".join(code for _, code in _FIELDS))
_DTYPE = np.dtype([(name, "<f8" if code == "d" else code) for name, code in _FIELDS])
_BLOCK_ROWS = 8192

AddRow: TypeAlias = Callable[..., None]


class RowBuffer:
    """Rows in the order they were finished.

    `add` takes the fields of `_FIELDS`, in their order, as plain numbers.
    """

    def __init__(self) -> None:
        self._blocks: list[bytearray] = []
        self._used = 0  # bytes of the last block
        self.add: AddRow = self._writer()

    def _writer(self) -> AddRow:
        size = _PACKED.size
        limit = size * _BLOCK_ROWS
        pack_into = _PACKED.pack_into
        blocks = self._blocks
        block = bytearray(limit)
        blocks.append(block)
        used = 0

        def add(*fields: float) -> None:
            nonlocal block, used
            pack_into(block, used, *fields)
            used += size
            if used == limit:
                block = bytearray(limit)
                blocks.append(block)
                used = 0

        def count() -> int:
            return (len(blocks) - 1) * _BLOCK_ROWS + used // size

        self._count = count
        return add

    def __len__(self) -> int:
        return self._count()

    def since(self, index: int) -> Rows:
        """The rows from number `index` on, as a structured array."""
        first, skipped = divmod(index, _BLOCK_ROWS)
        parts = [np.frombuffer(block, _DTYPE) for block in self._blocks[first:]]
        parts[-1] = parts[-1][: self._count() - (len(self._blocks) - 1) * _BLOCK_ROWS]
        parts[0] = parts[0][skipped:]
        return np.concatenate(parts) if len(parts) > 1 else parts[0]


def columns(
    rows: Rows,
    segment: int,
    keys: npt.NDArray[np.uint64],
    identities: npt.NDArray[np.uint64],
    messages: Mapping[int, int],
) -> Columns:
    """The columns that `loadpath.recording` writes; `keys` and `identities` replace the codes.

    `messages` has the numbers of those rows that have one.
    """
    result: Columns = {"segment": np.full(len(rows), segment, dtype=np.uint16)}
    for name, _ in _FIELDS:
        if name != "origin_s":
            result[name] = np.ascontiguousarray(rows[name])
    result["key"] = keys
    result["identity"] = identities
    taken = result["messages"] = np.zeros(len(rows), dtype=np.uint32)
    if messages:
        taken[np.fromiter(messages.keys(), np.intp)] = np.fromiter(messages.values(), np.uint32)
    return result


def digests(
    codes: npt.NDArray[np.uint64], text_of: Callable[[int], str], salt: bytes
) -> npt.NDArray[np.uint64]:
    """A salted 64-bit digest of every key code's text (BLAKE2b, keyed); 0 stays 0.

    Equal texts have equal digests, whatever key set they are from.
    """
    distinct, where = np.unique(codes, return_inverse=True)
    table = np.array(
        [_digest(text_of(code), salt) if code else 0 for code in distinct.tolist()],
        dtype=np.uint64,
    )
    return table[where] if len(table) else codes


def digests_of(texts: Sequence[str], salt: bytes) -> npt.NDArray[np.uint64]:
    """A salted digest of each text, as in the columns `key`; that of an empty one is 0."""
    return np.array([_digest(text, salt) if text else 0 for text in texts], dtype=np.uint64)


def _digest(text: str, salt: bytes) -> int:
    digest = hashlib.blake2b(text.encode(), digest_size=8, key=salt[:64]).digest()
    return int.from_bytes(digest, "little") or 1
