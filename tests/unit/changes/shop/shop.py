"""A small service, as a user declares it and as a model has it; what its requests take."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from loadpath.model.network import (
    Acquire,
    Attempt,
    Delay,
    Law,
    Maybe,
    Model,
    Pool,
    Program,
    Release,
    Serve,
    Spawn,
    Station,
    Step,
)
from loadpath.spec import (
    DeclaredRequest,
    Dependency,
    KeySet,
    Knob,
    OpenArrivals,
    Operation,
    Service,
    Setup,
    Workload,
)

LOOK, BOOK, LIST = "GET /{code}", "POST /books", "GET /books"


def shop_setup() -> Setup:
    service = Service(
        name="shop",
        directory=Path(),
        start=("shop", "--port", "{port}", "--workers", "{workers}"),
        workers=2,
        dependencies=(
            Dependency(name="database", kind="postgres", env={"DATABASE_URL": "{host}"}),
            Dependency(name="cache", kind="valkey", env={"CACHE": "{host}"}),
        ),
        knobs=(
            Knob("pool", "DB_POOL", "10", ("5", "10", "20"), "database"),
            Knob("mode", "MODE", "fast", ("fast", "slow")),
        ),
    )
    workload = Workload(
        arrivals=OpenArrivals(200.0),
        operations=(
            Operation(
                name=LOOK,
                weight=80,
                request=DeclaredRequest(method="GET", path="/{code}", keys={"code": "link"}),
            ),
            Operation(name=BOOK, weight=10, request=DeclaredRequest(method="POST", path="/books")),
            Operation(name=LIST, weight=10, request=DeclaredRequest(method="GET", path="/books")),
        ),
        key_sets=(KeySet(name="link", count=100, distribution="zipf"),),
    )
    return Setup(service=service, workload=workload)


def law(mean_s: float) -> Law:
    return Law(mean_s=mean_s)


def shop_model() -> Model:
    """LOOK asks the cache and in one of four cases the database; LIST makes 20 calls to it."""
    call: tuple[Step, ...] = (Delay(law(0.0001), "database"), Serve("database", law(0.0005)))
    inside = (Acquire("connections"), *call, Release("connections"))
    ends = (Serve("engine", law(0.00005)),)
    return Model(
        cores=4.0,
        stations=(
            Station(name="engine", part="engine"),
            Station(name="loop", part="service", servers=2, wakeup_s=0.0001),
            Station(name="database", part="database", servers=20),
            Station(name="database aside", part="database", servers=20),
            Station(name="cache", part="cache"),
        ),
        pools=(Pool(name="connections", part="database", size=20),),
        programs=(
            Program(
                operation=LOOK,
                weight=80,
                steps=(
                    *ends,
                    Serve("loop", law(0.001)),
                    Serve("cache", law(0.00002)),
                    Maybe(0.25, inside),
                    *ends,
                ),
            ),
            Program(
                operation=BOOK,
                weight=10,
                steps=(
                    *ends,
                    Serve("loop", law(0.002)),
                    *inside,
                    Spawn((Serve("database aside", law(0.0003)),)),
                    *ends,
                ),
            ),
            Program(
                operation=LIST,
                weight=10,
                steps=(
                    *ends,
                    Serve("loop", law(0.004)),
                    Acquire("connections"),
                    *(call * 20),
                    Release("connections"),
                    *ends,
                ),
            ),
        ),
    )


class Spent:
    """What a request of an operation takes on average, by station and by part it waits for."""

    def __init__(self, model: Model, operation: str) -> None:
        self.cpu_s: dict[str, float] = {}
        self.wait_s: dict[str, float] = {}
        self.in_reply_s = 0.0
        (program,) = (p for p in model.programs if p.operation == operation)
        self._add(program.steps, 1.0, in_reply=True)

    def _add(self, steps: Iterable[Step], share: float, *, in_reply: bool) -> None:
        for step in steps:
            match step:
                case Serve(station, work):
                    self.cpu_s[station] = self.cpu_s.get(station, 0.0) + share * work.mean_s
                    self.in_reply_s += share * work.mean_s * in_reply
                case Delay(time, part):
                    self.wait_s[part] = self.wait_s.get(part, 0.0) + share * time.mean_s
                    self.in_reply_s += share * time.mean_s * in_reply
                case Maybe(probability, taken, otherwise):
                    self._add(taken, share * probability, in_reply=in_reply)
                    self._add(otherwise, share * (1 - probability), in_reply=in_reply)
                case Spawn(later, every):
                    self._add(later, share / every, in_reply=False)
                case Attempt(tried):
                    self._add(tried, share, in_reply=in_reply)
