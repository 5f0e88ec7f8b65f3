"""`calls GET /x database 20->1`: fewer calls for one request, an N+1 mended."""

from __future__ import annotations

import msgspec

from loadpath.changes.change import NotAppliedError, NotPredictedError
from loadpath.changes.form import Form, begins_with
from loadpath.changes.steps import calls_rewritten, count_calls, program_of, replaced, thinned
from loadpath.changes.words import Known, Words
from loadpath.model.network import Model
from loadpath.spec import Setup


class FewerCalls(msgspec.Struct, frozen=True):
    """A request of `operation` makes `after` calls to `dependency` instead of `before`."""

    operation: str
    dependency: str
    before: float
    after: float

    @property
    def title(self) -> str:
        """`calls GET /x database 20->1`."""
        return f"calls {self.operation} {self.dependency} {self.before:g}->{self.after:g}"

    @property
    def assumes(self) -> str:
        """Which work goes with a call."""
        return (
            "a call that is left out takes its own time and the dependency's CPU with it, "
            "the service's own CPU stays"
        )

    def predict(self, model: Model) -> Model:
        """The rest of its calls left out. Raises `NotPredictedError` when there are none."""
        steps = program_of(model, self.operation).steps
        count = count_calls(model, self.dependency, steps)
        if not count:
            raise NotPredictedError(f"{self.operation} was not seen to call {self.dependency}")
        fewer = thinned(count, self.after / self.before)
        return replaced(
            model, self.operation, calls_rewritten(model, self.dependency, steps, fewer)
        )

    def apply(self, setup: Setup) -> Setup:
        """Raises `NotAppliedError`: it would take other code."""
        raise NotAppliedError("it is the service's code that makes the calls")


def _read(words: Words, known: Known) -> FewerCalls:
    words.keyword("calls")
    operation = words.operation(known)
    dependency = words.dependency(known)
    expected = "the calls a request makes and shall make, such as `20->1`"
    before = words.number(expected)
    words.symbol("->")
    after = words.number(expected, least=-1.0)
    if after >= before:
        raise words.wrong("expected fewer calls than before", at=len(words.text) - 1)
    words.end()
    return FewerCalls(operation, dependency, before, after)


FORM = Form(
    usage="calls OPERATION DEPENDENCY N->M",
    says="M calls for a request instead of N, as when an N+1 is mended",
    keyword="calls",
    claims=begins_with("calls"),
    read=_read,
)
