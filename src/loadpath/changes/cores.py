"""`cores=1`: the service and its dependencies on that many of the host's cores."""

from __future__ import annotations

import msgspec

from loadpath.changes.change import NotAppliedError
from loadpath.changes.form import Form, assigns
from loadpath.changes.words import Known, Words
from loadpath.model.network import Model, Station
from loadpath.spec import Setup


class Cores(msgspec.Struct, frozen=True):
    """`count` cores for what is measured, on a host of `host_cores`; the engine keeps them all."""

    count: int
    host_cores: int

    @property
    def title(self) -> str:
        """`cores=1`."""
        return f"cores={self.count}"

    @property
    def assumes(self) -> str:
        """Where the engine is."""
        if self.count < self.host_cores:
            return "the load engine runs on the other cores"
        return "each core as fast as those here"

    def predict(self, model: Model) -> Model:
        """So many cores; the engine elsewhere when it has cores of its own then."""
        engine_apart = self.count < self.host_cores

        def placed(station: Station) -> Station:
            if station.name == model.engine and engine_apart:
                return msgspec.structs.replace(station, on_host=False)
            return station

        return msgspec.structs.replace(
            model,
            cores=model.cores * self.count / self.host_cores,
            stations=tuple(placed(station) for station in model.stations),
        )

    def apply(self, setup: Setup) -> Setup:
        """The same service, bound to so many cores. Raises `NotAppliedError` for more than are."""
        if self.count > self.host_cores:
            raise NotAppliedError(f"this host has {self.host_cores} cores")
        return msgspec.structs.replace(setup, cores=self.count)


def _read(words: Words, known: Known) -> Cores:
    words.keyword_assigned("cores")
    count = words.count("how many cores")
    words.end()
    return Cores(count, known.cores)


FORM = Form(
    usage="cores=N",
    says="the service and its dependencies on N cores of the host",
    keyword="cores",
    claims=assigns("cores"),
    read=_read,
)
