"""`database +5ms`: every reply of a dependency comes that much later."""

from __future__ import annotations

import msgspec

from loadpath.changes.change import NotAppliedError, NotPredictedError
from loadpath.changes.form import Form
from loadpath.changes.steps import calls_rewritten, count_calls, with_programs
from loadpath.changes.words import Known, Words
from loadpath.model.network import Delay, Law, Model, Program
from loadpath.spec import Setup

LEAST_S = 0.001


class Slower(msgspec.Struct, frozen=True):
    """The dependency answers `delay_s` later, for a reason that costs no CPU here."""

    dependency: str
    delay_s: float

    @property
    def title(self) -> str:
        """`database +5ms`."""
        return f"{self.dependency} +{duration(self.delay_s)}"

    @property
    def assumes(self) -> str:
        """What it is that is delayed."""
        return "every exchange is one round trip"

    def predict(self, model: Model) -> Model:
        """That time more in each call. Raises `NotPredictedError` when there is none."""
        return later(model, self.dependency, self.delay_s)

    def apply(self, setup: Setup) -> Setup:
        """A relay before it that holds its replies back. Raises `NotAppliedError` below 1 ms."""
        if self.delay_s < LEAST_S:
            raise NotAppliedError("the relay's clock is too coarse for less than 1 ms")
        held = setup.delays.get(self.dependency, 0.0) + self.delay_s
        return msgspec.structs.replace(setup, delays={**setup.delays, self.dependency: held})


def later(model: Model, dependency: str, delay_s: float) -> Model:
    """The model with that time after each call of the dependency. Raises `NotPredictedError`."""
    if not any(count_calls(model, dependency, program.steps) for program in model.programs):
        raise NotPredictedError(f"no call to {dependency} was recorded")
    wait = Delay(Law(mean_s=delay_s), dependency)

    def slowed(program: Program) -> Program:
        steps = calls_rewritten(model, dependency, program.steps, lambda call: (wait, *call))
        return msgspec.structs.replace(program, steps=steps)

    return with_programs(model, slowed)


def duration(seconds: float) -> str:
    """As the language writes it: `5ms`, `300us`, `2s`."""
    for factor, unit in ((1.0, "s"), (1e3, "ms")):
        if seconds * factor >= 0.1:
            return f"{seconds * factor:g}{unit}"
    return f"{seconds * 1e6:g}us"


def _claims(words: Words, known: Known) -> bool:
    return words.first() in known.dependencies and words.second().startswith("+")


def _read(words: Words, known: Known) -> Slower:
    dependency = words.dependency(known)
    words.symbol("+")
    delay_s = words.duration_s("how much later it answers")
    words.end()
    return Slower(dependency, delay_s)


FORM = Form(
    usage="DEPENDENCY +TIME",
    says="every reply of a dependency comes that much later",
    claims=_claims,
    read=_read,
)
