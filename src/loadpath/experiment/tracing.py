"""Each operation probed alone while the wires are read: from a running service to load paths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import asyncpg
import msgspec

from loadpath.deploy import Deployment
from loadpath.drive import Engine, ProbeReply
from loadpath.experiment.attribution import Crossing, LoadPath, Suspicion, load_path
from loadpath.experiment.attribution.crossings import assigned, background
from loadpath.experiment.attribution.reading import crossings
from loadpath.experiment.attribution.suspects.noindex import no_index, whole_scans
from loadpath.experiment.tapdelay import added_delay_s
from loadpath.experiment.visits import first_visits, visits, visits_of
from loadpath.meter.plans import Plans, explain
from loadpath.recording.schema import TABLES
from loadpath.recording.tables import read_table
from loadpath.spec import DependencyKind
from loadpath.tap import Taps, Window

_STATEMENTS = ("SELECT", "WITH", "INSERT", "UPDATE", "DELETE", "MERGE")
_EXPLAINED_MAX = 100


class TapCost(msgspec.Struct, frozen=True, kw_only=True):
    """What the taps took: CPU seconds of their process (what starting and writing takes included),
    the exchanges that crossed them, what they add to a round trip (None: unknown), and how many
    connections they could not read, by dependency and reason."""

    cpu_s: float
    exchanges: int
    added_s: float | None
    unread: dict[str, dict[str, int]]


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """What reading the wires found: a load path per operation, in the order asked.

    `first` are the first replies, to a service that was just started; `replies` those that were
    traced. `unexplained` maps a statement to why there is no plan of it.
    """

    paths: tuple[LoadPath, ...]
    first: dict[str, ProbeReply]
    replies: dict[str, tuple[ProbeReply, ...]]
    cost: TapCost
    unexplained: dict[str, str]


async def trace(
    operations: Mapping[str, Sequence[str]],
    *,
    deployment: Deployment,
    engine: Engine,
    taps: Taps,
    folder: Path,
) -> Trace:
    """Probe each operation alone with the wires read; tables of what crossed go to `folder`.

    `operations` maps each name to those that ask the same for fewer rows, if there are any.
    """
    first = await first_visits(list(operations), engine)
    window = Window(
        segment=0,
        exchanges=folder / "exchanges.parquet",
        connections=folder / "connections.parquet",
        shapes=folder / "shapes.parquet",
    )
    await taps.begin(window)
    added_s = await added_delay_s(taps)
    # Without a dependency nothing can cross, and there is nothing to wait for.
    visited = await visits(operations, engine, watched=bool(deployment.dependencies))
    result = await taps.end()
    kinds = {name: running.kind for name, running in deployment.dependencies.items()}
    crossed = _crossed(window, kinds)
    quiet = background(crossed, [visited.idle])
    paths = [
        load_path(
            name,
            assigned(visits_of(replies, visited.quiet_s[name]), crossed),
            quiet,
            assigned(
                visits_of(
                    [reply for reply in visited.fewer[name] if not reply.error],
                    replies[0].started_s,
                ),
                crossed,
            ),
        )
        for name, replies in visited.replies.items()
    ]
    plans = await _plans(paths, deployment)
    return Trace(
        paths=tuple(_with_plans(path, plans) for path in paths),
        first=first,
        replies=visited.replies,
        cost=TapCost(
            cpu_s=result.cpu_s,
            exchanges=len(crossed),
            added_s=added_s,
            unread={tap: reasons for tap, reasons in result.unread.items() if reasons},
        ),
        unexplained={k: v for each in plans.values() for k, v in each.unexplained.items()},
    )


def _crossed(window: Window, kinds: Mapping[str, DependencyKind]) -> list[Crossing]:
    shapes = read_table(window.shapes, TABLES["shapes"])
    texts = dict(zip(shapes["shape"].tolist(), shapes["text"].tolist(), strict=True))
    return crossings(read_table(window.exchanges, TABLES["exchanges"]), texts, kinds)


async def _plans(paths: Sequence[LoadPath], deployment: Deployment) -> dict[str, Plans]:
    """By database: the plans of the statements that some operation makes of it."""
    found = {}
    for name, running in deployment.dependencies.items():
        if running.kind != "postgres":
            continue
        shapes = dict.fromkeys(
            call.shape
            for path in paths
            for call in path.calls
            if call.dependency == name and call.shape.startswith(_STATEMENTS)
        )
        if not shapes:
            continue
        try:
            found[name] = await explain(
                list(shapes)[:_EXPLAINED_MAX],
                host=running.host,
                port=running.port,
                user=running.user,
                password=running.password,
                database=running.name,
            )
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            found[name] = Plans({}, {}, {"": f"{name} could not be asked for plans: {error}"}, {})
    return found


def _with_plans(path: LoadPath, plans: Mapping[str, Plans]) -> LoadPath:
    found: list[Suspicion] = []
    for call in path.calls:
        of_database = plans.get(call.dependency)
        if of_database is not None and call.shape in of_database.plans:
            unserved = whole_scans(
                of_database.plans[call.shape], of_database.by_index.get(call.shape)
            )
            found += no_index(call.shape, call.dependency, unserved, of_database.table_rows)
    return msgspec.structs.replace(path, suspicions=(*path.suspicions, *found))
