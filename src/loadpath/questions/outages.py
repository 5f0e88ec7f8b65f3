"""Outages as they were foretold, beside what was then measured. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from loadpath.answer import Interval, Line
from loadpath.experiment.crash.outcome import Outcome
from loadpath.figures import ms
from loadpath.questions.remedies import TAKEN_MAX_CORES
from loadpath.questions.scores import Score
from loadpath.recording import OutageRecord
from loadpath.tap import SERVICE

LOOK_S = 0.1
LOOKS = 5
"""A time below this, or in which fewer requests are due, is told apart from none by chance."""


def scores_of_outage(outcome: Outcome) -> tuple[Score, ...]:
    """Each figure that was foretold of a fault, beside what was measured; none where none was.

    They were foretold with an interval, for as long as the part was out in the end; what was
    measured is a count of this run, and no estimate.
    While others took the machine nothing is judged: `held` is None.
    """
    found = _scores(outcome)
    if outcome.taken_cores > TAKEN_MAX_CORES:
        return tuple(msgspec.structs.replace(score, held=None) for score in found)
    return found


def scores_by_fault(outcomes: Sequence[Outcome]) -> dict[str, tuple[Score, ...]]:
    """All of them by the fault's name, with its number (`database killed #2`) where it was done
    before."""
    found: dict[str, tuple[Score, ...]] = {}
    done: Counter[str] = Counter()
    for outcome in outcomes:
        name = outcome.fault.name
        done[name] += 1
        if scores := scores_of_outage(outcome):
            found[name if done[name] == 1 else f"{name} #{done[name]}"] = scores
    return found


def _scores(outcome: Outcome) -> tuple[Score, ...]:
    told, seen = outcome.foretold, outcome.waiting
    if told is None or told.why or seen is None or not outcome.fault.hits:
        return ()
    found = []
    give_s = max(LOOK_S, LOOKS / max(outcome.rate_per_s, 1e-9))
    if told.waiting is not None:
        found.append(_score("waiting", told.waiting, seen.most, 0.0))
    if told.drain_s is not None and seen.drained_s is not None:
        found.append(_score("drain_s", told.drain_s, seen.drained_s, give_s))
    elif told.drain_s is not None:
        ended_s = outcome.watched_s
        never = Interval(ended_s, ended_s, float("inf"), 1.0, "not before the end", 1)
        found.append(
            Score(
                figure="drain_s",
                predicted=told.drain_s,
                measured=never,
                error=told.drain_s.value / ended_s - 1 if ended_s else 0.0,
                held=told.drain_s.high >= ended_s,
            )
        )
    if told.retries is not None:
        found.append(_score("retries", told.retries, seen.retries, 0.0))
    return tuple(found)


def _score(figure: str, told: Interval, seen: float, give: float) -> Score:
    measured = Interval(seen, max(0.0, seen - give), seen + give, 1.0, "counted", 1)
    return Score(
        figure=figure,
        predicted=told,
        measured=measured,
        error=told.value / seen - 1 if seen else 0.0,
        held=told.low <= measured.high and measured.low <= told.high,
    )


def outage_words(outcome: Outcome) -> str:
    """`foretold of 2.0 s: 212 (190 to 231) requests waiting at most, …; measured 198, …: held`;
    empty where nothing was foretold."""
    told = outcome.foretold
    if told is None:
        return ""
    if told.why:
        return f"not foretold: {told.why}"
    scores = {score.figure: score for score in scores_of_outage(outcome)}
    if "waiting" not in scores:
        return ""
    said = [f"{_range(scores['waiting'].predicted)} requests waiting at most"]
    seen = [f"{scores['waiting'].measured.value:,.0f}"]
    if "drain_s" in scores:
        said.append(f"gone {_time(scores['drain_s'].predicted.value)} after the heal")
        last = scores["drain_s"].measured
        ended = last.method == "counted"
        seen.append(_time(last.value) if ended else f"not within {_time(last.value)}")
    else:
        said.append("no telling when they are gone")
        drained_s = None if outcome.waiting is None else outcome.waiting.drained_s
        seen.append("not before the end" if drained_s is None else _time(drained_s))
    again = scores.get("retries")
    if again is not None and max(again.predicted.value, again.measured.value) >= 1:
        said.append(f"{_range(again.predicted)} sent again")
        seen.append(f"{again.measured.value:,.0f}")
    missed = [score.figure for score in scores.values() if not score.held]
    if outcome.taken_cores > TAKEN_MAX_CORES:
        held = f"not judged, others took {outcome.taken_cores:.1f} cores meanwhile"
    else:
        held = f"missed: {_why(outcome, told, scores)}" if missed else "held"
    lasted = f" of {_time(told.lasts_s)}" if told.lasts_s else ""
    return f"foretold{lasted}: {', '.join(said)}; measured {', '.join(seen)}: {held}"


def _range(told: Interval) -> str:
    return f"{told.value:,.0f} ({told.low:,.0f} to {told.high:,.0f})"


def _time(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 0.1 else ms(seconds)


def _why(outcome: Outcome, told: OutageRecord, scores: dict[str, Score]) -> str:
    """What a miss says of the service: what it was foretold from does not hold."""
    waiting, drain = scores["waiting"], scores.get("drain_s")
    if not waiting.held:
        if waiting.measured.value < waiting.predicted.low:
            if told.manner == "waits":
                return "they do not wait for it to come back"
            again = scores.get("retries")
            # Of those who try again there are as many as need it: then fewer wait at its end.
            needed = again is not None and again.predicted.value >= 1 and again.held
            return (
                "it answers sooner once it is back than it seemed"
                if needed or outcome.fault.target == SERVICE
                else "fewer requests need it than it seemed"
            )
        seen = outcome.waiting
        if seen is not None and seen.before <= waiting.predicted.high and seen.most_at_s > 0:
            return "more wait once it is back than while it was away"
        return (
            "others wait with those that need it"
            if told.manner == "waits"
            else "they wait for it, and do not fail at once"
        )
    if drain is not None and not drain.held:
        later = drain.measured.value > drain.predicted.high
        return "it takes longer to catch up" if later else "it catches up sooner"
    again = scores["retries"]
    if again.measured.value < again.predicted.low:
        return "fewer are sent again: not all that need it fail"
    return "more are sent again: some fail that do not need it, or after it is back"


def outage_lines(outcomes: Sequence[Outcome]) -> list[Line]:
    """How many of the outages came as foretold; nothing where none was."""
    scored = [
        scores
        for o in outcomes
        if (scores := scores_of_outage(o)) and o.taken_cores <= TAKEN_MAX_CORES
    ]
    if not scored:
        return []
    held = sum(all(score.held for score in scores) for scores in scored)
    figures = sum(len(scores) for scores in scored)
    each = sum(bool(score.held) for scores in scored for score in scores)
    return [
        Line(
            "foretold",
            f"{held} of {len(scored)} outages came as foretold, {each} of {figures} figures",
        )
    ]
