"""The operations of a workload, compiled: what the loop needs of each, looked up once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from loadpath.drive.fills import Fills
from loadpath.drive.keys import KeySampler, KeyTexts, check_key_sets
from loadpath.drive.requests import CLOSE, IDEMPOTENT
from loadpath.drive.templates import RequestTemplate, compile_request
from loadpath.errors import ConfigurationError
from loadpath.flow import EffectsMark, Flow, FlowMark, HoldMark, LoginMark
from loadpath.spec import KeySet, Workload
from loadpath.spec.flows import load_flows

_SHIFT = 32
_COMBINED = 0xFFF
_WHO_SHIFT = 44
KEY_MASK = (1 << _WHO_SHIFT) - 1
"""The bits of a key code that are about the key; those above it say which identity asked."""


class CompiledOperation(msgspec.Struct, frozen=True):
    """One operation. Either `template` or `flow` is there.

    `to_head`: it is a HEAD request, whose reply has no body whatever its head says. `reads_back`:
    the flow is the check of something acknowledged of that kind.
    """

    index: int
    name: str
    timeout_s: float
    expect: frozenset[int]
    template: RequestTemplate | None
    flow: Callable[..., Flow] | None
    idempotent: bool
    to_head: bool
    follow: int = 0
    reads_back: str | None = None


def identity_of(code: int) -> int | None:
    """The number of the identity in a key code; None when there is none in it."""
    return (code >> _WHO_SHIFT) - 1 if code >> _WHO_SHIFT else None


def identity_codes(numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """What identities add to the key codes of what they ask for."""
    return (numbers + 1).astype(np.uint64) << np.uint64(_WHO_SHIFT)


def parted(
    codes: npt.NDArray[np.uint64],
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """Key codes without their identities, and the identities: 0 none, else their number and 1."""
    return codes & np.uint64(KEY_MASK), codes >> np.uint64(_WHO_SHIFT)


class Keys:
    """The key sets of a workload: drawing, writing, and telling afterwards which key was meant.

    A key code is a number of 44 bits that stands for a key in a row: 0 none, else the key set and
    the number of the key in it, or one that stands for several keys of one request. In the 20 bits
    above it a row has the identity that asked, which so costs nothing while load runs.
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

    `holds` maps a kind of acknowledged thing to the check of whether it still holds, `effects` to
    what counts those of an attempt. `identities` draws who asks; None: it does not matter. `fills`
    fills the fields of declared requests.
    """

    operations: tuple[CompiledOperation, ...]
    keys: Keys
    holds: dict[str, Callable[..., Flow]]
    host: str
    fills: Fills
    identities: KeySampler | None = None
    login: Callable[..., Flow] | None = None
    cookies: bool = False
    effects: dict[str, Callable[..., Flow]] = {}

    @property
    def in_sessions(self) -> bool:
        """Whether a request may hold what a login or an earlier reply gave."""
        return self.identities is not None or self.cookies

    def ahead(self, operation: int) -> bool:
        """Whether the bytes of an operation's requests can be made before they are sent."""
        template, follow = self.operations[operation].template, self.operations[operation].follow
        return template is not None and not (template.dated or follow or self.in_sessions)

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


def compile_workload(workload: Workload, host: str, seed: int = 1) -> CompiledWorkload:
    """Compile for a service at `host` (as in the Host header).

    Raises `ConfigurationError` for what cannot be driven.
    """
    keys = Keys(workload.key_sets)
    marked = () if workload.flows is None else load_flows(workload.flows)
    flows = {mark.name: function for mark, function in marked if isinstance(mark, FlowMark)}
    holds = {mark.kind: function for mark, function in marked if isinstance(mark, HoldMark)}
    effects = {mark.kind: function for mark, function in marked if isinstance(mark, EffectsMark)}
    login = next((function for mark, function in marked if isinstance(mark, LoginMark)), None)
    texts = keys.by_name()
    fills = Fills(seed)
    operations = []
    for index, each in enumerate(workload.operations):
        request = each.request
        if request is not None and not workload.keep_alive:
            request = msgspec.structs.replace(request, headers=(CLOSE, *request.headers))
        template = None if request is None else compile_request(request, host, texts, fills)
        flow = None if each.request is not None else flows.get(each.name)
        if each.reads_back is not None:
            flow = holds.get(each.reads_back)
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
                follow=each.follow,
                reads_back=each.reads_back,
            )
        )
    fills.begin_segment(0)
    return CompiledWorkload(
        operations=tuple(operations),
        keys=keys,
        holds=holds,
        host=host,
        fills=fills,
        identities=None if workload.identities is None else KeySampler(workload.identities),
        login=None if workload.identities is None else login,
        cookies=workload.cookies,
        effects=effects,
    )
