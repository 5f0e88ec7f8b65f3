"""Shapes learned from a set: a position that takes many words holds values, not names."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

MANY: Final = 32
"""More words than this at one place are values."""
PLACES_MAX: Final = 10_000
"""Places that are kept apart; beyond, every place that takes one more word holds values."""


class _Place:
    """What follows a beginning, by the next segment. `many`: names are values here."""

    __slots__ = ("following", "many")

    def __init__(self) -> None:
        self.following: dict[str, _Place] = {}
        self.many = False


class ShapeSet:
    """Learns from texts which of the words in their shapes are values.

    `add` a text and keep what it returns instead of the text; at the end `settle` each of these.
    What is settled depends on the set of the texts alone, not on their order, as long as no more
    than `PLACES_MAX` places are told apart. No text is kept; of the words that may be names, no
    more than `MANY` a place.

    `shape` is `key_shape`, `subject_shape` or `path_shape`; `between` parts its segments,
    `placeholder` is what it writes for a value.
    """

    def __init__(self, shape: Callable[[str], str], between: str, placeholder: str) -> None:
        self._shape = shape
        self._between = re.compile(f"([{re.escape(between)}])")
        self._placeholder = placeholder
        self._not_names = {"", placeholder, *between}
        self._top = _Place()
        self._places = 1

    @property
    def places(self) -> int:
        """The places that are told apart."""
        return self._places

    def add(self, text: str) -> str:
        """Learn from a text. Returns its shape so far, for `settle`."""
        shape = self._shape(text)
        place = self._top
        for segment in self._between.split(shape):
            place = self._follow(place, segment)
        return shape

    def settle(self, shape: str) -> str:
        """What a shape that `add` returned has become; what was never added stays as it is."""
        place: _Place | None = self._top
        segments = []
        for segment in self._between.split(shape):
            settled = segment
            if place is not None:
                settled = self._as_is_known(place, segment)
                place = place.following.get(settled)
            segments.append(settled)
        return "".join(segments)

    def _as_is_known(self, place: _Place, segment: str) -> str:
        if place.many and segment not in self._not_names:
            return self._placeholder
        return segment

    def _follow(self, place: _Place, segment: str) -> _Place:
        segment = self._as_is_known(place, segment)
        if segment not in place.following:
            self._places += 1
            place.following[segment] = _Place()
            self._look(place)
            segment = self._as_is_known(place, segment)
        return place.following[segment]

    def _look(self, place: _Place) -> None:
        """Turn the names of a place into values, if they are many."""
        names = [segment for segment in place.following if segment not in self._not_names]
        if place.many or len(names) > MANY or (names and self._places > PLACES_MAX):
            place.many = True
            for name in names:
                self._put(place, self._placeholder, place.following.pop(name))

    def _put(self, place: _Place, segment: str, following: _Place) -> None:
        """Let what follows there be so, besides what follows already."""
        known = place.following.get(segment)
        if known is None:
            place.following[segment] = following
            return
        self._places -= 1
        for further, beyond in following.following.items():
            self._put(known, further, beyond)
        known.many = known.many or following.many
        self._look(known)
