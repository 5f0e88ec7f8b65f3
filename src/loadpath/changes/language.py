"""The change language: the words of a user into a change; errors point at the word."""

from __future__ import annotations

from collections.abc import Iterable

from loadpath.changes.change import Change
from loadpath.changes.registry import FORMS
from loadpath.changes.words import Known, Words
from loadpath.spec.problem import hint, nearest


def parse(text: str, known: Known) -> Change:
    """The change that `text` says. Raises `ChangeError`."""
    words = Words(text)
    for form in FORMS:
        if form.claims(words, known):
            return form.read(words, known)
    first = words.first()
    if first in known.dependencies:
        words.dependency(known)
        raise words.wrong(f"expected what {first} does, such as `+5ms` or `elsewhere +0.3ms`")
    if first in known.knobs or first in ("workers", "cores"):
        raise words.wrong(f"expected a value, as in `{first}=…`", at=len(first))
    said = f"`{first}` begins no change" if first else "there is nothing in it"
    valid = [*(form.keyword for form in FORMS if form.keyword), *known.dependencies, *known.knobs]
    near = hint(first, valid) if nearest(first, valid) else ""
    raise words.wrong(said + near, max(1, len(first)), advice=f"A change is one of: {usages()}.")


def parse_all(texts: Iterable[str], known: Known) -> tuple[Change, ...]:
    """Several changes, which are made one after the other. Raises `ChangeError`."""
    return tuple(parse(text, known) for text in texts)


def usages() -> str:
    """Every form in one line."""
    return ", ".join(f"`{form.usage}`" for form in FORMS)
