"""A few requests per operation, one at a time: does everything answer, and how fast?"""

from __future__ import annotations

import time

import msgspec

from loadpath.deploy import Deployment, prepare_data
from loadpath.deploy.service import SERVICE
from loadpath.drive import Engine, EnginePlan, ProbeReply
from loadpath.events import EventSink
from loadpath.experiment.arm import named_dependencies
from loadpath.experiment.probe_advice import advice_for
from loadpath.experiment.session import open_scratch
from loadpath.recording.redact import redact_text
from loadpath.spec import Operation, Setup, refuse_writes

LINES = 6
LINE_CHARACTERS = 200

PROBES = 5
"""Replies per operation: the first pays for cold caches, the median of the rest is quoted."""


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

    `last_lines` are what the service printed last, redacted, when it answered 5xx or not at all.
    """

    service: str
    started_s: float
    dependencies: dict[str, str]
    operations: tuple[OperationProbe, ...]
    unused: tuple[str, ...]
    last_lines: tuple[str, ...] = ()


async def probe(setup: Setup, emit: EventSink) -> ServiceProbe:
    """Deploy `setup`, send each operation a few requests alone, stop everything.

    Raises `UnsafeTargetError` when writes would reach a server that the user did not allow them on.
    """
    refuse_writes(setup)
    began_s = time.monotonic()
    async with open_scratch() as (guard, scratch):
        snapshot = await prepare_data(setup, guard=guard, emit=emit, folder=scratch)
        async with Deployment(setup, snapshot=snapshot, guard=guard, emit=emit) as deployment:
            started_s = time.monotonic() - began_s
            plan = EnginePlan(
                host=deployment.address.host,
                port=deployment.address.port,
                workload=setup.workload,
                seed=setup.seed,
                connections_max=setup.workload.connections_max,
                tls=setup.service.tls,
            )
            async with Engine(plan, spawn=guard.spawn) as engine:
                operations = []
                for operation in setup.workload.operations:
                    replies = await engine.probe(operation.name, PROBES)
                    operations.append(_summary(setup, operation, replies))
            deployment.check_peers()
            return ServiceProbe(
                service=setup.service.name,
                started_s=started_s,
                dependencies={
                    name: f"{product} at {deployment.dependencies[name].address}"
                    for name, product in named_dependencies(deployment).items()
                },
                operations=tuple(operations),
                unused=tuple(deployment.unused_dependencies()),
                last_lines=_last_lines(deployment) if _is_at_fault(operations) else (),
            )


def _is_at_fault(operations: list[OperationProbe]) -> bool:
    """Whether the reason of a failure is inside the service."""
    return any(o.problem and (s == 0 or s >= 500) for o in operations for s in o.statuses)


def _last_lines(deployment: Deployment) -> tuple[str, ...]:
    lines = deployment.log_tail(SERVICE)[-LINES:]
    return tuple(redact_text(line, limit=LINE_CHARACTERS) for line in lines)


def _summary(setup: Setup, operation: Operation, replies: list[ProbeReply]) -> OperationProbe:
    times = sorted(reply.response_time_s for reply in replies[1:]) or [replies[0].response_time_s]
    failed = next((reply for reply in replies if reply.error), None)
    return OperationProbe(
        operation=operation.name,
        statuses=tuple(dict.fromkeys(reply.status for reply in replies)),
        first_s=replies[0].response_time_s,
        median_s=times[len(times) // 2],
        problem=failed.error if failed else None,
        advice=advice_for(setup, operation, failed.status) if failed else None,
    )
