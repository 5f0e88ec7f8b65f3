"""Which calls belong to which operation: from what crossed the wires to load paths. Pure.

Each operation is probed alone on a quiet service. What begins between its first and last byte is
part of its reply; what begins in the quiet that follows is its asynchronous work; what the service
does when nobody asks it anything is neither, and is taken off.
"""

from loadpath.experiment.attribution.crossings import Crossing, Visit
from loadpath.experiment.attribution.paths import Call, DependencyUse, LoadPath, load_path
from loadpath.experiment.attribution.suspicion import Suspicion

__all__ = [
    "Call",
    "Crossing",
    "DependencyUse",
    "LoadPath",
    "Suspicion",
    "Visit",
    "load_path",
]
