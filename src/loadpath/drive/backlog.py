"""What is due and waits for a connection."""

from __future__ import annotations

from collections import deque

import msgspec

from loadpath.drive.connections import Connection
from loadpath.drive.mix import Job
from loadpath.drive.state import FlowRun
from loadpath.recording.schema import Blocked


class Backlog:
    """`arrivals` wait for any connection, first in first out; so do `steps` of flows whose
    connection was closed between two steps, before them. `lost` were on a connection that turned
    out to be closed, and are sent again on a new one each. Nothing here is ever dropped."""

    __slots__ = ("arrivals", "late", "lost", "steps")

    def __init__(self) -> None:
        self.arrivals: deque[Job] = deque()
        self.steps: deque[FlowRun] = deque()
        self.lost: deque[LostRequest] = deque()
        self.late: set[int] = set()  # flow numbers of arrivals that the engine saw late

    def __len__(self) -> int:
        return len(self.arrivals) + len(self.steps) + len(self.lost)

    def why(self, job: Job) -> int:
        """Why an arrival that was waiting is sent late; asked once, when it stops waiting."""
        if self.late and job[0] in self.late:
            self.late.discard(job[0])
            return Blocked.ENGINE
        return Blocked.POOL


class LostRequest(msgspec.Struct, frozen=True):
    """A request to be sent again, as it stood on the connection that was lost."""

    job: Job
    flow: FlowRun | None
    sent_s: float
    blocked: int

    @classmethod
    def of(cls, connection: Connection) -> LostRequest:
        """What is on a connection."""
        return cls(connection.job, connection.flow, connection.sent_s, connection.blocked)
