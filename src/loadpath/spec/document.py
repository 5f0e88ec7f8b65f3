"""The service file as written: one struct for each table, before it is given meaning.

These structs say which keys there are, of what type, and in what words an error describes what was
expected. `docs/reference/service-file.md` documents every key of them (a test compares).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta

from loadpath.spec import quantities
from loadpath.spec.dependency import DependencyKind
from loadpath.spec.growth import Multiplies

# `read` turns the text into a figure; the check calls it, so that the error is about the key.
Duration: TypeAlias = Annotated[
    str,
    Meta(
        description='a duration such as "250ms", "2s" or "1m"',
        extra={"read": quantities.duration_s},
    ),
]
PositiveDuration: TypeAlias = Annotated[
    str,
    Meta(
        description='a duration above zero such as "250ms", "2s" or "1m"',
        extra={"read": quantities.positive_duration_s},
    ),
]
Rate: TypeAlias = Annotated[
    str,
    Meta(
        description='a rate above zero such as "200/s" or "12k/min"',
        extra={"read": quantities.rate_per_s},
    ),
]
Ratio: TypeAlias = Annotated[
    str | float | int,
    Meta(
        description='a share such as "0.1%" or 0.001',
        extra={"read": quantities.ratio},
    ),
]
Scalar: TypeAlias = Annotated[
    str | int | float | bool,
    Meta(description="a string, a number, true or false"),
]
Command: TypeAlias = Annotated[
    str | list[str],
    Meta(description='a command such as "python -m app", or a list of its words'),
]
Status: TypeAlias = Annotated[
    int,
    Meta(ge=100, le=599, description="an HTTP status from 100 to 599"),
]
Count: TypeAlias = Annotated[int, Meta(ge=1, description="a whole number of at least 1")]
Whole: TypeAlias = Annotated[int, Meta(ge=0, description="a whole number of at least 0")]
Weight: TypeAlias = Annotated[float, Meta(ge=0, description="a number of at least 0")]


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all tables: a key that is not one of its fields is an error."""


class TlsTable(Table, frozen=True):
    """`tls` of the service, when it is more than true or false."""

    ca: str | None = None
    name: str = "localhost"


class ServiceTable(Table, frozen=True):
    """`[service]`."""

    start: Command
    name: str | None = None
    ready: str = "GET /"
    workers: Count = 1
    env: dict[str, Scalar] = {}
    ready_timeout: PositiveDuration = "30s"
    stop_timeout: PositiveDuration = "10s"
    peers: list[str] = []
    tls: bool | TlsTable = False


class DependencyTable(Table, frozen=True):
    """`[dependencies.NAME]`."""

    kind: DependencyKind
    env: dict[str, Scalar] = {}
    url: str | None = None
    prepare: Command | None = None
    seed: Command | None = None
    settings: dict[str, Scalar] = {}
    extensions: list[str] = []


class KnobTable(Table, frozen=True):
    """`[knobs.NAME]`."""

    env: str
    default: Scalar
    values: list[Scalar]
    pool: str | None = None


class ObjectiveTable(Table, frozen=True):
    """`[objective]` and `objective` of an operation."""

    p50: PositiveDuration | None = None
    p90: PositiveDuration | None = None
    p95: PositiveDuration | None = None
    p99: PositiveDuration | None = None
    p999: PositiveDuration | None = None
    errors: Ratio | None = None
    staleness: Ratio | None = None


class ArrivalsTable(Table, frozen=True):
    """`arrivals` of the workload: open (a rate) or closed (users), never both."""

    open: Rate | None = None
    process: Literal["poisson", "constant"] | None = None
    users: Count | None = None
    think_time: Duration | None = None


class KeySetTable(Table, frozen=True):
    """`[workload.keys.NAME]`, or `keys` of an operation written out there."""

    count: Count | None = None
    first: Whole | None = None
    zipf: Weight | None = None
    latest: Weight | None = None
    uniform: bool | None = None
    pattern: str | None = None
    file: str | None = None


class IdentitiesTable(Table, frozen=True):
    """`identities` of the workload, when some of them are more active than others."""

    count: Count
    zipf: Weight | None = None
    latest: Weight | None = None
    uniform: bool | None = None


class WorkloadTable(Table, frozen=True):
    """`[workload]`."""

    arrivals: ArrivalsTable
    flows: str | None = None
    keys: dict[str, KeySetTable] = {}
    identities: Count | IdentitiesTable | None = None
    cookies: bool = False
    connections: Count = 256
    keep_alive: bool = True
    assumptions: list[str] = []


class OperationTable(Table, frozen=True):
    """`[operations."NAME"]`.

    `keys` is a key set's name, a key set, or a table from placeholder to either; `body` a string,
    or a table or list that is sent as JSON; `form` a table from name to value or values. They are
    checked where they are given meaning.
    """

    request: str | None = None
    weight: Weight | None = None
    keys: Any = None
    headers: dict[str, Scalar] = {}
    body: Any = None
    body_file: str | None = None
    form: dict[str, Any] | None = None
    follow: bool | Count | None = None
    expect: list[Status] | None = None
    alone: bool | None = None
    timeout: PositiveDuration | None = None
    objective: ObjectiveTable | None = None


class GrowthTable(Table, frozen=True):
    """`[growth]`."""

    database: str | None = None
    root: str | list[str] = []
    tables: dict[str, Multiplies] = {}
    references: dict[str, str] = {}
    seed: Command | None = None
    n: Count | None = None
    version: Count | None = None


class ServiceFile(Table, frozen=True):
    """The whole file: every table of `loadpath.toml`, or of `[tool.loadpath]`."""

    service: ServiceTable
    workload: WorkloadTable
    dependencies: dict[str, DependencyTable] = {}
    objective: ObjectiveTable | None = None
    operations: dict[str, OperationTable] = {}
    knobs: dict[str, KnobTable] = {}
    growth: GrowthTable | None = None
