"""What happens when users double, and their data with them?

Collected, in a recording named `growth`: with taps on the wires each operation is visited alone and
the mix is driven for a moment, so that every statement is known with some of its real parameters.
Then a copy of the database is grown, by users and by history per user, and every statement is run
at each size. In full depth indexes are built there and tried, a model (of the recordings `mix` and
`traced`) says when users will miss what, and the service is driven on today's data, on four times
as much, and on that with the indexes: recordings `growth-today`, `growth-4`, `growth-4-indexed`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

import msgspec

from loadpath.answer import Answer, Check, Line, State
from loadpath.deploy import Snapshot
from loadpath.errors import LoadpathError
from loadpath.events import Warned
from loadpath.experiment import modeling
from loadpath.experiment.arm import open_arm
from loadpath.experiment.attribution import LoadPath
from loadpath.experiment.depth import Depth
from loadpath.experiment.growth import driving
from loadpath.experiment.growth.database import ROOM_S, Wanted
from loadpath.experiment.growth.looking import look, with_indexes
from loadpath.experiment.growth.wires import caches_of, read_statements, with_users
from loadpath.experiment.knee import assess_segments
from loadpath.experiment.observed import observations_of
from loadpath.experiment.phase import phase
from loadpath.experiment.session import Session
from loadpath.experiment.traced import estimate_s as wires_estimate_s
from loadpath.experiment.wires import recorded_paths
from loadpath.model.fit import fit
from loadpath.questions.growth_checks import VERSION, checks_of
from loadpath.questions.growth_driven import GROWN, INDEXED, TODAY, alone_on, driven
from loadpath.questions.growth_figures import DatabaseGrowth, Growth, growth_of
from loadpath.questions.growth_forecast import foretell
from loadpath.questions.growth_lines import accused, lines_of
from loadpath.recording import Recording
from loadpath.spec import Setup
from loadpath.statements.record import GrowthRecord, Size

NAME: Final = "growth"
FIRST, FURTHER = 4, 16
"""The sizes: so many times as many users, and so many times the history of each."""

ARMS: Final = 3
ALONE_MAX: Final = 4
EACH_SIZE_S: Final = 4.0
EACH_INDEX_S: Final = 2.0


def estimate_s(setup: Setup, depth: Depth) -> float:
    """About how long collecting takes, in seconds; 0 for a service without a database."""
    if not _databases(setup):
        return 0.0
    start_s = 2 + 3 * len(setup.service.dependencies)
    sizes = len(sizes_of(depth))
    grown_s = sizes * EACH_SIZE_S + depth.indexes * EACH_INDEX_S
    driven_s = 0.0
    if is_full(depth):
        driven_s = modeling.estimate_s(setup) + driving.estimate_s(setup, ARMS)
    return start_s + wires_estimate_s(setup, depth.traced_s, 1.0) + grown_s + driven_s


def is_full(depth: Depth) -> bool:
    """Whether the service is also driven on grown data."""
    return depth.grown >= FURTHER


def sizes_of(depth: Depth) -> tuple[Size, ...]:
    """The sizes that are looked at, the smallest of an axis first."""
    times = (FIRST, FURTHER) if is_full(depth) else (FIRST,)
    return tuple(Size(axis, each) for axis in ("users", "history") for each in times)


def is_own(recording: Recording) -> bool:
    """Whether that recording was made for this question."""
    return recording.name.startswith(NAME)


def _databases(setup: Setup) -> list[str]:
    return [d.name for d in setup.service.dependencies if d.kind == "postgres"]


async def collect(session: Session, setup: Setup, depth: Depth) -> None:
    """Record what statements do on grown data. A service without a PostgreSQL has none."""
    if not _databases(setup):
        return
    if session.left_s() < ROOM_S:
        session.emit(
            Warned(
                at_s=time.time(),
                message="the budget leaves no time to grow the data: what growth does is not known",
                advice="`loadpath ask growth` looks at that alone.",
            )
        )
        return
    full = is_full(depth)
    if full and not any(r.name == "mix" for r in _recorded(session)):
        await modeling.record_for_model(session, setup)
    async with open_arm(session, setup, NAME, tapped=True, keep_parameters=True) as arm:
        crossed = await read_statements(session, arm, depth.traced_s)
        caches = await caches_of(arm, crossed)
        kept = Size("users", FIRST) if full else None
        wanted = Wanted(sizes=sizes_of(depth), indexes=depth.indexes, keep=kept)
        looked = await look(session, setup, crossed.statements, crossed.rates_per_s, wanted)
        paths = recorded_paths(arm.recording())
        record = msgspec.structs.replace(looked.record, caches=with_users(caches, looked.record))
        if full:
            record = _with_prediction(session, setup, record, paths)
        arm.note_growth(record)
    if looked.grown is not None:
        await _drive(session, setup, record, paths, looked.grown)


def _accused_operations(growth: Growth, setup: Setup) -> tuple[str, ...]:
    """Operations with something wrong that can be driven by themselves, the gravest first."""
    may = {operation.name for operation in setup.workload.operations if operation.alone}
    found = dict.fromkeys(
        name
        for database in growth.databases
        for each in accused(database)
        for name in each.operations
        if name in may
    )
    return tuple(found)[:ALONE_MAX]


def _recorded(session: Session) -> list[Recording]:
    return [Recording.open(path) for path in session.run.recordings()]


def _with_prediction(
    session: Session, setup: Setup, record: GrowthRecord, paths: Sequence[LoadPath]
) -> GrowthRecord:
    """What a model says of grown data, written down before anybody drives on it."""
    with phase(session.emit, "predict") as now:
        try:
            fitted = fit(observations_of(_recorded(session)), seed=setup.seed)
            found = foretell(fitted, record, paths, setup.workload.arrivals)
        except LoadpathError as error:
            now.result = "not predicted"
            return msgspec.structs.replace(record, not_foretold=error.message)
        return msgspec.structs.replace(record, foretold=found)


async def _drive(
    session: Session,
    setup: Setup,
    record: GrowthRecord,
    paths: Sequence[LoadPath],
    grown: Snapshot,
) -> None:
    """What users see of it: the service on today's data, on grown data, and that with indexes."""
    growth = growth_of(record, paths)
    alone = _accused_operations(growth, setup)
    each_s = driving.estimate_s(setup, 1) + driving.ALONE_S * len(alone)
    ddl = {
        database.dependency: [i.record.ddl.replace(" CONCURRENTLY", "") for i in recommended]
        for database in growth.databases
        if (recommended := [i for i in database.indexes if i.recommended])
    }
    data: list[tuple[str, str, Snapshot | None]] = [
        (TODAY, "drive on today's data", None),
        (GROWN, f"drive on {FIRST} × users", grown),
    ]
    if ddl and session.left_s() > (len(data) + 1) * each_s:
        with phase(session.emit, "build the indexes"):
            indexed = await with_indexes(session, setup, grown, ddl)
        data.append((INDEXED, f"drive on {FIRST} × users, with the indexes", indexed))
    for name, title, snapshot in data:
        if session.left_s() < each_s:
            message = f"the budget leaves no time to {title}"
            session.emit(Warned(at_s=time.time(), message=message))
            break
        await driving.drive_on(
            session, setup, snapshot, name, times=FIRST, alone=alone, title=title
        )


