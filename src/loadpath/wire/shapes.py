"""The shape of a key, a subject or a path: fixed words stay, values become placeholders."""

from __future__ import annotations

import re
from typing import Final

LENGTH_MAX: Final = 512
"""What is behind that is no part of a shape, and what is cut there is a value."""
SEGMENTS_MAX: Final = 32
"""What stands deeper is told as one more placeholder."""
SEGMENT_LENGTH_MAX: Final = 48
"""No word is longer."""

_KEYS = re.compile(r"([:/|.#{}])")
_SUBJECTS = re.compile(r"(\.)")
_PATHS = re.compile(r"(/)")
_PARTS = re.compile(r"([-_.:~,;=+])")

_EMAIL = re.compile(r"[^\s:/|@{}]+@[^\s:/|@{}]+\.[A-Za-z]{2,}")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_ADDRESS = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.])")
# camelCase, PascalCase, CAPITALS, with humps as words have them: those of a token are shorter.
_WORD = re.compile(
    r"[$_@]?(?:[a-z]+(?:[A-Z][a-z]{2,})*(?:IDs?|URL)?|(?:[A-Z][a-z]{2,})+(?:IDs?|URL)?|[A-Z]+)"
)
_WILDCARDS = frozenset(("*", ">"))
_VERSION = re.compile(r"[vV]\d{1,2}")
_NUMBERED = frozenset(
    (
        *("argon2", "base32", "base58", "base62", "base64", "ec2", "http2", "http3", "i18n"),
        *("ipv4", "ipv6", "k8s", "l10n", "md5", "mp3", "mp4", "oauth1", "oauth2", "s3", "sha1"),
        *("sha256", "sha512", "utf8", "web3"),
    )
)
_STANDS_FOR_VALUE = "\0"


def key_shape(key: str) -> str:
    """`link:abc123` → `link:*`. What parts keys: any of `: / | . # { }`."""
    return _shape(key, _KEYS).replace(_STANDS_FOR_VALUE, "*")


def subject_shape(subject: str) -> str:
    """`visits.7f3a.created` → `visits.*.created`."""
    return _shape(subject, _SUBJECTS).replace(_STANDS_FOR_VALUE, "*")


def path_shape(target: str) -> str:
    """`/users/17/posts?q=x` → `/users/{}/posts`: of a request target, without its query.

    An absolute target is told by its path, as all others are; `*` and a CONNECT's host stay.
    """
    path = target.partition("?")[0].partition("#")[0]
    scheme, found, rest = path.partition("://")
    if found and scheme.isalnum():
        path = "/" + rest.partition("/")[2]
    if not path.startswith("/"):
        return path[:256]
    return _shape(path, _PATHS).replace(_STANDS_FOR_VALUE, "{}")


def _shape(text: str, between: re.Pattern[str]) -> str:
    text = text.replace(_STANDS_FOR_VALUE, "?")
    if len(text) > LENGTH_MAX:
        text = text[:LENGTH_MAX] + "?"
    if "@" in text:
        text = _EMAIL.sub(_STANDS_FOR_VALUE, text)
    for values in (_UUID, _ADDRESS):
        text = values.sub(_STANDS_FOR_VALUE, text)
    pieces = between.split(text, maxsplit=SEGMENTS_MAX)
    beyond = pieces.pop() if len(pieces) > 2 * SEGMENTS_MAX else None
    # Every other piece is what parts the segments.
    pieces[::2] = [_segment(piece) for piece in pieces[::2]]
    if beyond is not None:
        pieces.append(_STANDS_FOR_VALUE)
    return "".join(pieces)


def _segment(segment: str) -> str:
    if not segment or segment in _WILDCARDS or _is_word(segment):
        return segment
    if len(segment) > SEGMENT_LENGTH_MAX or not segment.isascii():
        return _STANDS_FOR_VALUE
    parts = _PARTS.split(segment)
    words = [_is_word(part) for part in parts[::2] if part]
    if not any(words):
        return _STANDS_FOR_VALUE if words else segment
    if all(words):
        return segment
    # Pieces of a random token look like short words.
    if any(_is_word(part) and not _is_plain(part) for part in parts[::2] if part):
        return _STANDS_FOR_VALUE
    parts[::2] = [part if not part or _is_word(part) else _STANDS_FOR_VALUE for part in parts[::2]]
    joined = "".join(parts)
    # A value of several parts (a date) is one.
    return re.sub(r"\0(?:[-_.:~,;=+]\0)+", _STANDS_FOR_VALUE, joined)


def _is_plain(part: str) -> bool:
    return len(part) >= 2 and (part.islower() or part.isupper())


def _is_word(part: str) -> bool:
    if part == _STANDS_FOR_VALUE or len(part) > SEGMENT_LENGTH_MAX:
        return False
    return (
        _WORD.fullmatch(part) is not None
        or _VERSION.fullmatch(part) is not None
        or part.lower() in _NUMBERED
    )
