"""Should replies be cached, as far as an access log can tell: read without driving anything."""

from __future__ import annotations

import gc
import gzip
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, cast

from loadpath.answer import Answer, Check, Line, State
from loadpath.caching.logs.formats import Reader, detect, fields_of, show
from loadpath.caching.logs.gather import Gathered
from loadpath.caching.logs.judge import AtTtl, LogFindings, LogOperation, judge
from loadpath.caching.zipf import Kind, Popularity
from loadpath.errors import ConfigurationError
from loadpath.figures import data_size, lifetime, share

PART_BYTES = 1 << 20
"""Read at a time: some 5,000 lines, which are then in memory once as text."""
LINE_MAX = 1 << 20
"""A line that is longer is none of an access log."""
BAD_MAX = 0.01
SHOWN = 8
"""Operations that get a line."""
CANNOT_TELL = (
    "A log cannot tell how stale hits would be, whether answers differ by who asks, nor what the "
    "headers allow: `loadpath ask cache` measures that."
)

Progress = Callable[[int], None]
"""Told the lines read so far."""


def read_log(
    file: Path, *, fields: Mapping[str, str] | None = None, progress: Progress | None = None
) -> LogFindings:
    """What a cache would have saved, by that log. Plain or gzip, in bounded memory.

    `fields` names fields of JSON lines. Raises `ConfigurationError` for what is no access log.
    """
    gathered = Gathered()
    reader: Reader | None = None
    name = ""
    with _not_collecting(), _opened(file) as raw:
        for part in _parts(file, raw):
            if reader is None:
                found = detect(part[:65536], fields)
                if found is None:
                    raise _unknown(file, part, fields)
                name, reader = found
            gathered.add(reader(part))
            if progress is not None:
                progress(gathered.lines)
    if not gathered.lines:
        raise ConfigurationError(
            f"{file}: expected an access log, found an empty file", advice="Give one with lines."
        )
    if gathered.lines == gathered.bad or gathered.last_s < gathered.first_s:
        number, why, line = gathered.first_bad[0] if gathered.first_bad else (1, "blank", "")
        raise ConfigurationError(
            f"{file}: none of {gathered.lines:,} lines could be read; line {number}: {why}",
            excerpt=(line,),
            advice="Common, Combined and JSON lines are read.",
        )
    return judge(gathered, name)


@contextmanager
def _not_collecting() -> Iterator[None]:
    """Reading makes millions of small objects and no cycle of them: looking for those takes a third
    of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _opened(file: Path) -> BufferedReader:
    try:
        return file.open("rb")
    except OSError as error:
        raise ConfigurationError(
            f"{file}: expected an access log: {error.strerror}", advice="Name a file."
        ) from error


def _parts(file: Path, raw: BufferedReader) -> Iterator[bytes]:
    """The file's text in whole lines, so many bytes at a time."""
    source: BinaryIO = raw
    if raw.peek(2)[:2] == b"\x1f\x8b":  # by what it is, not by its name
        source = cast(BinaryIO, gzip.GzipFile(fileobj=raw))
    rest = b""
    while True:
        try:
            read = source.read(PART_BYTES)
        except (OSError, EOFError, zlib.error) as error:
            raise ConfigurationError(
                f"{file}: it cannot be read to its end: {error}",
                advice="It may be cut off: unpack what there is, and give that.",
            ) from error
        if not read:
            break
        whole, newline, tail = read.rpartition(b"\n")
        if newline:
            yield rest + whole + newline
            rest = tail
        else:
            rest += read
        if len(rest) > LINE_MAX:
            raise ConfigurationError(
                f"{file}: expected lines of text, found one of more than {LINE_MAX:,} bytes",
                advice="Common, Combined and JSON lines are read, as they are or by gzip.",
            )
    if rest:
        yield rest


def _unknown(file: Path, part: bytes, fields: Mapping[str, str] | None) -> ConfigurationError:
    first = next((line for line in part.splitlines() if line.strip()), b"")
    told = fields_of(first)
    if told is None:
        return ConfigurationError(
            f"{file}: expected an access log (Common, Combined or JSON lines), found",
            excerpt=(show(first),),
            advice="Give a log with one request a line.",
        )
    there, lacking = told
    lacking = tuple(name for name in lacking if name not in (fields or {}))
    wrong = [f"{name}={value}" for name, value in (fields or {}).items() if value not in there]
    said = " and ".join(lacking) if lacking else f"what --log-field names ({', '.join(wrong)})"
    return ConfigurationError(
        f"{file}: its lines of JSON do not have {said}; they have {', '.join(there)[:300]}",
        advice=f"Say which it is, as in --log-field {(lacking or ('time',))[0]}=NAME",
    )


