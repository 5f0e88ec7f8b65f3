"""A statement kept inside the service, in a model: its calls are not made where one is found. Pure.

What of its own code the service is spared is not seen from outside, so it is told in two ways: none
of it, and all that it does between the reply before and this call. Where a connection is taken for
this call, and besides it only for what a driver says to begin and to tidy up, the second goes
without the connection and all of that.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from loadpath.changes import NotPredictedError
from loadpath.changes.steps import SERVICE, leaves, stations_of, with_programs
from loadpath.model.network import (
    Acquire,
    Attempt,
    Delay,
    Maybe,
    Model,
    Program,
    Release,
    Serve,
    Spawn,
    Step,
    call_name,
)

_TIDYING = re.compile(
    r"BEGIN|START|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|SET|SHOW|RESET|DISCARD|DEALLOCATE|CLOSE|UNLISTEN"
    r"|SELECT pg_\w+\(\)$"
)


class KeptCall(msgspec.Struct, frozen=True):
    """So large a share (`hit_ratio`) of the calls of `shape` is answered by what was kept in the
    service; `with_own`: with it goes the service's own work before them."""

    dependency: str
    shape: str
    hit_ratio: float
    with_own: bool = False

    def predict(self, model: Model) -> Model:
        """The model with those calls made by misses alone, which alone take a connection for it.

        Raises `NotPredictedError` where no operation was seen to make them.
        """
        name = call_name(self.dependency, self.shape)
        made = [leaf for program in model.programs for leaf in leaves(program.steps)]
        if not any(isinstance(leaf, Serve | Delay) and leaf.call == name for leaf in made):
            raise NotPredictedError(f"no operation was seen to ask {name} when it was alone")
        own = stations_of(model, SERVICE)

        def rewrite(program: Program) -> Program:
            return msgspec.structs.replace(program, steps=self._kept(program.steps, name, own))

        return with_programs(model, rewrite)

    def _kept(self, steps: Sequence[Step], name: str, own: frozenset[str]) -> tuple[Step, ...]:
        made: list[Step] = []
        at = 0
        while at < len(steps):
            step = steps[at]
            lease = self._lease(steps, at, name, own) if self.with_own else 0
            if lease:
                spared = list(steps[at : at + lease])
                if made and isinstance(before := made[-1], Serve) and before.call:
                    spared.insert(0, made.pop())
                made.append(Maybe(1 - self.hit_ratio, tuple(spared)))
                at += lease
                continue
            if not _is_part(step, name, own):
                made.append(self._inside(step, name, own))
                at += 1
                continue
            end = at + 1
            # A call is the time on its way, if any, and then the work for it.
            if end < len(steps) and isinstance(step, Delay) and _is_serve(steps[end], name, own):
                end += 1
            call = list(steps[at:end])
            if made and end < len(steps) and _is_lease(made[-1], steps[end]):
                call = [made.pop(), *call, steps[end]]
                end += 1
            if self.with_own and made and _is_before(made[-1], name, own):
                call.insert(0, made.pop())
            elif self.with_own and len(made) > 1 and _is_before(made[-2], name, own):
                # The connection that is taken in between is needed for more than this call.
                made[-2] = Maybe(1 - self.hit_ratio, (made[-2],))
            made.append(Maybe(1 - self.hit_ratio, tuple(call)))
            at = end
        return tuple(made)

    def _lease(self, steps: Sequence[Step], at: int, name: str, own: frozenset[str]) -> int:
        """How many steps a connection, taken at `at`, is held for this call alone; else 0."""
        taken = steps[at]
        if not isinstance(taken, Acquire):
            return 0
        given = (n for n in range(at + 1, len(steps)) if _is_lease(taken, steps[n]))
        end = next(given, 0)
        made = leaves(steps[at + 1 : end])
        calls = {s.call for s in made if isinstance(s, Serve | Delay) and s.call}
        others = (each.removeprefix(f"{self.dependency} ") for each in calls - {name})
        if name in calls and all(_TIDYING.match(each) for each in others):
            return end + 1 - at
        return 0

    def _inside(self, step: Step, name: str, own: frozenset[str]) -> Step:
        if isinstance(step, Maybe):
            return msgspec.structs.replace(
                step,
                steps=self._kept(step.steps, name, own),
                otherwise=self._kept(step.otherwise, name, own),
            )
        if isinstance(step, Attempt | Spawn):
            return msgspec.structs.replace(step, steps=self._kept(step.steps, name, own))
        return step


def _is_part(step: Step, name: str, own: frozenset[str]) -> bool:
    """Whether the step is of the call itself, and none of the service's own."""
    return _is_serve(step, name, own) or (isinstance(step, Delay) and step.call == name)


def _is_serve(step: Step, name: str, own: frozenset[str]) -> bool:
    return isinstance(step, Serve) and step.call == name and step.station not in own


def _is_before(step: Step, name: str, own: frozenset[str]) -> bool:
    return isinstance(step, Serve) and step.call == name and step.station in own


def _is_lease(before: Step, after: Step) -> bool:
    """Whether a connection is taken for this call alone."""
    return isinstance(before, Acquire) and isinstance(after, Release) and before.pool == after.pool
