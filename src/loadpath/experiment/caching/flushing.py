"""A cold cache: emptied under load, and how much then comes through to the service."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from loadpath.caching.cold import after_flush
from loadpath.caching.stream import Stream
from loadpath.drive import OpenLoad
from loadpath.errors import RecordingError
from loadpath.experiment.arm import Arm
from loadpath.experiment.assess import responses
from loadpath.experiment.knee import mix_of
from loadpath.recording import Recording
from loadpath.recording.files import damaged, replace_with
from loadpath.stats.quantiles import quantile

PURPOSE = "cache-flush"
FILE = "flush.json"
BEFORE_S, AFTER_S = 2.5, 3.0
LOOK_EVERY_S = 0.1
JUDGED_S = 1.0
"""What comes through is told of the first second after the flush."""

MOMENTS = 8


class Flush(msgspec.Struct, frozen=True, kw_only=True):
    """The cache was emptied at `flushed_s`; `asked` is how many requests had reached the service by
    `at_s`. Monotonic seconds."""

    segment: int
    flushed_s: float
    at_s: tuple[float, ...]
    asked: tuple[int, ...]


class Cold(msgspec.Struct, frozen=True, kw_only=True):
    """Requests a second that reach the service: with the cache warm, and in the first second after
    it was emptied, as foretold and as measured; and the p99 of both, in seconds."""

    warm_per_s: float
    cold_per_s: float
    foretold_per_s: float | None
    warm_p99_s: float
    cold_p99_s: float


async def flush_under_load(arm: Arm, per_s: float) -> None:
    """Empty the cache in the middle of a segment of load, and keep what came through."""
    assert arm.front is not None
    duration_s = BEFORE_S + AFTER_S
    driving = asyncio.create_task(
        arm.drive(
            PURPOSE,
            OpenLoad(rate_per_s=per_s),
            duration_s=duration_s,
            weights=mix_of(arm.setup.workload),
        )
    )
    flushed_s = 0.0
    at_s: list[float] = []
    asked: list[int] = []
    began_s = time.monotonic()
    while not driving.done():
        if not flushed_s and time.monotonic() - began_s >= BEFORE_S:
            await arm.front.flush()
            flushed_s = time.monotonic()
        counts = await arm.front.counts()
        at_s.append(time.monotonic())
        asked.append(counts.passed + sum(rule.fetched for rule in counts.rules))
        await asyncio.sleep(LOOK_EVERY_S)
    segment = await driving
    found = Flush(segment=segment.index, flushed_s=flushed_s, at_s=tuple(at_s), asked=tuple(asked))
    replace_with(arm.directory / FILE, msgspec.json.encode(found) + b"\n")


def read_flush(recording: Recording) -> Flush | None:
    """What was kept of it; None: there was none. Raises `RecordingError`."""
    file: Path = recording.directory / FILE
    try:
        return msgspec.json.decode(file.read_bytes(), type=Flush)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RecordingError(f"{file} cannot be read: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise damaged(f"{file} is damaged: {error}") from error


def cold_of(
    recordings: Sequence[Recording], kept: Sequence[tuple[Stream, float]], others_per_s: float
) -> Cold | None:
    """What the first flush of these did. `kept` are the recorded streams of the operations that are
    kept, with their TTLs; of all others come `others_per_s`."""
    for recording in recordings:
        flush = read_flush(recording)
        if flush is None or not flush.flushed_s:
            continue
        warm = _rate(flush, flush.at_s[0], flush.flushed_s)
        cold = _rate(flush, flush.flushed_s, flush.flushed_s + JUDGED_S)
        rows = responses(recording.requests(flush.segment))
        before = rows.between(flush.flushed_s - 2 * JUDGED_S, flush.flushed_s)
        after = rows.between(flush.flushed_s, flush.flushed_s + JUDGED_S)
        if warm is None or cold is None or not len(before.response_s) or not len(after.response_s):
            continue
        return Cold(
            warm_per_s=warm,
            cold_per_s=cold,
            foretold_per_s=_foretold(kept, others_per_s) if kept else None,
            warm_p99_s=quantile(before.response_s, 0.99),
            cold_p99_s=quantile(after.response_s, 0.99),
        )
    return None


def _rate(flush: Flush, from_s: float, to_s: float) -> float | None:
    """Requests a second between two times, by the looks nearest to them."""
    at_s = np.array(flush.at_s)
    first = int(np.argmin(np.abs(at_s - from_s)))
    last = int(np.argmin(np.abs(at_s - to_s)))
    if last <= first:
        return None
    return (flush.asked[last] - flush.asked[first]) / float(at_s[last] - at_s[first])


def _foretold(kept: Sequence[tuple[Stream, float]], others_per_s: float) -> float:
    """In the first second after a flush, averaged over several moments of the recording."""
    per_s = others_per_s
    for stream, ttl_s in kept:
        moments = np.linspace(0.0, max(stream.span_s - JUDGED_S, 0.0), MOMENTS)
        found = after_flush(
            stream, ttl_s, flushes_s=(stream.at_s[0] + moments).tolist(), bin_s=JUDGED_S, bins=1
        )
        per_s += found.origin_per_s[0] if found.origin_per_s else 0.0
    return per_s
