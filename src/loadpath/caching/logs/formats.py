"""Lines of access logs, read in batches: Common, Combined and whatever follows it, JSON.

A batch is the unit of speed: ten million lines are read in a minute, one call for thousands.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from loadpath.caching.logs.times import any_time_s, common_time_s
from loadpath.caching.stream import Floats, Ids

SHOWN_MAX = 120
"""Characters of a line that are shown."""

_COMMON = re.compile(
    # Host, identity and user, where anything may stand but a bracket; then time, request, status.
    rb'^[^\[\n]*\[([^\]\n]{20,40})\] "([A-Z]{3,12} [^ "\n]+)[^"\n]*" ([1-5]\d\d) (\d+|-).*',
    re.MULTILINE,
)

FIELDS = ("time", "request", "method", "path", "host", "status", "bytes")
"""What is wanted of a line of JSON; `request` stands for method and path, `host` may be missing."""
USUAL: Mapping[str, tuple[str, ...]] = {
    "time": (
        *("time", "timestamp", "@timestamp", "ts", "time_iso8601", "time_local", "msec"),
        *("date", "datetime", "start_time", "StartUTC", "time_unix", "requestTime"),
    ),
    "request": ("request", "request_line", "requestLine"),
    "method": (
        *("method", "request_method", "http_method", "verb", "RequestMethod", "httpMethod"),
        *("http.request.method", "request.method", "req.method", "httpRequest.requestMethod"),
    ),
    "path": (
        *("path", "uri", "request_uri", "url", "RequestPath", "requestURI", "target"),
        *("url.original", "request.uri", "request.url", "request.path", "req.url", "url.path"),
        "httpRequest.requestUrl",
    ),
    "host": ("host", "http_host", "server_name", "vhost", "request.host", "RequestHost"),
    "status": (
        *("status", "status_code", "statusCode", "response_status", "OriginStatus"),
        *("DownstreamStatus", "code", "http.response.status_code", "response.status"),
        *("res.statusCode", "httpRequest.status"),
    ),
    "bytes": (
        *("bytes", "body_bytes_sent", "bytes_sent", "size", "response_size", "resp_size"),
        *("bytes_out", "content_length", "responseLength", "DownstreamContentSize"),
        *("http.response.body.bytes", "response.bytes", "res.contentLength"),
        "httpRequest.responseSize",
    ),
}


class Batch(msgspec.Struct, frozen=True, eq=False):
    """Requests of a part of a log, in its order: columns of equal length.

    `request`: method, blank and target, as in `GET /a?b=c` · `bad`: lines that could not be read,
    each as its place in the part (from 0), why, and the line.
    """

    at_s: Floats
    request: Sequence[bytes]
    status: Ids
    body_bytes: Ids
    lines: int
    bad: list[tuple[int, str, str]]


Reader = Callable[[bytes], Batch]
"""Whole lines in, a batch out."""


def detect(sample: bytes, fields: Mapping[str, str] | None = None) -> tuple[str, Reader] | None:
    """The name of the format that most of these first lines are in, and its reader; None: none.

    `fields` names fields of JSON lines that have other names than usual, as in
    `{"time": "when", "path": "http.url"}`.
    """
    lines = [line for line in sample.splitlines() if line.strip()][:50]
    if not lines:
        return None
    objects = [found for line in lines if (found := _object(line)) is not None]
    if len(objects) * 2 > len(lines):
        names = _names(objects, fields or {})
        lacking = missing(names)
        return None if lacking else ("JSON lines", json_reader(names))
    if sum(_COMMON.match(line) is not None for line in lines) * 2 >= len(lines):
        combined = sum(line.count(b'"') >= 6 for line in lines) * 2 >= len(lines)
        return ("Combined" if combined else "Common", read_common)
    return None


def missing(names: Mapping[str, str]) -> tuple[str, ...]:
    """The fields that lines of JSON lack to be read; `host` and `bytes` may be missing."""
    lacking = [name for name in ("time", "status") if name not in names]
    if "request" not in names and not ("method" in names and "path" in names):
        lacking += [name for name in ("method", "path") if name not in names]
    return tuple(lacking)


def fields_of(sample: bytes) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """What stands in the first line of JSON: (all its fields, those wanted and not found)."""
    for line in sample.splitlines():
        found = _object(line)
        if found is not None:
            return tuple(_flat(found)), missing(_names([found], {}))
    return None


def read_common(part: bytes) -> Batch:
    """Lines in the Common Log Format, with anything after the size of the answer."""
    rows = _COMMON.findall(part)
    lines = part.count(b"\n") + (not part.endswith(b"\n") and bool(part))
    bad = _unmatched(part) if len(rows) != lines else []
    if not rows:
        return _batch((), (), (), (), lines, bad)
    times, requests, statuses, sizes = zip(*rows, strict=True)
    when: dict[bytes, float | None] = {text: _common(text) for text in set(times)}
    if None in when.values():
        wrong = [n for n, text in enumerate(times) if when[text] is None]
        return _without(part, wrong, rows, lines, bad)
    codes = {text: int(text) for text in set(statuses)}
    return _batch(
        [when[text] for text in times],
        requests,
        [codes[text] for text in statuses],
        [0 if text == b"-" else int(text) for text in sizes],
        lines,
        bad,
    )


def _common(text: bytes) -> float | None:
    try:
        return common_time_s(text.decode("latin-1"))
    except (ValueError, IndexError):
        return None


def _without(
    part: bytes, wrong: list[int], rows: list[tuple[bytes, ...]], lines: int, bad: list[Any]
) -> Batch:
    """The batch again without rows whose time cannot be read: rare, so done line by line."""
    unread = {rows[n][0] for n in wrong}
    keep = []
    places = {place for place, _, _ in bad}
    for place, line in enumerate(part.splitlines()):
        found = _COMMON.match(line)
        if found is None or place in places:
            continue
        if found[1] in unread:
            why = f"its time cannot be read: {found[1].decode('latin-1')}"
            bad.append((place, why, show(line)))
        else:
            keep.append(line)
    again = read_common(b"\n".join(keep))
    return Batch(again.at_s, again.request, again.status, again.body_bytes, lines, sorted(bad))


def _unmatched(part: bytes) -> list[tuple[int, str, str]]:
    return [
        (place, "not in the Common or Combined Log Format", show(line))
        for place, line in enumerate(part.split(b"\n")[: part.count(b"\n") + 1])
        if line.strip() and not _COMMON.match(line)
    ]


def show(line: bytes) -> str:
    """A line as it is shown to people, shortened."""
    text = line.decode("utf-8", "replace").strip()
    return text if len(text) <= SHOWN_MAX else text[: SHOWN_MAX - 1] + "…"


def json_reader(names: Mapping[str, str]) -> Reader:
    """A reader of lines of JSON with those names of fields; dots lead into objects."""
    decoder = msgspec.json.Decoder()
    paths = {field: name.split(".") for field, name in names.items()}

    def get(row: Any, field: str) -> Any:
        if names[field] in row:
            return row[names[field]]
        for name in paths[field]:
            row = row[name]
        return row

    def request_of(row: Any) -> bytes:
        if "request" in names:
            method, target = str(get(row, "request")).split(" ")[:2]
        else:
            method, target = str(get(row, "method")), str(get(row, "path"))
        target = re.sub(r"^[a-z]+://[^/?]*", "", target) or "/"
        if " " in target or not method.isascii():
            raise ValueError("a blank in the path")
        host = str(get(row, "host")) if "host" in names and _has(row, names["host"]) else ""
        return f"{method.upper()} {host}{target}".encode()

    def read(part: bytes) -> Batch:
        at_s: list[float] = []
        requests: list[bytes] = []
        statuses: list[int] = []
        sizes: list[int] = []
        bad: list[tuple[int, str, str]] = []
        known: dict[object, float] = {}
        lines = part.split(b"\n")
        if not lines[-1]:
            lines.pop()
        for place, line in enumerate(lines):
            if not line.strip():
                continue
            try:
                row = decoder.decode(line)
                said = get(row, "time")
                when_s = known.get(said)
                if when_s is None:
                    when_s = known[said] = any_time_s(said)
                request = request_of(row)
                status = int(get(row, "status"))
                size = get(row, "bytes") if "bytes" in names else 0
                number = int(size) if size not in {None, "", "-"} else 0
            except (msgspec.DecodeError, ValueError, KeyError, TypeError, OverflowError) as error:
                bad.append((place, _why(error), show(line)))
                continue
            at_s.append(when_s)
            requests.append(request)
            statuses.append(status)
            sizes.append(max(0, number))
        return _batch(at_s, requests, statuses, sizes, len(lines), bad)

    return read


def _why(error: Exception) -> str:
    if isinstance(error, msgspec.DecodeError):
        return f"no JSON: {error}"
    if isinstance(error, KeyError):
        return f"without the field {error}"
    return f"a field cannot be read: {error}"


def _batch(
    at_s: Iterable[float | None],
    requests: Sequence[bytes],
    statuses: Iterable[int],
    sizes: Iterable[int],
    lines: int,
    bad: list[tuple[int, str, str]],
) -> Batch:
    return Batch(
        np.array(at_s, dtype=np.float64),
        requests,
        np.array(statuses, dtype=np.int64),
        np.array(sizes, dtype=np.int64),
        lines,
        bad,
    )


def _object(line: bytes) -> dict[str, Any] | None:
    if not line.lstrip().startswith(b"{"):
        return None
    try:
        found = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return None
    return found if isinstance(found, dict) else None


def _names(objects: Sequence[dict[str, Any]], fields: Mapping[str, str]) -> dict[str, str]:
    """The name of each field: as given, else the first of the usual ones that most lines have."""
    found = {}
    for field in FIELDS:
        candidates = (fields[field],) if field in fields else USUAL[field]
        for name in candidates:
            holders = [row for row in objects if _has(row, name)]
            if len(holders) * 2 > len(objects) and not (
                field == "request" and not isinstance(holders[0].get(name), str)
            ):
                found[field] = name
                break
    return found


def _has(row: dict[str, Any], name: str) -> bool:
    if name in row:
        return not isinstance(row[name], dict)
    at: Any = row
    for part in name.split("."):
        if not isinstance(at, dict) or part not in at:
            return False
        at = at[part]
    return not isinstance(at, dict)


def _flat(row: dict[str, Any], prefix: str = "") -> list[str]:
    names = []
    for name, value in row.items():
        names += _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else [prefix + name]
    return names
