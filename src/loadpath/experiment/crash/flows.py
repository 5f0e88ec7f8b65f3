"""What the flows of a workload say of themselves before anything is sent: they are generators."""

from __future__ import annotations

import random
from collections.abc import Callable

import msgspec

from loadpath.flow import Acknowledged, Flow, FlowMark, Identity, Request
from loadpath.spec import Workload, load_flows


class FlowFacts(msgspec.Struct, frozen=True):
    """Of one operation: how often its first request is sent again, and whether it announces a write
    before that is sent."""

    retries: int = 0
    announces: bool = False


class _State:
    """Answers a flow as a state does that has seen nothing yet, and notes what it announces."""

    def __init__(self, workload: Workload) -> None:
        self.rng = random.Random(0)
        self.identity = Identity(0)
        self.announced = False
        self._workload = workload

    def key(self, key_set: str) -> str:
        found = next(k for k in self._workload.key_sets if k.name == key_set)
        return found.pattern.format(n=found.first)

    def unique(self, prefix: str = "") -> str:
        return f"{prefix}0"

    def fresh_url(self) -> str:
        return "https://example.org/0"

    def attempt(self, kind: str, key: str = "") -> str:
        self.announced = True
        return "0"

    def acknowledge(self, kind: str, **fields: object) -> None:
        """Nothing was: no reply is ever sent."""

    def any_acknowledged(self, kind: str) -> Acknowledged | None:
        return None


def flow_facts(workload: Workload) -> dict[str, FlowFacts]:
    """By the name of each operation that is a flow, as far as its first request tells.

    A flow that cannot begin without a login or an earlier reply tells nothing, which is no error.
    """
    if workload.flows is None:
        return {}
    return {
        mark.name: _first(function, workload)
        for mark, function in load_flows(workload.flows)
        if isinstance(mark, FlowMark)
    }


def _first(function: Callable[..., Flow], workload: Workload) -> FlowFacts:
    state = _State(workload)
    try:
        running = function(state)
        first = next(running)
        running.close()
    except Exception:  # noqa: BLE001  a user's code raises anything
        # It was asked out of turn; whether it is at fault shows under load.
        return FlowFacts(announces=state.announced)
    retries = first.retries if isinstance(first, Request) else 0
    return FlowFacts(retries, state.announced)
