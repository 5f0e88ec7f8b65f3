"""Running generator flows: from an arrival to its first request, from a reply to the next one."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

from loadpath.drive.mix import Job
from loadpath.drive.operations import CompiledOperation
from loadpath.drive.requests import RequestWriter
from loadpath.drive.state import FlowRun, FlowState
from loadpath.flow import Acknowledged, Flow, Reply, Request

STEPS_MAX = 255


class Outcome(IntEnum):
    """What came of advancing a flow."""

    REQUEST = 0
    ENDED = 1
    RAISED = 2


class Flows:
    """Advances the flows of a run; it sends nothing, `run.payload` is what is to be sent."""

    def __init__(
        self, operations: tuple[CompiledOperation, ...], state: FlowState, writer: RequestWriter
    ) -> None:
        self._functions = [each.flow for each in operations]
        self._state = state
        self._rng = state.rng
        self._writer = writer

    def start(self, job: Job) -> tuple[FlowRun, Outcome]:
        """A new run for an arrival, advanced to its first request."""
        run = self._state.new_run(job)
        function = self._functions[job[1]]
        assert function is not None
        return run, self._begin(run, function, self._state)

    def start_check(self, run: FlowRun, check: Callable[..., Flow], item: Acknowledged) -> Outcome:
        """Advance the check of an acknowledged item to its first request."""
        return self._begin(run, check, item)

    def advance(self, run: FlowRun, reply: Reply) -> Outcome:
        """Give a run its reply. With REQUEST, it has a next step to send."""
        generator = run.generator
        assert generator is not None
        self._state.run = self._rng.stream = run
        try:
            self._take(run, generator.send(reply))
        except StopIteration as end:
            run.returned = end.value
            return Outcome.ENDED
        except (Exception, SystemExit) as error:  # noqa: BLE001  a user's code raises anything
            run.error = error
            return Outcome.RAISED
        run.step += 1
        return Outcome.REQUEST

    def _begin(
        self, run: FlowRun, function: Callable[..., Flow], argument: FlowState | Acknowledged
    ) -> Outcome:
        self._state.run = self._rng.stream = run
        try:
            generator = run.generator = function(argument)
            self._take(run, next(generator))
        except StopIteration as end:
            run.returned = end.value
            return Outcome.ENDED
        except (Exception, SystemExit) as error:  # noqa: BLE001  a user's code raises anything
            run.error = error
            return Outcome.RAISED
        return Outcome.REQUEST

    def _take(self, run: FlowRun, yielded: object) -> None:
        """Make what was yielded the request to send; raises what is wrong with it."""
        if not isinstance(yielded, Request):
            run.close()
            raise TypeError(f"a flow yields requests, such as get(…); this one {yielded!r:.80}")
        if run.step + 1 >= STEPS_MAX:
            run.close()
            raise RuntimeError(f"a flow of more than {STEPS_MAX} requests")
        run.payload = self._writer.encode(yielded)
        run.method = yielded.method
        run.expect = yielded.expect
