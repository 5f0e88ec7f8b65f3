"""An error that the server did not make."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from loadpath.faults.unit_fault import UnitFault, match_of
from loadpath.spec import DependencyKind
from loadpath.tap import orders

if TYPE_CHECKING:
    from typing import Self

    from loadpath.faults.words import Words


class ErrorReply(UnitFault, frozen=True, kw_only=True):
    """`[TARGET] error CODE [on UNIT]`."""

    KEYWORD: ClassVar[tuple[str, ...]] = ("error",)
    FORM: ClassVar[str] = "[TARGET] error CODE [on UNIT]"
    EXAMPLE: ClassVar[str] = "error 40001 on UPDATE link"
    SUMMARY: ClassVar[str] = (
        "It is not done and answered by that error: an SQLSTATE (53300: to new connections; "
        "57P01: and the connection ends), LOADING, OOM, READONLY, …, -ERR, or an HTTP status."
    )
    HIT: ClassVar[str] = "units answered by the error"

    code: str

    @classmethod
    def read(cls, target: str, words: Words) -> Self:
        code = words.next
        if not kinds_of_code(code):
            raise words.wrong("an SQLSTATE, a Redis error such as OOM, -ERR, or an HTTP status")
        words.skip()
        if not words.take("on"):
            return cls(target=target, code=code)
        if code == "53300":
            raise words.wrong("nothing more: 53300 answers new connections, not statements")
        return cls(target=target, code=code, match=match_of(words))

    def details(self) -> str:
        return f"{self.code} on {self.match}" if self.match else self.code

    def order(self, when: orders.When) -> orders.AnyOrder:
        return orders.Fail(code=self.code, match=self.match, when=when)

    def kinds(self) -> frozenset[DependencyKind]:
        return kinds_of_code(self.code)


def kinds_of_code(code: str) -> frozenset[DependencyKind]:
    """The kind of server that makes such an error; none for what is no error."""
    if code == "-ERR":
        return frozenset(("nats",))
    if re.fullmatch(r"[45]\d\d", code):
        return frozenset(("http",))
    if re.fullmatch(r"[0-9A-Z]{5}", code) and any(letter.isdigit() for letter in code):
        return frozenset(("postgres",))
    return frozenset(("valkey",)) if re.fullmatch(r"[A-Z]{2,20}", code) else frozenset()
