"""Before and after a change: capacity, response times and what gives out, each with its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeAlias

import msgspec

from loadpath.answer import Interval
from loadpath.model.network import Fitted, Model
from loadpath.spec import Objective

CONFIDENCE = 0.9
"""Every interval of a prediction holds the truth with this probability."""

SATURATED = 0.9
"""Above this share of capacity only capacity is predicted: response times there are a cliff."""


class OpenRate(msgspec.Struct, frozen=True, tag=True):
    """Requests that come at so many a second, whatever becomes of those before."""

    rate_per_s: float


class Users(msgspec.Struct, frozen=True, tag=True):
    """So many users, each of whom thinks for `think_s` after a reply before asking again."""

    users: int
    think_s: float


Load: TypeAlias = OpenRate | Users


class Predicting(Protocol):
    """A change, as far as a prediction needs it."""

    def predict(self, model: Model) -> Model:
        """The model as the change leaves it. Raises `LoadpathError` where it does not apply."""
        ...


class Times(msgspec.Struct, frozen=True, kw_only=True):
    """Response times in seconds."""

    mean_s: Interval
    p50_s: Interval
    p99_s: Interval


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One load and operation (None: all of them). None in place of times: beyond `SATURATED`."""

    load: Load
    operation: str | None
    before: Times | None
    after: Times | None


class Bottleneck(msgspec.Struct, frozen=True, kw_only=True):
    """What gives out first: a station, a pool, `cores`; several when they cannot be told apart.

    `shares` is how often each came first among the draws; `utilization` at the capacity.
    """

    names: tuple[str, ...]
    shares: dict[str, float]
    utilization: dict[str, float]

    @property
    def certain(self) -> bool:
        """Whether there is only one that it can be."""
        return len(self.names) == 1

    def words(self) -> str:
        """`service loop`, or `cannot tell between service loop and cores`."""
        if self.certain:
            return self.names[0]
        return f"cannot tell between {', '.join(self.names[:-1])} and {self.names[-1]}"


class Capacity(msgspec.Struct, frozen=True, kw_only=True):
    """The rate of the mix (1/s) at which the objective is first missed, and after ÷ before."""

    before: Interval
    after: Interval
    ratio: Interval


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """A prediction of one place of the load engine."""

    capacity: Capacity
    points: tuple[Point, ...]
    bottleneck_before: Bottleneck
    bottleneck_after: Bottleneck


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """With the load engine `here`, on the host it loads, and with it `elsewhere`."""

    here: Side
    elsewhere: Side

    @property
    def capacity(self) -> Capacity:
        """On this box, engine included: what a measurement here would find."""
        return self.here.capacity

    @property
    def points(self) -> tuple[Point, ...]:
        """On this box, engine included."""
        return self.here.points

    @property
    def bottleneck_before(self) -> Bottleneck:
        """On this box, engine included."""
        return self.here.bottleneck_before

    @property
    def bottleneck_after(self) -> Bottleneck:
        """On this box, engine included."""
        return self.here.bottleneck_after


def predict(
    fitted: Fitted,
    changes: Sequence[Predicting],
    loads: Sequence[Load],
    objectives: Mapping[str, Objective],
    *,
    seed: int = 1,
) -> Prediction:
    """Predict what `changes`, one after the other, do to each of `loads` and to the capacity.

    `objectives` by operation. Deterministic by `seed`.
    """
    raise NotImplementedError
