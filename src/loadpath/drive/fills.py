"""What fields that fill themselves are filled with: tokens, counts, the time, random numbers."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import count
from time import gmtime, strftime, time
from typing import TypeAlias

from loadpath.drive.seeds import mixed, segment_tag
from loadpath.spec.fields import Fill

Make: TypeAlias = Callable[[], bytes]
"""The next value of a field."""


PROCESSES_APART = 1_000_000_000
"""Between the numbers that two engine processes count from."""


class Fills:
    """Makes values; one for the whole life of an engine, so that counts and tokens never repeat.

    Of several engine processes each has its own, and counts from a number of its own.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._first = 0
        self._tokens = count()
        self._tag = ""
        self._streams: list[random.Random] = []
        self.begin_segment(0)

    def begin_segment(self, index: int, process: int = 0) -> None:
        """Tokens and random numbers are those of that segment from now on; counts go on."""
        # A flow's token has hexadecimal digits alone, so it is never one of these.
        self._tag = f"{segment_tag(self._seed, index)}t{process:x}t"
        self._first = process * PROCESSES_APART
        for number, stream in enumerate(self._streams):
            stream.seed(mixed(mixed(self._seed) + index) + number * PROCESSES_APART + process)

    def make(self, fill: Fill) -> Make:
        """What makes the values of a field of one operation."""
        match fill.kind:
            case "unique":
                return self._token
            case "n":
                numbers = count()
                return lambda: b"%d" % (self._first + next(numbers))
            case "now":
                return lambda: b"%d" % time()
            case "now:ms":
                return lambda: b"%d" % (time() * 1000)
            case "now:iso":
                return _iso()
            case "random":
                return self._random(fill.low, fill.high - fill.low + 1)

    def _token(self) -> bytes:
        return f"{self._tag}{next(self._tokens):x}".encode()

    def _random(self, low: int, span: int) -> Make:
        stream = random.Random(self._seed)
        self._streams.append(stream)
        draw = stream.random
        return lambda: b"%d" % (low + int(draw() * span))


def _iso() -> Make:
    """The time as RFC 3339 has it; written anew once a second, which takes most of the time."""
    written_s, written = -1, b""

    def make() -> bytes:
        nonlocal written_s, written
        now_ms = int(time() * 1000)
        seconds, rest_ms = divmod(now_ms, 1000)
        if seconds != written_s:
            written_s, written = seconds, strftime("%Y-%m-%dT%H:%M:%S", gmtime(seconds)).encode()
        # `Z` and not `+00:00`, for a plus is a blank in a query.
        return b"%b.%03dZ" % (written, rest_ms)

    return make
