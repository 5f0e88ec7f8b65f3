"""`split GET /visits`: an operation is served by processes of its own."""

from __future__ import annotations

import msgspec

from loadpath.changes.change import NotAppliedError, NotPredictedError
from loadpath.changes.form import Form, begins_with
from loadpath.changes.steps import SERVICE, leaves, program_of, replaced, rewritten, stations_of
from loadpath.changes.words import Known, Words
from loadpath.model.network import Acquire, Model, Release, Serve, Step
from loadpath.spec import Setup


class Split(msgspec.Struct, frozen=True):
    """`operation` gets as many workers again, with pools of their own; the others keep theirs."""

    operation: str

    @property
    def title(self) -> str:
        """`split GET /visits`."""
        return f"split {self.operation}"

    @property
    def assumes(self) -> str:
        """What its processes are like."""
        return "as many workers again, for it alone, with pools of their own, on the same host"

    def predict(self, model: Model) -> Model:
        """Stations and pools of its own, on the same cores."""
        steps = program_of(model, self.operation).steps
        taken = leaves(steps)
        stations = stations_of(model, SERVICE) & {s.station for s in taken if isinstance(s, Serve)}
        if not stations:
            raise NotPredictedError(f"{self.operation} takes no thread of the service in the model")
        pools = {step.pool for step in taken if isinstance(step, Acquire)}

        def own(step: Step) -> tuple[Step, ...]:
            if isinstance(step, Serve) and step.station in stations:
                return (msgspec.structs.replace(step, station=self._own(step.station)),)
            if isinstance(step, Acquire):
                return (Acquire(self._own(step.pool), step.patience_s),)
            if isinstance(step, Release):
                return (Release(self._own(step.pool)),)
            return (step,)

        copied_stations = tuple(
            msgspec.structs.replace(each, name=self._own(each.name))
            for each in model.stations
            if each.name in stations
        )
        copied_pools = tuple(
            msgspec.structs.replace(each, name=self._own(each.name))
            for each in model.pools
            if each.name in pools
        )
        apart = replaced(model, self.operation, rewritten(steps, own))
        return msgspec.structs.replace(
            apart,
            stations=(*model.stations, *copied_stations),
            pools=(*model.pools, *copied_pools),
        )

    def apply(self, setup: Setup) -> Setup:
        """Raises `NotAppliedError`: the engine drives one address."""
        raise NotAppliedError("the load engine drives one address, and this takes two")

    def _own(self, name: str) -> str:
        return f"{name} of {self.operation}"


def _read(words: Words, known: Known) -> Split:
    words.keyword("split")
    operation = words.operation(known)
    words.end()
    return Split(operation)


FORM = Form(
    usage="split OPERATION",
    says="processes of its own for an operation",
    keyword="split",
    claims=begins_with("split"),
    read=_read,
)
