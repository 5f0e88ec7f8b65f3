"""`users x2`: that many times the load, the service as it is."""

from __future__ import annotations

import msgspec

from loadpath.changes.form import Form, begins_with
from loadpath.changes.words import Known, Words
from loadpath.model.network import Model
from loadpath.spec import OpenArrivals, Setup


class Users(msgspec.Struct, frozen=True):
    """`factor` times as many users: of open arrivals the rate, of closed ones the users."""

    factor: float

    @property
    def title(self) -> str:
        """`users x2`."""
        return f"users x{self.factor:g}"

    @property
    def assumes(self) -> str:
        """Nothing: their data is another question."""
        return "as many data as now: what more of them does is the question of growth"

    def predict(self, model: Model) -> Model:
        """The model as it is: the load is no part of it."""
        return model

    def apply(self, setup: Setup) -> Setup:
        """The workload's arrivals times the factor."""
        arrivals = setup.workload.arrivals
        more = (
            msgspec.structs.replace(arrivals, rate_per_s=arrivals.rate_per_s * self.factor)
            if isinstance(arrivals, OpenArrivals)
            else msgspec.structs.replace(
                arrivals, users=max(1, round(arrivals.users * self.factor))
            )
        )
        workload = msgspec.structs.replace(setup.workload, arrivals=more)
        return msgspec.structs.replace(setup, workload=workload)


def _read(words: Words, known: Known) -> Users:
    words.keyword("users")
    for sign in ("x", "×", "*"):
        if words.peek().startswith(sign):
            words.symbol(sign)
            break
    else:
        raise words.wrong("expected how many times as many, such as `x2`")
    factor = words.number("a number above 0, such as `x2`")
    words.end()
    return Users(factor)


FORM = Form(
    usage="users xK",
    says="K times as many users, the service as it is",
    keyword="users",
    claims=begins_with("users"),
    read=_read,
)
