"""What is missing where a fault did harm: one rule each, ranked by harm. Pure.

A rule accuses only of what was measured, and says it in one sentence with its figures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from loadpath.experiment.crash.outcome import Outcome
from loadpath.experiment.crash.seen import HUNG
from loadpath.spec import Dependency
from loadpath.tap import SERVICE

AMPLIFIED = 3.0
"""So many times the calls per request as before are a storm of retries."""

CALLS_MIN = 0.5
"""And so many more calls or attempts per request: a wire that is hardly used varies by itself."""

SLOW_RECOVERY_S = 5.0

GROWN_BYTES = 24 << 20
GROWN_RATIO = 0.25
"""Memory that grows by so much, and that share of what it was, while something is down."""

FAIL_MIN = 3
"""One failed request, or two, may have been under way when a connection broke."""

POOL_MORE = 20
POOL_TIMES = 2.0
"""So many connections more at once, and as a multiple of before: no limit holds them."""

STAYS_SLOW = 0.1
"""With fewer failed requests than this a service is slow, not down."""

ALL_FAIL = 0.9
SAYS_READY = 0.8
WHOLE = ("process", "connect", "stream")
"""Layers whose faults take the whole of what they hit."""


TAKEN_MAX_CORES = 0.25
BY_TIME = ("metastable", "stays slow", "beyond", "slow")
"""What is found by times alone says nothing while others take more of the machine than that."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a fault brought to light. `rank` 0 is the worst; `remedy` what is missing."""

    fault: str
    rank: int
    harm: str
    said: str
    remedy: str


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """What findings are judged by: the dependency that was hit, if it was one; whether the service
    has another store; which operations touch it (None: not known), and those that only write."""

    target: Dependency | None
    other_stores: tuple[str, ...] = ()
    touching: frozenset[str] | None = None


Rule = Callable[[Outcome, Context], Finding | None]


def findings_of(outcome: Outcome, context: Context) -> list[Finding]:
    """What the rules find, the worst first."""
    found = [each for rule in RULES if (each := rule(outcome, context))]
    if outcome.taken_cores > TAKEN_MAX_CORES:
        # Whoever took the CPU may have made them late; nobody is accused of that.
        found = [each for each in found if each.harm not in BY_TIME]
    return sorted(found, key=lambda each: each.rank)


def lost(outcome: Outcome, context: Context) -> Finding | None:
    """Success was returned, and it is not there."""
    writes = outcome.writes
    if writes is None or not writes.lost:
        return None
    kinds = " and ".join(writes.kinds)
    return _finding(
        outcome,
        0,
        "lost",
        f"{writes.lost} of {writes.acknowledged} acknowledged {kinds} writes are lost",
        "acknowledge only after the commit (or write to an outbox first)",
    )


def duplicated(outcome: Outcome, context: Context) -> Finding | None:
    """One request, several effects."""
    writes = outcome.writes
    if writes is None or not writes.duplicates:
        return None
    retried = f", {outcome.retried} requests were sent again" if outcome.retried else ""
    return _finding(
        outcome,
        1,
        "duplicated",
        f"{writes.duplicates} effects too many of {writes.looked_for} writes{retried}",
        "an idempotency key, kept in the transaction that has the effect",
    )


def wrong_reads(outcome: Outcome, context: Context) -> Finding | None:
    """Refused and done all the same, not seen though it is there, or in the wrong order."""
    writes = outcome.writes
    if writes is None or not (writes.unexpected or writes.stale or writes.disordered):
        return None
    told = [
        f"{count} {words}"
        for count, words in (
            (writes.unexpected, "refused writes took effect"),
            (writes.stale, "reads missed what was known to be there"),
            (writes.disordered, "pairs stand in the wrong order"),
        )
        if count
    ]
    remedy = (
        "refuse only what is rolled back"
        if writes.unexpected
        else "read what was acknowledged from where it was committed"
    )
    return _finding(outcome, 2, "wrong", ", ".join(told), remedy)


def stays_down(outcome: Outcome, context: Context) -> Finding | None:
    """It did not come back by itself: because of the load, or for good."""
    if outcome.fault.ended:
        return _finding(
            outcome,
            3,
            "ended",
            f"the service ended by itself ({outcome.fault.ended})",
            "reconnect instead of ending (or a supervisor that starts it again)",
        )
    if outcome.fault.failed or not outcome.stays_down:
        return None
    good = f"{max(0.0, outcome.goodput_ratio):.0%} of the usual goodput"
    if outcome.released_at is not None:
        again = "and bore it again" if outcome.came_back else "and fell over again at the whole"
        return _finding(
            outcome,
            3,
            "metastable",
            f"stays down after the heal with {good}; lets go at {outcome.released_at:.0%} of the "
            f"load, {again}",
            "bounded retries with jitter and a budget, and shed load when the queue is old",
        )
    if not outcome.lowered:
        return None
    if outcome.failed_ratio < STAYS_SLOW:
        return _finding(
            outcome,
            3,
            "stays slow",
            f"stays slow after the heal with {good}, at a tenth of the load too",
            "a timeout after which a connection is dropped and opened anew",
        )
    return _finding(
        outcome,
        3,
        "broken",
        f"does not come back: {good} after the heal, at a tenth of the load too",
        "reconnect: drop broken connections and open new ones",
    )


def hangs(outcome: Outcome, context: Context) -> Finding | None:
    """Requests that waited far longer than anybody does."""
    if outcome.course is None or not outcome.course.hung or _is_of_service(outcome):
        return None
    hung = outcome.course.hung
    requests = "1 request" if hung == 1 else f"{hung} requests"
    return _finding(
        outcome,
        4,
        "hangs",
        f"{requests} took more than {HUNG:.0f} × the objective",
        "a timeout on the pool and on the call",
    )


