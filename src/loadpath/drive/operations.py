"""The operations of a workload, compiled: what the loop needs of each, looked up once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from loadpath.drive.keys import KeySampler, KeyTexts, check_key_sets
from loadpath.drive.requests import CLOSE, IDEMPOTENT, RequestTemplate, compile_request
from loadpath.errors import ConfigurationError
from loadpath.flow import Flow, FlowMark, HoldMark
from loadpath.spec import KeySet, Workload
from loadpath.spec.flows import load_flows

_SHIFT = 32
_COMBINED = 0xFFFF


class CompiledOperation(msgspec.Struct, frozen=True):
    """One operation. Either `template` or `flow` is there.

    `to_head`: it is a HEAD request, whose reply has no body whatever its head says.
    """

    index: int
    name: str
    timeout_s: float
    expect: frozenset[int]
    template: RequestTemplate | None
    flow: Callable[..., Flow] | None
    idempotent: bool
    to_head: bool


class Keys:
    """The key sets of a workload: drawing, writing, and telling afterwards which key was meant.

    A key code is a 64-bit number that stands for a key in a row: 0 none, else the key set and the
    number of the key in it, or one that stands for several keys of one request.
    """

    def __init__(self, key_sets: Sequence[KeySet]) -> None:
        check_key_sets(key_sets)
        self.index = {each.name: i for i, each in enumerate(key_sets)}
        self.samplers = [KeySampler(each) for each in key_sets]
        self.texts = [KeyTexts(each) for each in key_sets]
        self._combined: dict[tuple[int, ...], int] = {}
        self._combinations: list[tuple[int, ...]] = []

    def by_name(self) -> Mapping[str, KeyTexts]:
        """How the keys of each key set are written."""
        return {name: self.texts[i] for name, i in self.index.items()}

    @staticmethod
    def code(key_set: int, number: int) -> int:
        """The code of one key."""
        return (key_set + 1) << _SHIFT | number

    def combine(self, codes: Sequence[int]) -> int:
        """The code of several keys together."""
        key = tuple(codes)
        at = self._combined.get(key)
        if at is None:
            at = self._combined[key] = len(self._combinations)
            self._combinations.append(key)
        return _COMBINED << _SHIFT | at

    def text(self, code: int) -> str:
        """The key (or keys, each ended by a NUL) that a code stands for."""
        key_set, number = code >> _SHIFT, code & ((1 << _SHIFT) - 1)
        if key_set == _COMBINED:
            return "".join(f"{self.text(each)}\0" for each in self._combinations[number])
        return self.texts[key_set - 1].text(number)


class CompiledWorkload(msgspec.Struct, frozen=True):
    """Everything of a workload that does not change between segments.

    `holds` maps a kind of acknowledged thing to the check of whether it still holds.
    """

    operations: tuple[CompiledOperation, ...]
    keys: Keys
    holds: dict[str, Callable[..., Flow]]
    host: str

    def weights(self, wanted: Mapping[str, float]) -> tuple[list[int], list[float]]:
        """Operation indices and weights of those wanted with a weight above zero.

        Raises `ConfigurationError` for a name that is not an operation, and when none is left.
        """
        by_name = {operation.name: operation.index for operation in self.operations}
        for name in wanted:
            if name not in by_name:
                raise ConfigurationError(
                    f"`{name}` is not an operation; there are {', '.join(map(repr, by_name))}"
                )
        chosen = {by_name[name]: weight for name, weight in wanted.items() if weight > 0}
        if not chosen:
            raise ConfigurationError("no operation to drive has a weight above zero")
        return list(chosen), list(chosen.values())


def compile_workload(workload: Workload, host: str) -> CompiledWorkload:
    """Compile for a service at `host` (as in the Host header).

    Raises `ConfigurationError` for what cannot be driven.
    """
    keys = Keys(workload.key_sets)
    marked = () if workload.flows is None else load_flows(workload.flows)
    flows = {mark.name: function for mark, function in marked if isinstance(mark, FlowMark)}
    holds = {mark.kind: function for mark, function in marked if isinstance(mark, HoldMark)}
    texts = keys.by_name()
    operations = []
    for index, each in enumerate(workload.operations):
        request = each.request
        if request is not None and not workload.keep_alive:
            request = msgspec.structs.replace(request, headers=(CLOSE, *request.headers))
        template = None if request is None else compile_request(request, host, texts)
        flow = None if each.request is not None else flows.get(each.name)
        if template is None and flow is None:
            raise ConfigurationError(
                f"operation `{each.name}` has no request, and no flow is called that",
                file=None if workload.flows is None else str(workload.flows),
            )
        operations.append(
            CompiledOperation(
                index=index,
                name=each.name,
                timeout_s=each.timeout_s,
                expect=frozenset(each.expect),
                template=template,
                flow=flow,
                idempotent=template is not None and template.method in IDEMPOTENT,
                to_head=template is not None and template.method == "HEAD",
            )
        )
    return CompiledWorkload(operations=tuple(operations), keys=keys, holds=holds, host=host)
