"""Texts without their values: the shapes that rows of exchanges name by number."""

from __future__ import annotations

from loadpath.tap.readers import Shaping

TEXTS_MAX = 100_000
SHAPES_MAX = 20_000
OTHER_SHAPE = 0
OTHER_TEXT = "(other)"


class Shapes:
    """The shapes of one process, numbered from 1; 0 stands for all past the first `SHAPES_MAX`.

    Shapes are what is kept: the texts they were made of are remembered only to save work, and no
    more than `TEXTS_MAX` of them. Several numbers may come to one text in the end, when a word
    that looked like a name turns out to be a value.
    """

    def __init__(self) -> None:
        self._of_text: dict[tuple[int, str], int] = {}
        self._numbers: dict[tuple[int, str], int] = {}
        self._shapes: list[tuple[int | None, str]] = [(None, OTHER_TEXT)]

    def number(self, tap: int, text: str, shaping: Shaping) -> int:
        """The number of a text's shape."""
        key = (tap, text)
        known = self._of_text.get(key)
        if known is not None:
            return known
        number = self._number(tap, shaping.settle(shaping.add(text)))
        if len(self._of_text) >= TEXTS_MAX:
            self._of_text.clear()
        self._of_text[key] = number
        return number

    def shape(self, number: int) -> tuple[int | None, str]:
        """The tap (None: any) and the text of a shape, as it looked when it was new."""
        return self._shapes[number]

    def _number(self, tap: int, shape: str) -> int:
        key = (tap, shape)
        known = self._numbers.get(key)
        if known is not None:
            return known
        if len(self._shapes) > SHAPES_MAX:
            return OTHER_SHAPE
        number = self._numbers[key] = len(self._shapes)
        self._shapes.append(key)
        return number
