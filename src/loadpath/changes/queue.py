"""`queue GET /{code}`: calls of an operation are made after its reply, by a queue."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from loadpath.changes.change import NotAppliedError, NotPredictedError
from loadpath.changes.form import Form, begins_with
from loadpath.changes.steps import count_calls, is_of, program_of, replaced
from loadpath.changes.words import Known, Words
from loadpath.model.network import Maybe, Model, Spawn, Step
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
        """Those calls in a `Spawn`. Raises `NotPredictedError` when there are none."""
        steps = program_of(model, self.operation).steps
        if not any(count_calls(model, part, steps) for part in self.dependencies):
            to = " or ".join(self.dependencies)
            raise NotPredictedError(f"{self.operation} was not seen to call {to}")
        moved: list[Step] = []
        kept = self._parted(model, steps, moved)
        return replaced(model, self.operation, (*kept, Spawn(tuple(moved))))

    def _parted(self, model: Model, steps: Iterable[Step], moved: list[Step]) -> tuple[Step, ...]:
        """The steps that stay; those that go are added to `moved`, as likely as they were."""
        stays: list[Step] = []
        for step in steps:
            if isinstance(step, Maybe):
                inner: list[Step] = []
                kept = self._parted(model, step.steps, inner)
                other: list[Step] = []
                otherwise = self._parted(model, step.otherwise, other)
                if inner or other:
                    moved.append(Maybe(step.probability, tuple(inner), tuple(other)))
                if kept or otherwise:
                    stays.append(Maybe(step.probability, kept, otherwise))
            elif any(is_of(step, model, part) for part in self.dependencies):
                moved.append(step)
            else:
                stays.append(step)
        return tuple(stays)

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
