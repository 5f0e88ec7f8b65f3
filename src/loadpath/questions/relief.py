"""Try what lifts a bottleneck: arms in turn, each ramped until the objective is missed; and read
what they did."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from loadpath.experiment.arm import Arm
from loadpath.experiment.arms import ArmPair, arm_pairs, arm_rounds, compare_arms, too_disturbed
from loadpath.experiment.depth import Depth
from loadpath.experiment.holds import disturbance
from loadpath.experiment.interleaving import interleave
from loadpath.experiment.knee import loosest_limit_s, missed_now, mix_of
from loadpath.experiment.phase import phase
from loadpath.experiment.scale import load_at
from loadpath.experiment.session import Session
from loadpath.questions.lifts import (
    TRIED,
    Lift,
    Lifts,
    choose,
    one_worker_more,
    read_lifts,
    write_lifts,
)
from loadpath.recording import Recording, SegmentRecord
from loadpath.spec import Setup
from loadpath.stats.compare import Comparison

WARMUP_S = 2.0
"""At most so long, and at most a quarter of the arm's ramp."""

RAMP = (0.6, 2.2)
"""From and to which multiple of the known knee an arm's ramp runs: past a knee that is twice as
high, with time for a queue to build up there."""

RAMP_END = 3.6
"""An arm that never missed it until then goes on to here, as fast: of what doubles the knee the
miss has to last for a while to be one."""

MODEL_S = 25.0
"""About how long fitting a model and asking it takes."""

ROUNDS_MIN = 2


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """A lift and what was measured of it; None where it was not, or in no whole round."""

    lift: Lift
    measured: Comparison | None = None
    disturbed: str | None = None
    rounds: tuple[ArmPair, ...] = ()

    @property
    def is_at_least(self) -> bool:
        """Whether it may have lifted more than its figure says."""
        return any(pair.is_at_least for pair in self.rounds)


def estimate_s(depth: Depth, start_s: float) -> float:
    """About how long it takes, in seconds, of a service that starts in `start_s`."""
    return MODEL_S + 2 * depth.arms * (start_s + 1.1 * depth.arm_ramp_s)


async def try_lifts(session: Session, setup: Setup, depth: Depth, knee_scale: float) -> None:
    """Choose by the model, write that down, and drive the best against the service as it is, arm
    by arm, each from the restored data."""
    lifts, arms = _chosen(session, setup, depth)
    write_lifts(session.run.directory, lifts)
    every = {"A": setup, **arms}
    arm_s = 1 + 1.1 * depth.arm_ramp_s

    async def drive(arm: Arm, letter: str, number: int) -> str | None:
        return disturbance(arm.recording(), await _ramp(arm, depth, knee_scale))

    def name(letter: str) -> str:
        count = every[letter].worker_count
        as_it_is = letter == "A" or count != setup.worker_count
        return f"workers-{count}" if as_it_is else f"lift-{letter}"

    # As many arms in all as of one change alone.
    rounds = max(ROUNDS_MIN, 2 * depth.arms // len(every))
    titles = " and ".join(lift.change for lift in lifts.lifts if lift.letter is not None)
    more = titles == f"workers={setup.worker_count + 1}"
    title = f"{'one worker more' if more else titles}, A B B A"
    with phase(session.emit, title, arm_s * rounds * len(every)) as now:
        await interleave(
            session,
            every,
            drive,
            rounds=min(rounds, depth.arms) if len(every) > 2 else depth.arms,
            repeats=depth.repeats,
            round_s=arm_s * len(every),
            now=now,
            name=name,
        )


def _chosen(session: Session, setup: Setup, depth: Depth) -> tuple[Lifts, dict[str, Setup]]:
    arm_s = 1 + 1.1 * depth.arm_ramp_s
    left_s = session.left_s() - MODEL_S
    if left_s < ROUNDS_MIN * 2 * arm_s:
        return one_worker_more(setup, "the budget leaves no time for a model")
    tried = TRIED if left_s >= ROUNDS_MIN * (1 + TRIED) * arm_s else 1
    with phase(session.emit, "what may lift it, by a model", MODEL_S) as now:
        recordings = [Recording.open(path) for path in session.run.recordings()]
        found, arms = choose(recordings, setup, tried=tried)
        now.result = (
            f"{len(found.lifts)} changes foretold" if found.no_model is None else found.no_model
        )
    return found, arms


async def _ramp(arm: Arm, depth: Depth, knee_scale: float) -> SegmentRecord:
    workload = arm.setup.workload
    mix = mix_of(workload)
    duration_s = depth.arm_ramp_s * math.log(RAMP_END / RAMP[0]) / math.log(RAMP[1] / RAMP[0])
    low, high = RAMP[0] * knee_scale, RAMP_END * knee_scale
    await arm.drive(
        "warmup",
        load_at(workload.arrivals, low),
        duration_s=min(WARMUP_S, depth.arm_ramp_s / 4),
        weights=mix,
    )
    return await arm.drive(
        "arm-ramp",
        load_at(workload.arrivals, low, end_scale=high),
        duration_s=duration_s,
        weights=mix,
        stop_when=missed_now(loosest_limit_s(workload)),
    )


def lifts_seen(recordings: Sequence[Recording], main: Recording) -> tuple[Tried, ...]:
    """Every lift with what its arm showed. Without any written down: one worker more, if driven."""
    written = read_lifts(main)
    if written is None:
        if not arm_pairs(recordings, "arm-ramp"):
            return ()
        written, _ = one_worker_more(main.setup, "")
    return tuple(_seen(recordings, lift, title_of(lift, main)) for lift in written.lifts)


def _seen(recordings: Sequence[Recording], lift: Lift, title: str) -> Tried:
    if lift.letter is None:
        return Tried(lift=lift)
    pairs = list(arm_rounds(recordings, "arm-ramp", lift.letter).values())
    return Tried(
        lift=lift,
        measured=compare_arms(pairs),
        disturbed=too_disturbed(pairs, title),
        rounds=tuple(pairs),
    )


def is_worker_more(lift: Lift, main: Recording) -> bool:
    """Whether it is one worker more than there is."""
    return lift.change == f"workers={main.setup.worker_count + 1}"


def title_of(lift: Lift, main: Recording) -> str:
    """As a sentence calls it."""
    return "one worker more" if is_worker_more(lift, main) else lift.change


def deciding(seen: Sequence[Tried], main: Recording) -> Tried | None:
    """The lift that a bottleneck is judged by: one worker more where that was tried, else the best
    foretold of those that were."""
    tried = [each for each in seen if each.lift.letter is not None]
    workers = [each for each in tried if is_worker_more(each.lift, main)]
    return next(iter((*workers, *tried)), None)
