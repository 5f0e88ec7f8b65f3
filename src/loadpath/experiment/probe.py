"""A few requests per operation, one at a time: how fast is it answered, and by way of what?"""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from statistics import median

import msgspec

from loadpath.deploy import Deployment, prepare_data
from loadpath.deploy.service import SERVICE
from loadpath.drive import Engine, EnginePlan
from loadpath.errors import UnusedDependencyError
from loadpath.events import EventSink
from loadpath.experiment.arm import named_dependencies
from loadpath.experiment.attribution import LoadPath
from loadpath.experiment.logins import telling_logins
from loadpath.experiment.probe_advice import advice_for
from loadpath.experiment.session import open_scratch
from loadpath.experiment.sizes import smaller
from loadpath.experiment.tracing import TapCost, Trace, trace
from loadpath.recording.redact import redact_text
from loadpath.spec import Operation, Setup, refuse_writes
from loadpath.tap import Stats, Taps, raise_if_unused

LINES = 6
LINE_CHARACTERS = 200


class OperationProbe(msgspec.Struct, frozen=True, kw_only=True):
    """What one operation answered. `first_s` is the first reply's time, `median_s` the others'.

    `problem` is None when every reply was a success, else what the first failure looked like, and
    `advice` what can be done about it, if that is known.
    """

    operation: str
    statuses: tuple[int, ...]
    first_s: float
    median_s: float
    problem: str | None
    advice: str | None = None


class ServiceProbe(msgspec.Struct, frozen=True, kw_only=True):
    """What `loadpath check` found. `dependencies` maps a name to kind, version and address.

    `paths` has a load path for each of the operations, in their order. `unexplained` maps a
    statement to why the database made no plan of it. `unused` says which dependencies the service
    never connected to; `unused_advice` what that may come from. `last_lines` are what the service
    printed last, redacted, when it answered 5xx or not at all.
    """

    service: str
    started_s: float
    took_s: float
    dependencies: dict[str, str]
    operations: tuple[OperationProbe, ...]
    paths: tuple[LoadPath, ...]
    taps: TapCost
    unexplained: dict[str, str]
    unused: str | None
    unused_advice: str | None
    last_lines: tuple[str, ...] = ()


async def probe(setup: Setup, emit: EventSink) -> ServiceProbe:
    """Deploy `setup` with taps on its wires, probe each operation alone, stop everything.

    Raises `UnsafeTargetError` when writes would reach a server that the user did not allow them on.
    """
    refuse_writes(setup)
    began_s = time.monotonic()
    kinds = {dependency.name: dependency.kind for dependency in setup.service.dependencies}
    async with open_scratch() as (guard, scratch):
        snapshot = await prepare_data(setup, guard=guard, emit=emit, folder=scratch)
        async with (
            Taps(kinds, spawn=guard.spawn) as taps,
            Deployment(
                setup, snapshot=snapshot, guard=guard, emit=emit, wrap=taps.wrap
            ) as deployment,
        ):
            started_s = time.monotonic() - began_s
            fewer = {each.name: smaller(each) for each in setup.workload.operations}
            asked = itertools.chain(setup.workload.operations, *fewer.values())
            plan = EnginePlan(
                host=deployment.address.host,
                port=deployment.address.port,
                workload=msgspec.structs.replace(setup.workload, operations=tuple(asked)),
                seed=setup.seed,
                connections_max=setup.workload.connections_max,
                tls=setup.service.tls,
            )
            async with Engine(plan, spawn=guard.spawn, on_logins=telling_logins(emit)) as engine:
                traced = await trace(
                    {name: [each.name for each in others] for name, others in fewer.items()},
                    deployment=deployment,
                    engine=engine,
                    taps=taps,
                    folder=scratch,
                )
            deployment.check_peers()
            unused, advice = _unused(await taps.stats(), setup)
            operations = tuple(_summary(setup, each, traced) for each in setup.workload.operations)
            return ServiceProbe(
                service=setup.service.name,
                started_s=started_s,
                took_s=time.monotonic() - began_s,
                dependencies={
                    name: f"{product} at {deployment.dependencies[name].address}"
                    for name, product in named_dependencies(deployment).items()
                },
                operations=operations,
                paths=traced.paths,
                taps=traced.cost,
                unexplained=traced.unexplained,
                unused=unused,
                unused_advice=advice,
                last_lines=_last_lines(deployment) if _is_at_fault(operations) else (),
            )


def _unused(stats: Stats, setup: Setup) -> tuple[str | None, str | None]:
    """What is wrong when a tap saw no connection, and what that may come from."""
    try:
        raise_if_unused(stats, setup.service.dependencies)
    except UnusedDependencyError as error:
        return error.message, error.advice
    return None, None


def _is_at_fault(operations: Sequence[OperationProbe]) -> bool:
    """Whether the reason of a failure is inside the service."""
    return any(o.problem and (s == 0 or s >= 500) for o in operations for s in o.statuses)


def _last_lines(deployment: Deployment) -> tuple[str, ...]:
    lines = deployment.log_tail(SERVICE)[-LINES:]
    return tuple(redact_text(line, limit=LINE_CHARACTERS) for line in lines)


def _summary(setup: Setup, operation: Operation, traced: Trace) -> OperationProbe:
    first, later = traced.first[operation.name], traced.replies[operation.name]
    replies = [first, *later]
    failed = next((reply for reply in replies if reply.error), None)
    return OperationProbe(
        operation=operation.name,
        statuses=tuple(dict.fromkeys(reply.status for reply in replies)),
        first_s=first.response_time_s,
        median_s=median(reply.response_time_s for reply in later),
        problem=failed.error if failed else None,
        advice=advice_for(setup, operation, failed.status) if failed else None,
    )
