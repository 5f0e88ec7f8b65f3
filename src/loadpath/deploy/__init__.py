"""Starts, watches and ends the service and its dependencies.

The names load on first use: the guard process is started from this package and must not pay for
what it does not need.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loadpath.deploy.address import Address
    from loadpath.deploy.data import Snapshot, prepare_data
    from loadpath.deploy.dependency import RunningDependency
    from loadpath.deploy.deployment import Deployment
    from loadpath.deploy.guard import Guard, GuardedChild
    from loadpath.deploy.peers import Peer, undeclared_peers

__all__ = [
    "Address",
    "Deployment",
    "Guard",
    "GuardedChild",
    "Peer",
    "RunningDependency",
    "Snapshot",
    "prepare_data",
    "undeclared_peers",
]

_HOMES = {
    "Address": "address",
    "Deployment": "deployment",
    "Guard": "guard",
    "GuardedChild": "guard",
    "Peer": "peers",
    "RunningDependency": "dependency",
    "Snapshot": "data",
    "prepare_data": "data",
    "undeclared_peers": "peers",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
