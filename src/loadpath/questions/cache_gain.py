"""How much more the service carries with a cache before it: foretold by the model, written down.

The hit ratio is that of the rate at which the objective is missed, where keys come again sooner
than today; the capacity moves that rate, so it is asked twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from loadpath.answer import Interval
from loadpath.changes import NotPredictedError
from loadpath.changes.cache import Cache, declared_keys
from loadpath.changes.hits import hit_ratio
from loadpath.errors import InconclusiveError
from loadpath.experiment.caching.asked import Asked
from loadpath.experiment.caching.curve import ASKED_SHARE, hit_ratio_at
from loadpath.experiment.caching.fronted import Kept, fronted
from loadpath.experiment.caching.kept_calls import KeptCall
from loadpath.experiment.caching.placing import Cost
from loadpath.experiment.caching.streams import Observed
from loadpath.experiment.observed import observations_of
from loadpath.model.fit import fit
from loadpath.model.network import Fitted
from loadpath.model.observations import Observations
from loadpath.model.predict import capacities
from loadpath.questions.forecast import decode, encode, known_knee_per_s, own_rate_per_s
from loadpath.recording import Recording
from loadpath.recording.files import replace_with
from loadpath.spec import Setup

FILE = "cache.json"
DRAWS = 6
PASSES = 2
GAIN_MIN = 1.2
"""Capacity has to rise by a fifth, or a cache is not worth what it brings with it."""


class Gain(msgspec.Struct, frozen=True, kw_only=True):
    """What keeping an operation's replies for `ttl_s` does: `hit_ratio` at the rate of the knee
    that it brings about, and the capacity of the mix (1/s), before, after and their ratio."""

    operation: str
    ttl_s: float
    hit_ratio: float
    before: Interval
    after: Interval
    ratio: Interval


class PlacedGain(msgspec.Struct, frozen=True, kw_only=True):
    """What all of them together do on this machine, where the cache takes CPU of its own: capacity
    after ÷ before, both with the cache before the service. Foretold before it was tried."""

    operations: tuple[str, ...]
    cost: Cost
    hit_ratios: dict[str, float]
    ratio: Interval


class StatementGain(msgspec.Struct, frozen=True, kw_only=True):
    """What keeping a statement's rows inside the service for `ttl_s` does: `hit_ratio` of its calls
    at the rate of the knee, and the capacity of the mix after ÷ before: `least` where the service
    itself is spared nothing, `most` where a hit spares it all that it does before the call."""

    dependency: str
    shape: str
    ttl_s: float
    hit_ratio: float
    least: Interval
    most: Interval


class Gains(msgspec.Struct, frozen=True, kw_only=True):
    """Of each operation and statement that might be cached; `no_model`: why nothing was foretold,
    or None.

    `placed` is the prediction that putting a cache before the service is scored by.
    """

    gains: tuple[Gain, ...] = ()
    statements: tuple[StatementGain, ...] = ()
    no_model: str | None = None
    placed: PlacedGain | None = None

    def of(self, operation: str) -> Gain | None:
        """That of an operation; None: it was not asked."""
        return next((each for each in self.gains if each.operation == operation), None)

    def of_statement(self, dependency: str, shape: str) -> StatementGain | None:
        """That of a statement; None: it was not asked, or no operation was seen to make it."""
        alike = (e for e in self.statements if (e.dependency, e.shape) == (dependency, shape))
        return next(alike, None)


def foretold(
    recordings: Sequence[Recording],
    ttls_s: Mapping[str, float],
    seen: Observed,
    statements: Sequence[tuple[Asked, float]] = (),
    *,
    scale: float,
) -> Gains:
    """What each operation's cache with that TTL gains. Pure, deterministic by the seed.

    `seen` are the replies that hit ratios are taken from, recorded at `scale` times the workload's
    own rate; `statements` those that the service might keep, with their TTLs.
    """
    mix = next((r for r in recordings if r.name == "mix"), None)
    if mix is None:
        return Gains(no_model="the knee of the mix was not looked for")
    try:
        observations = observations_of(recordings)
        fitted = fit(observations, seed=mix.setup.seed, draws=DRAWS)
    except InconclusiveError as error:
        return Gains(no_model=error.message)
    recorded_per_s = own_rate_per_s(mix) * scale
    knee_per_s = known_knee_per_s(mix)
    rates = dict.fromkeys(ttls_s, knee_per_s)
    found: dict[str, Gain] = {}
    hits = _Hits(mix.setup, seen, recorded_per_s)
    for _ in range(PASSES if ttls_s else 0):
        changes = [
            Cache(
                operation,
                ttl_s,
                hits.at(operation, ttl_s, rates[operation]),
                given=True,
            )
            for operation, ttl_s in ttls_s.items()
            if operation in hits.streams
        ]
        try:
            told = capacities(fitted, changes, observations.objectives, seed=mix.setup.seed)
        except NotPredictedError as error:
            return Gains(no_model=error.message)
        for change, capacity in zip(changes, told, strict=True):
            rates[change.operation] = knee_per_s * capacity.ratio.value
            found[change.operation] = Gain(
                operation=change.operation,
                ttl_s=change.ttl_s,
                hit_ratio=change.hit_ratio,
                before=capacity.before,
                after=capacity.after,
                ratio=capacity.ratio,
            )
    inside = tuple(
        gain
        for each, ttl_s in statements
        if (gain := _inside(fitted, observations, each, ttl_s, knee_per_s, mix.setup.seed))
    )
    return Gains(gains=tuple(found.values()), statements=inside)


def _inside(
    fitted: Fitted,
    observations: Observations,
    seen: Asked,
    ttl_s: float,
    knee_per_s: float,
    seed: int,
) -> StatementGain | None:
    """What one statement's rows kept gain; None where no operation was seen to ask it alone."""
    hits = hit_ratio_at(seen.stream, ttl_s, knee_per_s / seen.requests_per_s, seen.span_s)
    hits *= 1 - seen.inside_writes
    changes = [KeptCall(seen.dependency, seen.shape, hits, own) for own in (False, True)]
    try:
        least, most = capacities(fitted, changes, observations.objectives, seed=seed)
    except NotPredictedError:
        return None
    return StatementGain(
        dependency=seen.dependency,
        shape=seen.shape,
        ttl_s=ttl_s,
        hit_ratio=hits,
        least=least.ratio,
        most=most.ratio,
    )


