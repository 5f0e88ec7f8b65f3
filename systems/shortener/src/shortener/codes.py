"""Short codes: random ones, and the slugs that people choose."""

from __future__ import annotations

import os
import re

from shortener.permutation import digits, space

__all__ = [
    "CODE_LENGTH",
    "CODE_LENGTH_MAX",
    "CODE_LENGTH_MIN",
    "RESERVED",
    "clean_slug",
    "random_code",
]

CODE_LENGTH = 5
CODE_LENGTH_MIN = 4
CODE_LENGTH_MAX = 32
SLUG_LENGTH_MAX = 255

RESERVED = frozenset({"rest", "health", "robots.txt", "favicon.ico", ".", ".."})
"""Paths of the service itself, which no slug may take."""

_SLUG = re.compile(r"[\w\-.~!$&'()*+,;=:@]+")


def random_code(length: int = CODE_LENGTH) -> str:
    """A random code of base 62 digits; whether it is free only the database can say."""
    # 16 bits a digit where log2(62) = 5.95 would do: the modulo then favors no code noticeably.
    number = int.from_bytes(os.urandom(2 * length))
    return digits(number % space(length), length)


def clean_slug(text: str) -> str | None:
    """The slug as it is stored: blanks and slashes become dashes. None when it cannot be one."""
    slug = re.sub(r"[\s/]+", "-", text.strip()).strip("-")
    if not slug or len(slug) > SLUG_LENGTH_MAX or slug in RESERVED:
        return None
    return slug if _SLUG.fullmatch(slug) else None
