"""Which questions there are. A new one is a new file and a line here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import msgspec

from loadpath.answer import Answer
from loadpath.experiment.depth import Depth
from loadpath.experiment.session import Session
from loadpath.questions import bottleneck, cache, crash, growth
from loadpath.recording import Recording
from loadpath.spec import Setup


class Question(msgspec.Struct, frozen=True):
    """A question: `collect` drives and records, `judge` is pure and derives the answer.

    `estimate` says about how many seconds collecting takes; `is_own` whether a recording was made
    for it.
    """

    name: str
    asks: str
    collect: Callable[[Session, Setup, Depth], Awaitable[None]]
    judge: Callable[[Sequence[Recording]], Answer]
    estimate: Callable[[Setup, Depth], float]
    is_own: Callable[[Recording], bool]


QUESTIONS = {
    question.name: question
    for question in (
        Question(
            "bottleneck",
            "Will this bottleneck anything?",
            bottleneck.collect,
            bottleneck.judge,
            bottleneck.estimate_s,
            bottleneck.is_own,
        ),
        Question(
            "cache",
            "Should it be cached, and for how long?",
            cache.collect,
            cache.judge,
            cache.estimate_s,
            cache.is_own,
        ),
        Question(
            "crash",
            "What if it crashes, or something it needs?",
            crash.collect,
            crash.judge,
            crash.estimate_s,
            crash.is_own,
        ),
        Question(
            "growth",
            "What if our users double, and their data with them?",
            growth.collect,
            growth.judge,
            growth.estimate_s,
            growth.is_own,
        ),
    )
}
