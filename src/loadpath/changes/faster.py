"""`code 20% faster`: the service's own code takes less CPU, everywhere or in one operation."""

from __future__ import annotations

import msgspec

from loadpath.changes.change import NotAppliedError
from loadpath.changes.form import Form, begins_with
from loadpath.changes.steps import (
    SERVICE,
    program_of,
    rewritten,
    scaled,
    stations_of,
    with_programs,
)
from loadpath.changes.words import Known, Words
from loadpath.model.network import Model, Program, Serve, Step
from loadpath.spec import Setup


class Faster(msgspec.Struct, frozen=True):
    """The code of `operation` (None: of all) takes `share` less CPU (after Coz: Curtsinger & Berger
    2015, who slow everything else down instead)."""

    share: float
    operation: str | None = None

    @property
    def title(self) -> str:
        """`code 20% faster in GET /x`."""
        where = "" if self.operation is None else f" in {self.operation}"
        return f"code {self.share * 100:g}% faster{where}"

    @property
    def assumes(self) -> str:
        """What is not code."""
        return "waking up costs what it did"

    def predict(self, model: Model) -> Model:
        """That much less work at the service's stations."""
        if self.operation is not None:
            program_of(model, self.operation)
        stations = stations_of(model, SERVICE)

        def rewrite(step: Step) -> tuple[Step, ...]:
            if isinstance(step, Serve) and step.station in stations:
                return (scaled(step, 1 - self.share),)
            return (step,)

        def faster(program: Program) -> Program:
            if self.operation not in (None, program.operation):
                return program
            return msgspec.structs.replace(program, steps=rewritten(program.steps, rewrite))

        return with_programs(model, faster)

    def apply(self, setup: Setup) -> Setup:
        """Raises `NotAppliedError`: it would take other code."""
        raise NotAppliedError("nobody has written the faster code yet")


def _read(words: Words, known: Known) -> Faster:
    words.keyword("code")
    share = words.share("how much less CPU it takes", example="20%")
    words.keyword("faster")
    operation = None
    if words.peek():
        words.keyword("in")
        operation = words.operation(known)
    words.end()
    return Faster(share, operation)


FORM = Form(
    usage="code SHARE% faster [in OPERATION]",
    says="the service's own code takes that much less CPU",
    keyword="code",
    claims=begins_with("code"),
    read=_read,
)
