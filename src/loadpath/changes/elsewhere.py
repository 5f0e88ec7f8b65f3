"""`database elsewhere +0.3ms`: a dependency on another host, so far away."""

from __future__ import annotations

import msgspec

from loadpath.changes.change import NotAppliedError
from loadpath.changes.form import Form
from loadpath.changes.slower import duration, later
from loadpath.changes.steps import stations_of
from loadpath.changes.words import Known, Words
from loadpath.model.network import Model, Station
from loadpath.spec import Setup


class Elsewhere(msgspec.Struct, frozen=True):
    """The dependency leaves this host; a round trip to it takes `round_trip_s` more."""

    dependency: str
    round_trip_s: float

    @property
    def title(self) -> str:
        """`database elsewhere +0.3ms`."""
        return f"{self.dependency} elsewhere +{duration(self.round_trip_s)}"

    @property
    def assumes(self) -> str:
        """What the other host is like."""
        return "a host as fast as this one, with cores enough; every exchange is one round trip"

    def predict(self, model: Model) -> Model:
        """Its stations take no core here, and each call takes a round trip more."""
        moved = stations_of(model, self.dependency)

        def placed(station: Station) -> Station:
            if station.name not in moved:
                return station
            return msgspec.structs.replace(station, on_host=False)

        stations = tuple(placed(station) for station in model.stations)
        away = msgspec.structs.replace(model, stations=stations)
        return later(away, self.dependency, self.round_trip_s)

    def apply(self, setup: Setup) -> Setup:
        """Raises `NotAppliedError`: it would take another host."""
        raise NotAppliedError("Loadpath measures on one host")


def _claims(words: Words, known: Known) -> bool:
    return words.first() in known.dependencies and words.second() == "elsewhere"


def _read(words: Words, known: Known) -> Elsewhere:
    dependency = words.dependency(known)
    words.keyword("elsewhere")
    words.symbol("+")
    round_trip_s = words.duration_s("the round trip to it")
    words.end()
    return Elsewhere(dependency, round_trip_s)


FORM = Form(
    usage="DEPENDENCY elsewhere +TIME",
    says="a dependency on another host, a round trip of that time away",
    claims=_claims,
    read=_read,
)