def judge(recordings: Sequence[Recording]) -> Answer:
    """Derive the answer. Pure: reads recordings, drives nothing."""
    own = [recording for recording in recordings if is_own(recording)]
    record = next((found for each in own if (found := each.growth()) is not None), None)
    if record is None:
        return _nothing("nothing was grown", own)
    growth = growth_of(
        record,
        recorded_paths(own[0]),
        workload=own[0].setup.workload,
        measured=driven(own),
        alone=alone_on(own),
    )
    checks = checks_of(growth, own[0])
    state, claim = _conclude(growth, checks)
    return Answer(
        question=NAME,
        state=state,
        claim=claim,
        lines=tuple(lines_of(growth)) or (Line("the service", "it has no database to grow"),),
        figures={"growth": growth},
        validity=checks,
        objectives_met=_met(own) if state is not State.INCONCLUSIVE else None,
        recordings=tuple(recording.directory.name for recording in own),
    )


def _met(own: Sequence[Recording]) -> bool:
    """Whether the objective is met today, as far as the service was driven: growth is no miss."""
    for recording in own:
        if recording.name == TODAY:
            holds = [s for s in recording.segments if s.label == "× 1"]
            return not holds or assess_segments(recording, holds).met is not False
    return True


def _nothing(why: str, own: Sequence[Recording]) -> Answer:
    return Answer(
        question=NAME,
        state=State.INCONCLUSIVE,
        claim=why,
        lines=(Line("the service", why),),
        figures={},
        validity=(),
        objectives_met=None,
        recordings=tuple(recording.directory.name for recording in own),
    )


def _conclude(growth: Growth, checks: Sequence[Check]) -> tuple[State, str]:
    broken = next((c for c in checks if not c.passed and c.name != VERSION), None)
    if broken is not None:
        return State.INCONCLUSIVE, f"{broken.name}: {broken.detail}"
    found = [(database, each) for database in growth.databases for each in accused(database)]
    if not found:
        return State.CONFIRMED, "no statement works more than its rows as the data grows"
    database, worst = found[0]
    where = worst.operations[0] if worst.operations else worst.dependency
    mended = _recommended(database)
    claim = f"{where}: {worst.findings[0].said}"
    return State.CONFIRMED, claim + (f"; {mended}" if mended else "")


def _recommended(database: DatabaseGrowth) -> str:
    kept = [each for each in database.indexes if each.recommended]
    if not kept:
        return ""
    return f"{len(kept)} index{'es' if len(kept) != 1 else ''} would help, built and measured"
