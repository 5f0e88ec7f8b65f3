"""A form of the change language: how it is written, and what reads it."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from loadpath.changes.change import Change
from loadpath.changes.words import Known, Words


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """One way to write a change.

    `usage` is how it is written, `says` what it means; `keyword` is its first word, by which a word
    that is near is recognized. `claims` says whether the words are of this form, `read` reads them.
    """

    usage: str
    says: str
    keyword: str = ""
    claims: Callable[[Words, Known], bool]
    read: Callable[[Words, Known], Change]


def begins_with(keyword: str) -> Callable[[Words, Known], bool]:
    """A `claims` for a form that its first word tells."""
    return lambda words, known: words.first() == keyword


def assigns(name: str) -> Callable[[Words, Known], bool]:
    """A `claims` for a form written as `name=…`."""
    return lambda words, known: words.text.partition("=")[0].strip() == name and "=" in words.text
