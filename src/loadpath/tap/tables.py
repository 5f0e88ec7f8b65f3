"""Blocks of rows made into the tables of a recording, by a thread beside the relay."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from loadpath.recording.schema import CONNECTIONS, EXCHANGES, SHAPES, TableSchema
from loadpath.recording.tables import TableFile
from loadpath.tap.plan import Window
from loadpath.tap.readers import Shaping
from loadpath.tap.recorder import EXCHANGE_FIELDS, TRANSACTIONS, Block, ConnectionRow
from loadpath.tap.shapes import Shapes

BLOCKS_WAITING_MAX = 4

Words: TypeAlias = np.ndarray[Any, np.dtype[np.object_]]


class Meaning(msgspec.Struct, frozen=True):
    """What the numbers in a block stand for: names and shapings by tap, verbs, errors."""

    taps: tuple[str, ...]
    shapings: tuple[Shaping | None, ...]
    verbs: tuple[str, ...]
    errors: tuple[str, ...]


class Tables:
    """Writes the tables of a window as its blocks come, in one thread, in order.

    A block that comes while `BLOCKS_WAITING_MAX` wait is not written; `lost_exchanges` counts its
    rows: the relay never waits for a disk.
    """

    def __init__(self) -> None:
        self.lost_exchanges = 0
        self._thread = ThreadPoolExecutor(1, "tables")
        self._waiting: list[Future[None]] = []
        self._shapes = Shapes()
        self._salt = secrets.token_bytes(16)
        self._files: _Files | None = None

    def begin(self, window: Window) -> None:
        """Begin the files of a window. Raises `RecordingError`."""
        self.lost_exchanges = 0
        self._waiting.clear()
        self._files = _Files(window, self._shapes, self._salt)

    def add(self, block: Block, meaning: Meaning, *, last: bool = False) -> None:
        """Have a block written; returns at once."""
        files = self._files
        if files is None:
            return
        # What failed stays, for `end` to raise.
        self._waiting = [w for w in self._waiting if not w.done() or w.exception() is not None]
        if not last and sum(not w.done() for w in self._waiting) >= BLOCKS_WAITING_MAX:
            self.lost_exchanges += files.rows_of(block)
            return
        self._waiting.append(self._thread.submit(files.add, block, meaning))

    def end(self, meaning: Meaning) -> None:
        """Wait until all is written and close the files. Raises `RecordingError`."""
        files, self._files = self._files, None
        if files is None:
            return
        try:
            for written in self._waiting:
                written.result()
            self._thread.submit(files.finish, meaning).result()
        except BaseException:
            self._thread.submit(files.abandon).result()
            raise

    def close(self) -> None:
        """Give up what was not ended."""
        files, self._files = self._files, None
        if files is not None:
            self._thread.submit(files.abandon).result()
        self._thread.shutdown()


class _Files:
    """The three files of one window. Its methods run in the thread, one at a time."""

    def __init__(self, window: Window, shapes: Shapes, salt: bytes) -> None:
        self._window = window
        self._shapes = shapes
        self._salt = salt
        self._seen: set[int] = set()
        self._open: list[TableFile] = []
        try:
            self._exchanges = self._file(window.exchanges, EXCHANGES)
            self._connections = self._file(window.connections, CONNECTIONS)
        except BaseException:
            self.abandon()
            raise

    def rows_of(self, block: Block) -> int:
        return block.used // _ROW.itemsize

    def add(self, block: Block, meaning: Meaning) -> None:
        if block.used:
            rows = np.frombuffer(block.rows, _ROW, self.rows_of(block))
            self._exchanges.append(self._exchange_columns(rows, block, meaning))
        if block.connections:
            self._connections.append(
                connection_columns(self._window.segment, block.connections, meaning.taps)
            )

    def finish(self, meaning: Meaning) -> None:
        shapes = self._file(self._window.shapes, SHAPES)
        numbers = sorted(self._seen)
        names, texts = [], []
        for tap, text in map(self._shapes.shape, numbers):
            shaping = None if tap is None else meaning.shapings[tap]
            names.append("" if tap is None else meaning.taps[tap])
            texts.append(text if shaping is None else shaping.settle(text))
        shapes.append(
            {
                "segment": np.full(len(numbers), self._window.segment),
                "shape": np.array(numbers, "u4"),
                "tap": words(names),
                "text": words(texts),
            }
        )
        for file in self._open:
            file.close()

    def abandon(self) -> None:
        for file in self._open:
            file.abandon()

    def _file(self, path: Any, table: TableSchema) -> TableFile:
        file = TableFile(path, table)
        self._open.append(file)
        return file

    def _exchange_columns(
        self, rows: np.ndarray[Any, Any], block: Block, meaning: Meaning
    ) -> Mapping[str, npt.ArrayLike]:
        shape = np.zeros(len(rows), "u4")
        digest = np.zeros(len(rows), "u8")
        for tap, texts in block.texts.items():
            shaping = meaning.shapings[tap]
            assert shaping is not None, "what was read has a reader"
            of_tap = rows["tap"] == tap
            numbers = [self._shapes.number(tap, text, shaping) for text in texts]
            self._seen.update(numbers)
            named = rows["text"][of_tap]
            shape[of_tap] = np.array(numbers, "u4")[named]
            digest[of_tap] = np.array([self._digest(text) for text in texts], "u8")[named]
        return {
            "segment": np.full(len(rows), self._window.segment),
            "tap": words(meaning.taps)[rows["tap"]],
            "connection": rows["connection"],
            "verb": words(meaning.verbs)[rows["verb"]],
            "shape": shape,
            "parameters": mixed(rows["parameters"], digest),
            "began_s": rows["began_s"],
            "first_byte_s": rows["first_byte_s"],
            "ended_s": rows["ended_s"],
            "request_bytes": rows["request_bytes"],
            "reply_bytes": rows["reply_bytes"],
            "rows": rows["rows"],
            "status": rows["status"],
            "error": words(meaning.errors)[rows["error"]],
            "transaction": words(TRANSACTIONS)[rows["transaction"]],
            "pushed": rows["pushed"],
            "ended": rows["ended"],
            "digest": np.where(rows["digest"] > 0, mixed(rows["digest"], digest), np.uint64(0)),
        }

    def _digest(self, text: str) -> int:
        content = text.encode("utf-8", "surrogatepass")
        return int.from_bytes(hashlib.blake2b(content, digest_size=8, key=self._salt).digest())


_ROW = np.dtype([(name, kind) for name, kind in EXCHANGE_FIELDS])


def words(of: Iterable[str]) -> Words:
    """Text as an array, so that numbers can choose from it."""
    return np.array(list(of), dtype=object)


def mixed(parameters: npt.NDArray[np.uint64], salt: npt.NDArray[np.uint64]) -> npt.NDArray[Any]:
    """One number for a text and its parameters, by the finalizer of MurmurHash3 (Appleby, 2011).

    `salt` is a keyed digest of the text, so equal results mean equal text and parameters, and none
    can be told from a result without the key.
    """
    value = parameters ^ salt
    for shift, factor in ((33, 0xFF51AFD7ED558CCD), (33, 0xC4CEB9FE1A85EC53)):
        value = (value ^ (value >> np.uint64(shift))) * np.uint64(factor)
    mixed_value: npt.NDArray[Any] = (value ^ (value >> np.uint64(33))) + salt
    return mixed_value


def connection_columns(
    segment: int, rows: Iterable[ConnectionRow], taps: tuple[str, ...]
) -> Mapping[str, npt.ArrayLike]:
    """The columns of the table of connections."""
    kept = list(rows)
    return {
        "segment": np.full(len(kept), segment),
        "tap": words(taps[row.tap] for row in kept),
        "connection": np.array([row.number for row in kept], "u4"),
        "opened_s": np.array([row.opened_s for row in kept], "f8"),
        "connected_s": np.array([row.connected_s for row in kept], "f8"),
        "closed_s": np.array([row.closed_s for row in kept], "f8"),
        "left_s": np.array([row.left_s for row in kept], "f8"),
        "ending": words(row.ending for row in kept),
        "sent_bytes": np.array([row.sent_bytes for row in kept], "u8"),
        "received_bytes": np.array([row.received_bytes for row in kept], "u8"),
        "exchanges": np.array([row.exchange_count for row in kept], "u8"),
        "unfinished": np.array([row.unfinished_count for row in kept], "u8"),
        "unread": words(row.unread for row in kept),
    }
