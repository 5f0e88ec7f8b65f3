"""Reads a service file, with what overrides it, into a `Setup`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from loadpath.flow import FlowMark, LoginMark
from loadpath.spec.build import build_growth, build_service, build_workload
from loadpath.spec.check import check
from loadpath.spec.document import ServiceFile
from loadpath.spec.flows import load_flows
from loadpath.spec.problem import Problem, wrong_value
from loadpath.spec.setup import Setup
from loadpath.spec.source import Source, environment_overrides, flag_overrides, read_source


def load(
    where: Path | str,
    *,
    environ: Mapping[str, str] | None = None,
    overrides: Sequence[str] = (),
    seed: int = 1,
    allow_hosts: Sequence[str] = (),
    allow_writes: bool = False,
) -> Setup:
    """The setup that a service file describes; `where` is the file or the folder it is in.

    `overrides` are `KEY=VALUE` as after `--set`; they win over `LOADPATH_TABLE__KEY` variables of
    `environ` (None: the process's own), which win over the file. The workload's flows file is run.
    `seed`, `allow_hosts` and `allow_writes` are said by flags alone and are passed on as they are.

    Raises `ConfigurationError`, which names the file and line (or the flag, or the variable), the
    key, what was expected and what came, and the nearest valid key.
    """
    settings = [
        *environment_overrides(os.environ if environ is None else environ),
        *flag_overrides(overrides),
    ]
    source = read_source(Path(where))
    try:
        # Those of operations last: they may mean a flow, and where the flows are may be overridden.
        for setting in settings:
            if setting.names[0].lower() != "operations":
                source.apply(setting)
        flows_path, flows, login = _flows(source)
        for setting in settings:
            if setting.names[0].lower() == "operations":
                source.apply(setting, known=flows)
        check(source.tree, ServiceFile)
        file = msgspec.convert(source.tree, ServiceFile)
        service = build_service(file, source.directory)
        return Setup(
            service=service,
            workload=build_workload(file, source.directory, flows_path, flows, login=login),
            seed=seed,
            allow_hosts=tuple(allow_hosts),
            allow_writes=allow_writes,
            growth=build_growth(file.growth, service.dependencies),
        )
    except Problem as problem:
        raise source.error(problem) from None


def _flows(source: Source) -> tuple[Path | None, dict[str, FlowMark], bool]:
    """The flows file, its flows by name, and whether it has a login."""
    workload = source.tree.get("workload")
    name = workload.get("flows") if isinstance(workload, dict) else None
    if not isinstance(name, str):
        return None, {}, False
    path = source.directory / name
    if not path.is_file():
        raise wrong_value(
            ("workload", "flows"), "a Python file of flows", name, "there is no such file"
        )
    found = [mark for mark, _ in load_flows(path)]
    flows = {mark.name: mark for mark in found if isinstance(mark, FlowMark)}
    return path, flows, any(isinstance(mark, LoginMark) for mark in found)
