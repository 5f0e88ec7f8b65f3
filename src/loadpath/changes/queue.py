"""`queue GET /{code}`: calls of an operation are made after its reply, by a queue."""

from __future__ import annotations

import msgspec

from loadpath.changes.change import NotAppliedError, NotPredictedError
from loadpath.changes.form import Form, begins_with
from loadpath.changes.steps import is_of, leaves, program_of, replaced, rewritten
from loadpath.changes.words import Known, Words
from loadpath.model.network import Model, Serve, Spawn, Step
from loadpath.spec import Setup


class Queue(msgspec.Struct, frozen=True):
    """The calls of `operation` to `dependencies` are made after the reply."""

    operation: str
    dependencies: tuple[str, ...]

    @property
    def title(self) -> str:
        """`queue GET /{code} database`."""
        return " ".join(("queue", self.operation, *self.dependencies))

    @property
    def assumes(self) -> str:
        """What stays and what the queue costs."""
        return (
            "the same calls, made later; the service's own CPU stays in the request, "
            "and the queue itself costs nothing"
        )

    def predict(self, model: Model) -> Model:
        """Those steps in a `Spawn`. Raises `NotPredictedError` when there are none."""
        steps = program_of(model, self.operation).steps

        def moves(step: Step) -> bool:
            return any(is_of(step, model, part) for part in self.dependencies)

        moved = tuple(step for step in leaves(steps) if moves(step))
        if not any(isinstance(step, Serve) or hasattr(step, "time") for step in moved):
            to = " or ".join(self.dependencies)
            raise NotPredictedError(f"{self.operation} was not seen to call {to}")
        rest = rewritten(steps, lambda step: () if moves(step) else (step,))
        return replaced(model, self.operation, (*rest, Spawn(moved)))

    def apply(self, setup: Setup) -> Setup:
        """Raises `NotAppliedError`: it would take other code."""
        raise NotAppliedError("it is the service's code that makes the calls")


def _read(words: Words, known: Known) -> Queue:
    words.keyword("queue")
    if not known.dependencies:
        said = "the service has no dependency: it calls nothing that could be called later"
        raise words.wrong(said, len(words.text), at=0)
    operation = words.operation(known)
    chosen: list[str] = []
    while words.peek():
        chosen.append(words.dependency(known))
    return Queue(operation, tuple(chosen) or known.dependencies)


FORM = Form(
    usage="queue OPERATION [DEPENDENCY …]",
    says="its calls are made after the reply",
    keyword="queue",
    claims=begins_with("queue"),
    read=_read,
)
