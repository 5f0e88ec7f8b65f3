"""Which filters of a viewer a status matches, and what the API says of that. Pure.

A keyword matches a part of the text, or, as a whole word, only where no letter, digit or underscore
stands next to it; the case does not matter (Mastodon's documentation of filters). Every filter that
has not expired is named, whatever its context: it is the client that knows where it shows a status.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

import msgspec

from social.entities import Id, Moment, encode

__all__ = [
    "NOTHING",
    "Filter",
    "FilterContext",
    "FilterResult",
    "FilterView",
    "FilteredStatus",
    "Keyword",
    "Rules",
]

FilterContext = Literal["home", "notifications", "public", "thread", "account"]
NOTHING = b"[]"
_RESULTS_MAX = 400


class Keyword(msgspec.Struct, frozen=True):
    """What is looked for in a text."""

    id: Id
    keyword: str
    whole_word: bool


class FilteredStatus(msgspec.Struct, frozen=True):
    """A status that is filtered whatever it says."""

    id: Id
    status_id: Id


class FilterView(msgspec.Struct, frozen=True, kw_only=True):
    """A filter as it stands beside what it matches."""

    id: Id
    title: str
    context: list[FilterContext]
    expires_at: Moment | None
    filter_action: Literal["warn", "hide"]


class Filter(FilterView, frozen=True, kw_only=True):
    """A filter in full."""

    keywords: list[Keyword]
    statuses: list[FilteredStatus]


class FilterResult(msgspec.Struct, frozen=True):
    """A filter that a status matches, and by what."""

    filter: FilterView
    keyword_matches: list[str] | None
    status_matches: list[str] | None


class _Rule:
    """One filter, ready to be matched."""

    __slots__ = ("_keywords", "_statuses", "_view", "ends_s")

    def __init__(self, found: Filter, ends_s: float) -> None:
        self.ends_s = ends_s
        self._view = FilterView(
            id=found.id,
            title=found.title,
            context=found.context,
            expires_at=found.expires_at,
            filter_action=found.filter_action,
        )
        self._keywords = [
            (one.keyword, folded, _whole_word(folded) if one.whole_word else None)
            for one in found.keywords
            if (folded := one.keyword.casefold())
        ]
        self._statuses = frozenset(one.status_id for one in found.statuses)

    def result(self, text: str, ids: Sequence[int]) -> FilterResult | None:
        """What the filter says of a status with this text, folded, and these ids."""
        keywords = [
            keyword
            for keyword, folded, whole in self._keywords
            # Looking for a plain text is a hundred times quicker than looking for a pattern.
            if folded in text and (whole is None or whole.search(text))
        ]
        statuses = [str(one) for one in ids if str(one) in self._statuses]
        if not keywords and not statuses:
            return None
        return FilterResult(self._view, keywords or None, statuses or None)


class Rules:
    """All filters of one viewer, as of one version; remembers what they said of a few statuses."""

    def __init__(self, version: int, filters: Sequence[tuple[Filter, float]]) -> None:
        self.version = version
        self._rules = [_Rule(found, ends_s) for found, ends_s in filters]
        self._known: dict[tuple[int, int], bytes] = {}
        self._known_until_s = 0.0

    def results(self, version: int, text: str, ids: Sequence[int], now_s: float) -> bytes:
        """The `filtered` of a status, encoded. `version` is that of the text, `ids` its own id and,
        of a share, that of what it shares; `now_s` is Unix time.
        """
        if now_s >= self._known_until_s or len(self._known) >= _RESULTS_MAX:
            self._known.clear()
            self._known_until_s = min(
                (rule.ends_s for rule in self._rules if rule.ends_s > now_s), default=float("inf")
            )
        found = self._known.get((ids[0], version))
        if found is None:
            folded = text.casefold()
            results = [
                result
                for rule in self._rules
                if rule.ends_s > now_s and (result := rule.result(folded, ids)) is not None
            ]
            found = self._known[ids[0], version] = encode(results) if results else NOTHING
        return found


def _whole_word(keyword: str) -> re.Pattern[str]:
    # A keyword that begins or ends with something else than a letter has no boundary there.
    before = r"\b" if re.match(r"\w", keyword) else ""
    after = r"\b" if re.search(r"\w\Z", keyword) else ""
    return re.compile(f"{before}{re.escape(keyword)}{after}")