def foretold_placed(
    recordings: Sequence[Recording], gains: Gains, seen: Observed, cost: Cost, *, scale: float
) -> Gains:
    """The same with what the cache itself costs here, for those in `gains` together."""
    mix = next(r for r in recordings if r.name == "mix")
    observations = observations_of(recordings)
    before = fronted(fit(observations, seed=mix.setup.seed, draws=DRAWS), cost)
    recorded_per_s = own_rate_per_s(mix) * scale
    knee_per_s = known_knee_per_s(mix)
    known = _Hits(mix.setup, seen, recorded_per_s)
    ratio: Interval | None = None
    hits: dict[str, float] = {}
    for _ in range(PASSES):
        per_s = knee_per_s * (1.0 if ratio is None else ratio.value)
        hits = {each.operation: known.at(each.operation, each.ttl_s, per_s) for each in gains.gains}
        (capacity,) = capacities(
            before, [Kept(hits, cost)], observations.objectives, seed=mix.setup.seed
        )
        ratio = capacity.ratio
    assert ratio is not None
    placed = PlacedGain(operations=tuple(hits), cost=cost, hit_ratios=hits, ratio=ratio)
    return msgspec.structs.replace(gains, placed=placed)


class _Hits:
    """Hit ratios at rates other than the recorded one.

    Where the recording is too short for that, they follow from the keys that the workload declares
    (`changes.hits`), if it declares them; else what it can tell is a lower bound.
    """

    def __init__(self, setup: Setup, seen: Observed, recorded_per_s: float) -> None:
        self.streams = {each.operation: each.stream for each in seen.operations}
        self._setup = setup
        self._span_s = seen.span_s
        self._recorded_per_s = recorded_per_s

    def at(self, operation: str, ttl_s: float, per_s: float) -> float:
        """With that TTL, at so many requests of the mix a second."""
        times = per_s / self._recorded_per_s
        found = hit_ratio_at(self.streams[operation], ttl_s, times, self._span_s)
        if ttl_s * times <= self._span_s * ASKED_SHARE:
            return found
        workload = self._setup.workload
        driven = next(o for o in workload.operations if o.name == operation)
        keys = declared_keys(driven, workload.key_sets)
        if keys is None:
            return found
        share = driven.weight / sum(each.weight for each in workload.operations)
        return max(found, hit_ratio(per_s * share, ttl_s, keys))


def write_gains(run: Path, gains: Gains) -> None:
    """Keep them in the run's folder, before anything is put in place. Raises `RecordingError`."""
    replace_with(run / FILE, encode(gains))


def read_gains(recording: Recording) -> Gains:
    """Those of the run a recording is of. Raises `RecordingError`."""
    file = recording.directory.parent.parent / FILE
    return decode(file, Gains) if file.is_file() else Gains(no_model="nothing was foretold")
