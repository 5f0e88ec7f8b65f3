"""The workload: arrivals, and the operations from the service file and from its flows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from loadpath.flow import FOLLOW_MAX, FlowMark
from loadpath.spec import quantities
from loadpath.spec.build.keys import build_distribution, build_key_set
from loadpath.spec.build.objective import build_objective, merge_objective
from loadpath.spec.build.request import build_request
from loadpath.spec.document import (
    ArrivalsTable,
    IdentitiesTable,
    OperationTable,
    ServiceFile,
)
from loadpath.spec.locate import KeyPath
from loadpath.spec.objective import Objective
from loadpath.spec.problem import Problem, dotted, hint, missing, nearest, wrong_value
from loadpath.spec.workload import (
    IDENTITIES_MAX,
    SAFE_METHODS,
    Arrivals,
    ClosedArrivals,
    KeySet,
    OpenArrivals,
    Operation,
    Workload,
)

TIMEOUT_S = 10.0


def build_workload(
    file: ServiceFile,
    directory: Path,
    flows_path: Path | None,
    flows: Mapping[str, FlowMark],
    *,
    login: bool = False,
) -> Workload:
    """The workload of a checked file and the flows by name; `login`: its flows file has a login.

    Raises `Problem`.
    """
    key_sets: dict[str, KeySet] = {}
    for name, table in file.workload.keys.items():
        path = ("workload", "keys", name)
        key_sets[name] = build_key_set(name, table, path, directory)
    objective, assumed = build_objective(file.objective)
    operations: list[Operation] = []
    for name, written in file.operations.items():
        if written.request is None:
            _check_refines(name, written, flows)
            operations.append(_refined(flows[name], written, objective))
        else:
            if name in flows:
                raise Problem(
                    ("operations", name, "request"),
                    f"`{name}` has a request here and is a flow as well: expected one of them",
                )
            operations.append(_declared(name, written, objective, key_sets, directory))
    for name, mark in flows.items():
        if name not in file.operations:
            operations.append(_refined(mark, OperationTable(), objective))
    _check_some(operations)
    return Workload(
        arrivals=_arrivals(file.workload.arrivals),
        operations=tuple(operations),
        key_sets=tuple(key_sets.values()),
        flows=flows_path,
        objective=objective,
        connections_max=file.workload.connections,
        keep_alive=file.workload.keep_alive,
        identities=_identities(file.workload.identities, login),
        cookies=file.workload.cookies,
        assumptions=(*file.workload.assumptions, *assumed),
    )


def _identities(written: int | IdentitiesTable | None, login: bool) -> KeySet | None:
    path = ("workload", "identities")
    if written is None:
        if login:
            raise missing(
                path,
                "how many identities the login of the flows file is for",
                advice="Say identities = 100 under [workload], or take the @login away.",
            )
        return None
    table = IdentitiesTable(count=written) if isinstance(written, int) else written
    if table.count > IDENTITIES_MAX:
        counted = path if isinstance(written, int) else (*path, "count")
        raise wrong_value(counted, f"at most {IDENTITIES_MAX:,} identities", table.count)
    distribution, exponent = build_distribution(table, path)
    return KeySet(
        name="identities", count=table.count, distribution=distribution, exponent=exponent
    )


def _arrivals(table: ArrivalsTable) -> Arrivals:
    path = ("workload", "arrivals")
    if table.open is not None:
        for name in ("users", "think_time"):
            if getattr(table, name) is not None:
                raise Problem(
                    (*path, name),
                    f"`{dotted(path)}` has both `open` and `{name}`: expected a rate, or users "
                    "and their think time",
                )
        return OpenArrivals(quantities.rate_per_s(table.open), table.process or "poisson")
    if table.users is None:
        raise missing(
            path if table.think_time is None else (*path, "users"),
            'how load arrives: { open = "200/s" } or { users = 50, think_time = "1s" }',
        )
    if table.process is not None:
        raise Problem(
            (*path, "process"), f"`{dotted((*path, 'process'))}` goes with `open`, not with `users`"
        )
    if table.think_time is None:
        raise missing((*path, "think_time"), 'the mean pause of a user such as "1s" or "0s"')
    return ClosedArrivals(table.users, quantities.duration_s(table.think_time))


def _declared(
    name: str,
    table: OperationTable,
    objective: Objective,
    key_sets: dict[str, KeySet],
    directory: Path,
) -> Operation:
    request = build_request(table, ("operations", name), key_sets, directory)
    return Operation(
        name=name,
        weight=1.0 if table.weight is None else float(table.weight),
        request=request,
        objective=merge_objective(objective, table.objective),
        expect=tuple(table.expect or ()),
        alone=request.method in SAFE_METHODS if table.alone is None else table.alone,
        timeout_s=TIMEOUT_S if table.timeout is None else quantities.duration_s(table.timeout),
        follow=FOLLOW_MAX if table.follow is True else int(table.follow or 0),
    )


def _check_refines(name: str, table: OperationTable, flows: Mapping[str, FlowMark]) -> None:
    path: KeyPath = ("operations", name)
    if name not in flows:
        near = nearest(name, flows)
        raise Problem(
            path,
            f"operation `{name}` has no `request` and is no flow of the workload"
            + (
                f"; did you mean `{near}`?" if near else hint(name, flows).replace("valid", "flows")
            ),
            advice=f'Add request = "GET /…" to [{dotted(path)}], or an @operation(…) of that '
            "name to the file that workload.flows names.",
        )
    for key in ("keys", "headers", "body", "body_file", "form", "follow"):
        if getattr(table, key):
            raise Problem(
                (*path, key),
                f"`{dotted((*path, key))}`: `{name}` is a flow, which makes its own requests",
            )


def _refined(mark: FlowMark, table: OperationTable, objective: Objective) -> Operation:
    """A flow as an operation: what its mark says, under what the service file says."""
    alone = mark.alone if table.alone is None else table.alone
    if alone is None:
        alone = mark.name.partition(" ")[0].upper() in SAFE_METHODS
    timeout_s = TIMEOUT_S if mark.timeout_s is None else mark.timeout_s
    return Operation(
        name=mark.name,
        weight=float(mark.weight if table.weight is None else table.weight),
        request=None,
        objective=merge_objective(objective, table.objective),
        expect=tuple(table.expect or ()),
        alone=alone,
        timeout_s=timeout_s if table.timeout is None else quantities.duration_s(table.timeout),
    )


def _check_some(operations: list[Operation]) -> None:
    if not operations:
        raise missing(
            ("operations",),
            "at least one operation",
            advice='For example [operations."GET /"] with request = "GET /".',
        )
    if not any(o.weight > 0 for o in operations):
        raise Problem(("operations",), "every operation has weight 0: nothing would be sent")