def answer_of(found: LogFindings, file: Path) -> Answer:
    """The answer to `cache` that a log carries; pure."""
    everything = found.all
    reads = everything.reads / everything.requests if everything.requests else 0.0
    lines = [_line(found, operation) for operation in found.operations[:SHOWN]]
    left = found.operations[SHOWN:]
    if left:
        rest = sum(operation.requests for operation in left) / everything.requests
        lines.append(Line(f"{len(left)} more", f"{share(rest)} of requests: see --json"))
    claim = (
        f"GET and HEAD are {share(reads)} of requests; of those at most "
        f"{_savings(everything)} would not reach the service. {CANNOT_TELL}"
    )
    return Answer(
        question="cache",
        state=State.PREDICTED,
        claim=claim,
        lines=tuple(lines),
        figures={"access_log": found},
        validity=_validity(found),
        objectives_met=None,
        recordings=(str(file),),
    )


def title_of(found: LogFindings, file: Path) -> str:
    """What was read, as a heading."""
    first, last = (
        datetime.fromtimestamp(at_s, tz=UTC).strftime("%Y-%m-%d %H:%M")
        for at_s in (found.first_s, found.last_s)
    )
    return (
        f"{file.name} · {found.format} · {found.lines:,} lines · {first} to {last} UTC "
        f"({lifetime(found.span_s)}) · {len(found.operations)} operations · "
        f"{found.all.keys:,} keys"
    )


def _line(found: LogFindings, operation: LogOperation) -> Line:
    part = f"{share(operation.requests / found.all.requests)} of requests"
    errors = operation.client_errors + operation.server_errors
    failing = f" ({share(errors / operation.requests)} errors)" if errors else ""
    if not operation.by_ttl:
        return Line(operation.name, f"{part}{failing}: not GET or HEAD, so not cached")
    told = [f"{_savings(operation)}"]
    if operation.by_size:
        told.append(f"LRU: {_sizes(operation)}")
    keys = f"{operation.keys:,} keys, {share(operation.once_ratio)} asked for once"
    law = _law(operation.popularity)
    return Line(operation.name, f"{part}{failing}: hits {'; '.join(told)}", f"{keys}{law}")


def _savings(operation: LogOperation) -> str:
    """Hits at some TTLs: the shortest, one in the middle, the longest, and without end."""
    ttls = [p for p in operation.by_ttl if p.ttl_s is not None and p.ttl_s >= 10]
    told = [*ttls[:1], *ttls[len(ttls) // 2 : len(ttls) // 2 + 1], *ttls[-1:]]
    told = [*dict.fromkeys(told), operation.by_ttl[-1]]
    return ", ".join(f"{share(p.hit_ratio)} {_at(p)}" for p in told)


def _at(point: AtTtl) -> str:
    return "ever" if point.ttl_s is None else f"at {lifetime(point.ttl_s)}"


def _sizes(operation: LogOperation) -> str:
    """Hits of some sizes: what half of all hits takes, and all of them."""
    most = operation.by_size[-1]
    half = next(p for p in operation.by_size if p.hit_ratio * 2 >= most.hit_ratio)
    told = dict.fromkeys([half, most])
    return ", ".join(f"{share(p.hit_ratio)} in {data_size(p.size_bytes)}" for p in told)


def _law(popularity: Popularity | None) -> str:
    if popularity is None or popularity.exponent is None:
        return ""
    exponent = popularity.exponent
    half = (exponent.high - exponent.low) / 2
    if popularity.kind is Kind.POWER_LAW:
        return f", Zipf {exponent.value:.2f} ± {max(half, 0.005):.2f}"
    if popularity.kind is Kind.UNIFORM:
        return ", all about equally popular"
    if popularity.kind is Kind.MOVING:
        return ", popular in turn (no lasting law)"
    return ", no power law"


def _validity(found: LogFindings) -> tuple[Check, ...]:
    good = found.lines - found.bad
    where = ""
    if found.first_bad:
        number, why, line = found.first_bad[0]
        where = f" Line {number}: {why}: {line}"
    return (
        Check(
            "lines",
            found.bad <= BAD_MAX * found.lines,
            f"{good:,} of {found.lines:,} lines read",
            f"See whether what is left out matters.{where}" if where else None,
        ),
        Check(
            "span",
            found.span_s >= 600,
            f"{lifetime(found.span_s)} of requests",
            "A longer log tells of longer TTLs.",
        ),
        Check(
            "keys",
            True,
            "every key looked at"
            if found.rate == 1
            else f"1 in {round(1 / found.rate)} keys looked at, chosen by hash",
        ),
    )
