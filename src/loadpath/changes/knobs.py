"""`pool=20`, `cache=off`: a knob of the service at another value."""

from __future__ import annotations

import msgspec

from loadpath.changes.change import NotPredictedError
from loadpath.changes.form import Form
from loadpath.changes.steps import SERVICE, pools_of
from loadpath.changes.words import Known, Words
from loadpath.model.network import Model, Pool
from loadpath.spec import Setup
from loadpath.spec.problem import hint

FILLED = 0.75
"""A pool of which fewer were ever seen open than this share of it never ran out."""


class KnobValue(msgspec.Struct, frozen=True):
    """The knob at `value` instead of `before`. `pool` is whose pool it sizes, if it sizes one, in
    each of `workers` workers."""

    knob: str
    value: str
    before: str
    pool: str | None = None
    workers: int = 1

    @property
    def title(self) -> str:
        """`pool=20`."""
        return f"{self.knob}={self.value}"

    @property
    def assumes(self) -> str:
        """Nothing."""
        return ""

    def predict(self, model: Model) -> Model:
        """Another size of the pool it sizes. Raises `NotPredictedError` when it sizes none."""
        if self.pool is None:
            raise NotPredictedError(
                f"the service file does not say what {self.knob} means to a model: it is measured",
                advice=f'If it sizes a pool, [knobs.{self.knob}] pool = "database" says whose.',
            )
        pools = pools_of(model, self.pool)
        if not pools:
            of = "requests in service" if self.pool == SERVICE else f"connections to {self.pool}"
            raise NotPredictedError(f"the model has no pool of {of}: none was seen to be used")

        def sized(pool: Pool) -> Pool:
            if pool.name not in pools:
                return pool
            value, before = int(self.value), int(self.before)
            if pool.size < FILLED * before * self.workers:
                # It opens its connections as it needs them, and never needed all.
                return msgspec.structs.replace(pool, size=value * self.workers)
            return msgspec.structs.replace(pool, size=max(1, round(pool.size * value / before)))

        return msgspec.structs.replace(model, pools=tuple(sized(pool) for pool in model.pools))

    def apply(self, setup: Setup) -> Setup:
        """The same service with another value of its variable."""
        return msgspec.structs.replace(setup, knobs={**setup.knobs, self.knob: self.value})


def knob_value(setup: Setup, name: str, value: str) -> KnobValue:
    """The change that puts a knob of that setup at `value`. Raises `StopIteration` without one."""
    knob = next(knob for knob in setup.service.knobs if knob.name == name)
    return KnobValue(name, value, setup.knob_value(name), knob.pool, setup.worker_count)


def _claims(words: Words, known: Known) -> bool:
    name, equals, _ = words.first().partition("=")
    return bool(equals) and bool(name)


def _read(words: Words, known: Known) -> KnobValue:
    name = words.first().partition("=")[0]
    if name not in known.knobs:
        valid = (*known.knobs, "workers", "cores")
        said = f"`{name}` is no knob of the service{hint(name, valid)}"
        raise words.wrong(said, len(name))
    words.symbol(name)
    words.symbol("=")
    at = len(name) + 1
    value = words.rest("a value")
    change = knob_value(known.setup, name, value)
    if change.pool is not None and not (value.isdecimal() and int(value) > 0):
        said = f"`{name}` sizes a pool: expected a whole number above 0"
        raise words.wrong(said, len(value), at=at)
    return change


FORM = Form(
    usage="KNOB=VALUE",
    says="a knob of the service at another value",
    claims=_claims,
    read=_read,
)
