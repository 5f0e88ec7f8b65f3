"""What a fault is: what it is called, what it needs, how it begins and how it is undone."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

import msgspec

from loadpath.faults.trigger import Trigger, trigger_words
from loadpath.spec import DependencyKind

if TYPE_CHECKING:
    from typing import Self

    from loadpath.faults.injection import Injection
    from loadpath.faults.words import Words

Layer: TypeAlias = Literal["process", "connect", "stream", "protocol unit", "state"]


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """What must be so for a fault to be possible. `explain.refusal` says what is not.

    `kinds` are the kinds of dependency it can be aimed at (empty: any), `service` whether the
    service itself. `tap`: one stands before the target. `started`: Loadpath started the target, so
    that nobody else's work is lost. `root`: Loadpath runs as root. `writes`: the target gets what
    the service did not send, so one that others use too gets it only where writes may reach it.
    """

    kinds: frozenset[DependencyKind] = frozenset()
    service: bool = False
    tap: bool = False
    started: bool = False
    root: bool = False
    writes: bool = False


class Hits(msgspec.Struct, frozen=True):
    """The proof that a fault was one: how many times it took effect, and how that is known.

    `uncovered` says what it could not reach, with how many connections each, if there is such.
    """

    count: int
    proof: str
    uncovered: dict[str, int] = {}


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One fault, aimed. Base of all; each is a file of this package and a line in `registry.py`.

    `target` is the name of a dependency or `service`; "" (protocol units only) is the dependency
    that what it is about is sent to, found by `explain.aimed`. The class says what all of its kind
    share: `KEYWORD`, the words that it is told by behind the target; `FORM`, all of its words;
    `SUMMARY`, one sentence for `--list-faults`. `OUTAGE`: while it lasts nobody gets an answer from
    the target, and whoever asks waits for it or fails at once; empty: it is no outage.
    """

    KEYWORD: ClassVar[tuple[str, ...]]
    FORM: ClassVar[str]
    EXAMPLE: ClassVar[str]
    SUMMARY: ClassVar[str]
    LAYER: ClassVar[Layer]
    NEEDS: ClassVar[Needs]
    OUTAGE: ClassVar[Literal["", "waits", "fails"]] = ""

    target: str
    trigger: Trigger = Trigger()

    @classmethod
    def read(cls, target: str, words: Words) -> Self:
        """The fault that the words behind the keyword say. Raises `ConfigurationError`."""
        return cls(target=target)

    def kinds(self) -> frozenset[DependencyKind]:
        """The kinds of dependency that it can be aimed at; empty: any that `NEEDS` allows."""
        return self.NEEDS.kinds

    def details(self) -> str:
        """The words behind the keyword; `read` takes them back."""
        return ""

    @property
    def name(self) -> str:
        """As on the command line; `parse_fault` takes it back."""
        words = [self.target, *self.KEYWORD, self.details()]
        said = " ".join(word for word in words if word).replace("+ ", "+")
        return said + trigger_words(self.trigger)

    async def prepare(self, injection: Injection) -> None:
        """Before the control run: what the fault will need and must not be part of it."""

    async def onset(self, injection: Injection) -> None:
        """Begin. Whatever has to be undone is told to `injection.undo` before it is done."""
        raise NotImplementedError

    async def heal(self, injection: Injection) -> None:
        """End the fault, so that everything could work again. By default: undo what was done."""
        await injection.clean_up()

    async def hits(self, injection: Injection) -> Hits:
        """What it has hit so far; also after it has healed."""
        raise NotImplementedError