def beyond_the_map(outcome: Outcome, context: Context) -> Finding | None:
    """Operations that failed and never touch what was hit."""
    if context.touching is None or context.target is None:
        return None
    beyond = [name for name in outcome.worse if name not in context.touching]
    if not beyond:
        return None
    return _finding(
        outcome,
        5,
        "beyond",
        f"{_names(beyond)} fared worse and never {_uses(beyond)} {context.target.name}",
        "a bulkhead: a limit of its own for what may wait on it",
    )


def hard_dependency(outcome: Outcome, context: Context) -> Finding | None:
    """A cache or a broker that requests cannot do without."""
    target = context.target
    if target is None or target.kind not in ("valkey", "nats") or not context.other_stores:
        return None
    failed = [
        each.operation
        for each in outcome.operations
        if each.operation in outcome.worse and each.course.failed >= FAIL_MIN
    ]
    if not failed:
        return None
    remedy = (
        f"a fallback: answer from {context.other_stores[0]} when {target.name} is gone"
        if target.kind == "valkey"
        else "a fallback: keep the message (an outbox, or a bounded buffer) and answer"
    )
    return _finding(
        outcome,
        6,
        "hard",
        f"{_names(failed)} {'fail' if len(failed) > 1 else 'fails'} without {target.name}",
        remedy,
    )


def amplified(outcome: Outcome, context: Context) -> Finding | None:
    """More calls per request than before: somebody tries again, and again."""
    if _is_of_service(outcome):
        # What it calls while it starts is no retry.
        return None
    worst: tuple[float, str, float] | None = None
    for wire, course in outcome.wires.items():
        before = max(course.calls_before + course.opened_before, course.calls_usual)
        most = max(course.calls_during + course.opened_during, course.calls_after)
        if course.amplification >= AMPLIFIED and most - before >= CALLS_MIN:
            worst = max(worst or (0.0, "", 0.0), (course.amplification, wire, most))
    if worst is None:
        return None
    times, wire, most = worst
    return _finding(
        outcome,
        7,
        "amplified",
        f"{most:.1f} calls and connections per request to {wire}, {times:.1f} × as many as before",
        "bounded retries with jitter",
    )


def unbounded_pool(outcome: Outcome, context: Context) -> Finding | None:
    """Connections multiply: each request that finds none free opens one more."""
    for wire, seen in outcome.wires.items():
        if wire == SERVICE:
            # Those that its clients open are no pool of its own.
            continue
        more = seen.open_most - seen.open_before
        if (
            seen.open_before
            and more >= POOL_MORE
            and seen.open_most >= POOL_TIMES * seen.open_before
        ):
            return _finding(
                outcome,
                8,
                "unpooled",
                f"connections to {wire} rose from {seen.open_before} to {seen.open_most}",
                "a limit on the pool, and a timeout for those who wait for a place in it",
            )
    return None


def lying_readiness(outcome: Outcome, context: Context) -> Finding | None:
    """It says that it is ready while it answers next to nobody."""
    if outcome.ready_ratio is None or outcome.course is None or _is_of_service(outcome):
        return None
    if outcome.fault.layer not in WHOLE:
        # One statement that fails is nothing that a readiness check could know.
        return None
    if not outcome.useless_ratio >= ALL_FAIL or outcome.ready_ratio < SAYS_READY:
        return None
    return _finding(
        outcome,
        9,
        "unready",
        f"said it was ready in {outcome.ready_ratio:.0%} of looks while "
        f"{outcome.useless_ratio:.0%} of requests failed or hung",
        "a readiness check that asks what it needs",
    )


def grows(outcome: Outcome, context: Context) -> Finding | None:
    """Memory that rises while something is down: a queue without an end."""
    before, most = outcome.memory_before_bytes, outcome.memory_most_bytes
    grown = most - before
    if not before or _is_of_service(outcome) or grown < max(GROWN_BYTES, GROWN_RATIO * before):
        return None
    return _finding(
        outcome,
        10,
        "grows",
        f"the service's memory grew by {grown / 1e6:.0f} MB, from {before / 1e6:.0f} MB",
        "a bound on the queue in memory",
    )


def slow_recovery(outcome: Outcome, context: Context) -> Finding | None:
    """It comes back, long after it could."""
    if outcome.course is None or outcome.stays_down or outcome.fault.healed_s is None:
        return None
    recovered_s = outcome.course.recovered_s
    if recovered_s is None or recovered_s < SLOW_RECOVERY_S:
        return None
    return _finding(
        outcome,
        11,
        "slow",
        f"back to normal only {recovered_s:.1f} s after the heal",
        "reconnect sooner: a backoff with a small cap",
    )


RULES: tuple[Rule, ...] = (
    lost,
    duplicated,
    wrong_reads,
    stays_down,
    hangs,
    beyond_the_map,
    hard_dependency,
    amplified,
    unbounded_pool,
    lying_readiness,
    grows,
    slow_recovery,
)


def _finding(outcome: Outcome, rank: int, harm: str, said: str, remedy: str) -> Finding:
    return Finding(fault=outcome.fault.name, rank=rank, harm=harm, said=said, remedy=remedy)


def _is_of_service(outcome: Outcome) -> bool:
    """A service that is gone answers nobody; that is no fault of how it waits for others."""
    return outcome.fault.target == "service"


def _names(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else names[0]


def _uses(names: Sequence[str]) -> str:
    return "use" if len(names) > 1 else "uses"
