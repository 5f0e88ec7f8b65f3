"""CPU time of the kernel's own threads, which work for whoever wrote to a disk or a socket.

It is nobody's in particular: commits to disk make these threads work for the database, so counting
them with "others" would call a service that writes a disturbance of itself.
"""

from __future__ import annotations

from loadpath.meter.proc import read_children, read_cpu_clock, read_process

_PARENT = 2
"""The process that starts all kernel threads, where they can be seen at all."""


class KernelThreads:
    """Feed `add` at every sample; `cpu_s` is what they used since the first one.

    `visible` is False in a container with processes of its own, where there is no such parent.
    """

    def __init__(self) -> None:
        process = read_process(_PARENT)
        self.visible = process is not None and process.comm == "kthreadd"
        self.cpu_s = 0.0
        self._last: dict[int, float] | None = None

    def add(self) -> float:
        """Look at every kernel thread; returns `cpu_s`."""
        if not self.visible:
            return self.cpu_s
        now: dict[int, float] = {}
        for pid in read_children(_PARENT, [_PARENT]) or ():
            used_s = read_cpu_clock(pid)
            if used_s is not None:
                now[pid] = used_s
        if self._last is not None:
            # One that was not there before was started since: all it used counts.
            self.cpu_s += sum(
                max(0.0, used_s - self._last.get(pid, 0.0)) for pid, used_s in now.items()
            )
        self._last = now
        return self.cpu_s
