"""What the user says: service, dependencies, workload, objectives; read from loadpath.toml."""

from loadpath.spec.dependency import Dependency, DependencyKind
from loadpath.spec.flows import load_flows
from loadpath.spec.growth import Growth
from loadpath.spec.knob import Knob
from loadpath.spec.loading import load
from loadpath.spec.objective import Objective, QuantileLimit
from loadpath.spec.service import Service, Tls
from loadpath.spec.setup import Setup
from loadpath.spec.source import Source, read_source
from loadpath.spec.workload import (
    Arrivals,
    ClosedArrivals,
    DeclaredRequest,
    KeySet,
    OpenArrivals,
    Operation,
    Workload,
)
from loadpath.spec.writes import refuse_writes

__all__ = [
    "Arrivals",
    "ClosedArrivals",
    "DeclaredRequest",
    "Dependency",
    "DependencyKind",
    "Growth",
    "KeySet",
    "Knob",
    "Objective",
    "OpenArrivals",
    "Operation",
    "QuantileLimit",
    "Service",
    "Setup",
    "Source",
    "Tls",
    "Workload",
    "load",
    "load_flows",
    "read_source",
    "refuse_writes",
]
