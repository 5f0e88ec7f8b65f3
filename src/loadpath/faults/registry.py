"""Every kind of fault. A new one is a new file and a line here."""

from __future__ import annotations

from loadpath.faults.accept_reset import AcceptReset
from loadpath.faults.backend_killed import BackendKilled
from loadpath.faults.bandwidth import Bandwidth
from loadpath.faults.black_hole import BlackHole
from loadpath.faults.capped import Capped
from loadpath.faults.closed import Closed
from loadpath.faults.cold import Cold
from loadpath.faults.crash_loop import CrashLoop
from loadpath.faults.cut import Cut
from loadpath.faults.delay import DelayedUnit
from loadpath.faults.disk_full import DiskFull
from loadpath.faults.drop_ack import DropAck
from loadpath.faults.drop_request import DropRequest
from loadpath.faults.duplicate import Duplicated
from loadpath.faults.error import ErrorReply
from loadpath.faults.fault import Fault
from loadpath.faults.flushed import Flushed
from loadpath.faults.half_open import HalfOpen
from loadpath.faults.killed import Killed
from loadpath.faults.latency import Latency
from loadpath.faults.locked import Locked
from loadpath.faults.memory_full import MemoryFull
from loadpath.faults.refused import Refused
from loadpath.faults.reset import Reset
from loadpath.faults.restarted import Restarted
from loadpath.faults.silent import Silent
from loadpath.faults.sliced import Sliced
from loadpath.faults.slow import Slow
from loadpath.faults.stalled import Stalled
from loadpath.faults.stopped import Stopped
from loadpath.faults.terminated import Terminated
from loadpath.faults.worker_killed import WorkerKilled

FAULTS: tuple[type[Fault], ...] = (
    Killed,
    Terminated,
    Stopped,
    Restarted,
    CrashLoop,
    WorkerKilled,
    BackendKilled,
    Refused,
    BlackHole,
    Silent,
    AcceptReset,
    Capped,
    Latency,
    Bandwidth,
    Sliced,
    Stalled,
    HalfOpen,
    Closed,
    Reset,
    Cut,
    DropRequest,
    DropAck,
    DelayedUnit,
    Duplicated,
    ErrorReply,
    Flushed,
    Cold,
    MemoryFull,
    Slow,
    Locked,
    DiskFull,
)
"""In the order in which they are listed: by layer, the plainest first."""
