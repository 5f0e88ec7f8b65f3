"""What a service asks of its dependencies again and again, as streams, from the wires. Pure.

A stream is one statement (or command) by its shape, its parameters are the keys. What a transaction
that writes reads is left out: it reads for itself, and a cache must not answer it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec
import numpy as np
import numpy.typing as npt

from loadpath.caching.stream import UNKNOWN, Flags, Floats, Stream, make_stream
from loadpath.experiment.attribution.reading import reads
from loadpath.experiment.caching.changed import Writer, changed_by
from loadpath.experiment.caching.streams import numbered
from loadpath.recording import Recording, SegmentRecord
from loadpath.recording.reader import Columns

ASKED_MIN = 50
"""Of fewer calls there is nothing to be said."""

_CHANGES = re.compile(r"\b(?:INSERT|UPDATE|DELETE|MERGE|TRUNCATE|COPY|CALL)\b")
_MORE_THAN_READS = re.compile(
    r"\b(?:INTO|FOR (?:KEY )?SHARE|NEXTVAL|SETVAL|PG_\w+|LO_\w+|SET_CONFIG)\b"
)
"""A read that locks, draws a number, notifies: its rows are not all that it is asked for. (FOR
UPDATE is among `_CHANGES`: who locks means to write.)"""

_OF_THE_MOMENT = frozenset(("TTL", "PTTL", "SRANDMEMBER", "SCAN", "HSCAN", "SSCAN", "ZSCAN"))
_OWN = frozenset(("startup", "cancel", "prepare", "sync"))


class Asked(msgspec.Struct, frozen=True, eq=False):
    """One statement that only reads, of all its calls in a segment.

    `stream` has those that a cache may answer; `inside_writes` is the share of the others, made in
    a transaction that writes. `writers` are the statements that write to the same dependency, and
    whether they change what this one is answered. `digested`: whether it is known what came back.
    `requests_per_s` is the rate at which the service was asked meanwhile.
    """

    dependency: str
    kind: str
    shape: str
    stream: Stream
    inside_writes: float
    writers: tuple[Writer, ...]
    digested: bool
    span_s: float
    requests_per_s: float


def asked(recording: Recording, segment: SegmentRecord) -> tuple[Asked, ...]:
    """The statements that read, by dependency, each asked `ASKED_MIN` times at least."""
    every = recording.exchanges(segment.index)
    texts = recording.shapes(segment.index)
    found: list[Asked] = []
    for dependency in recording.setup.service.dependencies:
        if dependency.kind not in ("postgres", "valkey"):
            continue
        mine = (every["tap"] == dependency.name) & every["ended"] & ~every["pushed"]
        rows = {name: column[mine] for name, column in every.items()}
        found += _of(dependency.name, dependency.kind, rows, texts, segment)
    return tuple(found)


class _Calls(msgspec.Struct, frozen=True, eq=False):
    """The exchanges with one dependency: what each was of, and whether its transaction writes, and
    when that ended."""

    number: npt.NDArray[np.int64]
    names: tuple[tuple[str, str], ...]
    writes: Flags
    inside: Flags
    effective_s: Floats


def _of(
    dependency: str,
    kind: str,
    rows: Columns,
    texts: Mapping[int, str],
    segment: SegmentRecord,
) -> list[Asked]:
    order = np.lexsort((rows["ended_s"], rows["connection"]))
    rows = {name: column[order] for name, column in rows.items()}
    calls = _calls(kind, rows, texts)
    span_s = segment.ended_s - segment.started_s
    began_s = rows["began_s"] - segment.started_s
    writes_s: dict[str, Floats] = {}
    for number in np.unique(calls.number[calls.writes]):
        at_s = calls.effective_s[calls.writes & (calls.number == number)] - segment.started_s
        name = _shown(kind, *calls.names[number])
        writes_s[name] = np.sort(np.concatenate([writes_s.get(name, np.empty(0)), at_s]))
    found = []
    for number, (verb, text) in enumerate(calls.names):
        if not keepable(kind, verb, text):
            continue
        mine = (calls.number == number) & (rows["error"] == "")
        if kind == "valkey":
            # What is queued in a transaction is answered by EXEC.
            mine &= rows["transaction"] == "none"
        free = mine & ~calls.inside
        if mine.sum() < ASKED_MIN or not free.any():
            continue
        digests = rows["digest"][free]
        stream = make_stream(
            began_s[free],
            numbered(rows["parameters"][free]),
            digest=np.where(digests > 0, digests.view(np.int64), UNKNOWN),
            body_bytes=rows["reply_bytes"][free].astype(np.int64),
            took_s=np.maximum(rows["ended_s"][free] - rows["began_s"][free], 0.0),
        )
        changed = changed_by(stream, writes_s)
        found.append(
            Asked(
                dependency=dependency,
                kind=kind,
                shape=_shown(kind, verb, text),
                stream=msgspec.structs.replace(stream, changes=changed.changes),
                inside_writes=1 - float(free.sum() / mine.sum()),
                writers=changed.writers,
                digested=bool((digests > 0).all()),
                span_s=span_s,
                requests_per_s=max(segment.arrivals, 1) / span_s,
            )
        )
    return found


def _calls(kind: str, rows: Columns, texts: Mapping[int, str]) -> _Calls:
    """Rows have to be in order, connection by connection."""
    # Several numbers may have one text, and a statement is one however it was sent.
    sent = np.where(np.isin(rows["verb"].astype(str), ("query", "execute")), "", rows["verb"])
    pairs = list(zip(sent.tolist(), rows["shape"].tolist(), strict=True))
    names = {pair: (pair[0], texts.get(pair[1], "")) for pair in set(pairs)}
    known = tuple(sorted(set(names.values())))
    place = {name: number for number, name in enumerate(known)}
    number = np.array([place[names[pair]] for pair in pairs], dtype=np.int64)
    writing = np.array([changes(kind, *name) for name in known], dtype=np.bool_)
    writes = writing[number] & (rows["error"] == "") if len(number) else np.empty(0, np.bool_)
    first = np.ones(len(number), dtype=np.bool_)
    before = rows["transaction"][:-1] == "none"
    first[1:] = before | (rows["connection"][1:] != rows["connection"][:-1])
    transaction = np.cumsum(first) - 1
    count = int(transaction[-1]) + 1 if len(number) else 0
    writes_in = np.bincount(transaction, weights=writes, minlength=count)
    ends_s = np.zeros(count)
    np.maximum.at(ends_s, transaction, rows["ended_s"])
    return _Calls(number, known, writes, writes_in[transaction] > 0, ends_s[transaction])


def changes(kind: str, verb: str, text: str) -> bool:
    """Whether such a call may change what others are answered."""
    if kind == "valkey":
        return not reads(kind, verb, text) and bool(text)
    return verb not in _OWN and _CHANGES.search(text.upper()) is not None


def keepable(kind: str, verb: str, text: str) -> bool:
    """Whether such a call only reads, and what it reads is all that it is asked for."""
    if kind == "valkey":
        return reads(kind, verb, text) and verb not in _OF_THE_MOMENT
    if verb:
        return False
    upper = text.upper()
    reading = upper.startswith(("SELECT", "WITH", "VALUES")) and "FROM" in upper
    return reading and not (_CHANGES.search(upper) or _MORE_THAN_READS.search(upper))


def _shown(kind: str, verb: str, text: str) -> str:
    """As a load path names it."""
    return text if kind == "postgres" else f"{verb} {text}".strip()
