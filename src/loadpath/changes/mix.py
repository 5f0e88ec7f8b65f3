"""`mix GET /x=30%`: an operation becomes that share of all requests, the others in proportion."""

from __future__ import annotations

import msgspec

from loadpath.changes.form import Form, begins_with
from loadpath.changes.steps import program_of, with_programs
from loadpath.changes.words import Known, Words
from loadpath.model.network import Model, Program
from loadpath.spec import Setup


class Mix(msgspec.Struct, frozen=True):
    """`operation` gets `share` of all requests."""

    operation: str
    share: float

    @property
    def title(self) -> str:
        """`mix GET /x=30%`."""
        return f"mix {self.operation}={self.share * 100:g}%"

    @property
    def assumes(self) -> str:
        """Nothing."""
        return ""

    def predict(self, model: Model) -> Model:
        """Other weights of the programs. Raises `NotPredictedError` for one that was not driven."""
        program_of(model, self.operation)
        shares = self._shares({p.operation: p.weight for p in model.programs})

        def weighted(program: Program) -> Program:
            return msgspec.structs.replace(program, weight=shares[program.operation])

        return with_programs(model, weighted)

    def apply(self, setup: Setup) -> Setup:
        """Other weights of the operations."""
        shares = self._shares({o.name: o.weight for o in setup.workload.operations})
        operations = tuple(
            msgspec.structs.replace(operation, weight=shares[operation.name])
            for operation in setup.workload.operations
        )
        workload = msgspec.structs.replace(setup.workload, operations=operations)
        return msgspec.structs.replace(setup, workload=workload)

    def _shares(self, weights: dict[str, float]) -> dict[str, float]:
        others = sum(weights.values()) - weights[self.operation]
        return {
            name: self.share if name == self.operation else weight / others * (1 - self.share)
            for name, weight in weights.items()
        }


def _read(words: Words, known: Known) -> Mix:
    words.keyword("mix")
    operation = words.operation(known, ends="=")
    if sum(o.weight > 0 for name, o in known.operations.items() if name != operation) == 0:
        raise words.wrong(f"{operation} is all there is: nothing else could become less", at=4)
    words.symbol("=")
    share = words.share("its share of all requests", example="30%")
    words.end()
    return Mix(operation, share)


FORM = Form(
    usage="mix OPERATION=SHARE%",
    says="another share of the requests, the others in proportion",
    keyword="mix",
    claims=begins_with("mix"),
    read=_read,
)
