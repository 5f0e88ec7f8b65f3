"""`workers=4`: that many workers of the service on the same host."""

from __future__ import annotations

import msgspec

from loadpath.changes.change import NotPredictedError
from loadpath.changes.form import Form, assigns
from loadpath.changes.steps import SERVICE, stations_of
from loadpath.changes.words import Known, Words
from loadpath.model.network import Model, Pool, Station
from loadpath.spec import Setup


class Workers(msgspec.Struct, frozen=True):
    """`count` workers where there are `before`."""

    count: int
    before: int

    @property
    def title(self) -> str:
        """`workers=4`."""
        return f"workers={self.count}"

    @property
    def assumes(self) -> str:
        """What a worker brings with it."""
        return "each worker brings pools of its own, and requests spread evenly over them"

    def predict(self, model: Model) -> Model:
        """So many times the servers and the pools of the service."""
        if not stations_of(model, SERVICE):
            raise NotPredictedError("the model has no thread of the service")
        # Its pools are those of any part that is not the service's own: all are held by a worker.
        return msgspec.structs.replace(
            model,
            stations=tuple(self._station(station) for station in model.stations),
            pools=tuple(self._pool(pool) for pool in model.pools),
        )

    def apply(self, setup: Setup) -> Setup:
        """The same service, started with so many workers."""
        return msgspec.structs.replace(setup, workers=self.count)

    def _station(self, station: Station) -> Station:
        if station.part != SERVICE:
            return station
        return msgspec.structs.replace(station, servers=self._times(station.servers))

    def _pool(self, pool: Pool) -> Pool:
        return msgspec.structs.replace(pool, size=self._times(pool.size))

    def _times(self, number: int) -> int:
        return max(1, round(number * self.count / self.before))


def _read(words: Words, known: Known) -> Workers:
    words.keyword_assigned("workers")
    count = words.count("how many workers")
    words.end()
    if not any("{workers}" in word for word in known.setup.service.start):
        raise words.wrong(
            "the service's start command has no {workers}: nothing would change",
            len(words.text),
            at=0,
            advice="Put {workers} where the start command says how many there are.",
        )
    return Workers(count, known.setup.worker_count)


FORM = Form(
    usage="workers=N",
    says="N workers of the service on the same host",
    keyword="workers",
    claims=assigns("workers"),
    read=_read,
)
