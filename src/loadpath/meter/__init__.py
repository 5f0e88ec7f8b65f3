"""What processes and the machine used: CPU time, run-queue wait, memory, PostgreSQL's backends.

Names are imported when first asked for: judging what was metered needs no database driver.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loadpath.meter.machine import describe_machine
    from loadpath.meter.postgres import PostgresActivity
    from loadpath.meter.sampler import Meter, MeterCost
    from loadpath.meter.speed import fixed_work_s
    from loadpath.meter.tables import MeterTables
    from loadpath.meter.windows import HostUse, ProcessUse, ThreadUse, Usage, window

_HOME = {
    "HostUse": "windows",
    "Meter": "sampler",
    "MeterCost": "sampler",
    "MeterTables": "tables",
    "PostgresActivity": "postgres",
    "ProcessUse": "windows",
    "ThreadUse": "windows",
    "Usage": "windows",
    "describe_machine": "machine",
    "fixed_work_s": "speed",
    "window": "windows",
}

__all__ = [
    "HostUse",
    "Meter",
    "MeterCost",
    "MeterTables",
    "PostgresActivity",
    "ProcessUse",
    "ThreadUse",
    "Usage",
    "describe_machine",
    "fixed_work_s",
    "window",
]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)
