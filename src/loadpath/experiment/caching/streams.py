"""Each operation's stream of requests for keys, out of a digested segment. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np
import numpy.typing as npt

from loadpath.caching.stream import (
    UNKNOWN,
    Changes,
    Ids,
    Stream,
    chosen,
    make_changes,
    make_stream,
)
from loadpath.experiment.caching.changed import Writer, changed_by
from loadpath.recording import Recording
from loadpath.recording.reader import Columns
from loadpath.spec.workload import SAFE_METHODS

KEPT_METHODS = ("GET", "HEAD")
"""What a shared cache keeps replies to."""


class Seen(msgspec.Struct, frozen=True, eq=False):
    """What one operation's replies said, in the order in which its requests were sent.

    `methods` counts its requests by method. `stream` has those that a cache may keep, less the
    others; `headers` and `authorized` are of the same requests. `span_s` is how long the whole
    segment lasted.
    """

    operation: str
    methods: Mapping[str, int]
    stream: Stream
    headers: npt.NDArray[np.object_]
    authorized: npt.NDArray[np.bool_]
    span_s: float

    @property
    def writes(self) -> bool:
        """Whether it does anything but ask."""
        return any(method not in SAFE_METHODS for method in self.methods)


class Observed(msgspec.Struct, frozen=True, eq=False):
    """One digested segment: what each operation's replies said, and which of them change others."""

    operations: tuple[Seen, ...]
    writers: tuple[Writer, ...]
    span_s: float


def observed(recording: Recording, index: int) -> Observed:
    """What the replies of a digested segment said."""
    rows = recording.table("replies", index)
    segment = recording.segment(index)
    order = np.argsort(rows["sent_s"], kind="stable")
    rows = {name: column[order] for name, column in rows.items()}
    began_s = segment.started_s
    everything = _stream(rows, began_s, make_changes())
    writing = ~np.isin(rows["method"].astype(str), SAFE_METHODS)
    done_s = rows["done_s"] - began_s
    acknowledged = writing & (rows["status"] < 400)
    names = recording.operations
    kept = np.isin(rows["method"].astype(str), KEPT_METHODS)
    found = changed_by(
        chosen(everything, kept),
        {
            name: np.sort(done_s[acknowledged & (rows["operation"] == number)])
            for number, name in enumerate(names)
            if (acknowledged & (rows["operation"] == number)).any()
        },
    )
    everything = msgspec.structs.replace(everything, changes=found.changes)
    span_s = segment.ended_s - segment.started_s
    operations = []
    for number, name in enumerate(names):
        mine = rows["operation"] == number
        if not mine.any():
            continue
        asked = mine & kept
        methods, counts = np.unique(rows["method"][mine].astype(str), return_counts=True)
        operations.append(
            Seen(
                operation=name,
                methods=dict(zip(methods.tolist(), counts.tolist(), strict=True)),
                stream=chosen(everything, asked),
                headers=rows["headers"][asked],
                authorized=rows["authorized"][asked],
                span_s=span_s,
            )
        )
    return Observed(tuple(operations), found.writers, span_s)


def _stream(rows: Columns, began_s: float, changes: Changes) -> Stream:
    asker = np.where(rows["credentials"] > 0, rows["credentials"], rows["identity"])
    return make_stream(
        rows["sent_s"] - began_s,
        numbered(rows["key"]),
        digest=rows["digest"].view(np.int64),
        status=rows["status"].astype(np.int16),
        body_bytes=rows["bytes"].astype(np.int64),
        identity=np.where(asker > 0, numbered(asker), UNKNOWN),
        took_s=np.maximum(rows["done_s"] - rows["sent_s"], 0.0),
        changes=changes,
    )


def numbered(digests: npt.NDArray[np.uint64]) -> Ids:
    """Small numbers for digests, equal for equal ones."""
    return np.asarray(np.unique(digests, return_inverse=True)[1], dtype=np.int64)
