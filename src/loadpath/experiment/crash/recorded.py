"""The history of writes that a recording holds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from loadpath.experiment.crash.history import Found, History, Outcome, Read, Write
from loadpath.recording import Recording
from loadpath.recording.schema import EFFECTS_UNKNOWN, WriteOutcome

_OUTCOMES: dict[int, Outcome] = {
    WriteOutcome.INFO: "info",
    WriteOutcome.OK: "ok",
    WriteOutcome.FAIL: "fail",
}


def history_of(recording: Recording, segments: Sequence[int]) -> History:
    """What was tried, read back and found of those segments.

    Tokens are written as the hexadecimal digests that the recording has of them. Writes that were
    not looked for afterwards are left out: nothing can be said of them.
    """
    effects: dict[str, int | None] = {}
    for index in segments:
        rows = recording.table("effects", index)
        for token, count in zip(_named(rows["token"]), rows["effects"].tolist(), strict=True):
            effects[token] = None if count == EFFECTS_UNKNOWN else count
    writes = [
        write for index in segments for write in _writes(recording, index) if write.token in effects
    ]
    reads = [
        read for index in segments for read in _reads(recording, index) if read.token in effects
    ]
    return History(writes=tuple(writes), reads=tuple(reads), found=Found(effects=effects))


def _writes(recording: Recording, index: int) -> list[Write]:
    rows = recording.table("writes", index)
    ended_s = np.where(np.isnan(rows["ended_s"]), np.inf, rows["ended_s"])
    return [
        Write(
            token=token,
            kind=kind,
            started_s=started,
            ended_s=ended,
            outcome=_OUTCOMES[outcome],
            key=key if int(key, 16) else "",
        )
        for token, kind, started, ended, outcome, key in zip(
            _named(rows["token"]),
            rows["kind"].tolist(),
            rows["started_s"].tolist(),
            ended_s.tolist(),
            rows["outcome"].tolist(),
            _named(rows["key"]),
            strict=True,
        )
    ]


def _reads(recording: Recording, index: int) -> list[Read]:
    rows = recording.table("reads", index)
    return [
        Read(token=token, started_s=started, ended_s=ended, seen=int(seen))
        for token, started, ended, seen in zip(
            _named(rows["token"]),
            rows["started_s"].tolist(),
            rows["ended_s"].tolist(),
            rows["seen"].tolist(),
            strict=True,
        )
    ]


def _named(digests: np.ndarray[tuple[int, ...], np.dtype[np.uint64]]) -> list[str]:
    return [f"{digest:016x}" for digest in digests.tolist()]
