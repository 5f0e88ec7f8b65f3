"""Reading /proc: what one process, its threads and the whole machine have used so far.

Each function opens, reads once and closes. What vanished meanwhile is None or left out: a process
may end between any two reads.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import NamedTuple

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
"""Resolution of the CPU times in /proc/PID/stat and /proc/stat."""

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_SUSPENDED_S = (
    time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)) - time.monotonic()
)
"""How long the machine slept since it booted: start times count that, the clock does not. Taken
once, since the start of a process tells it from a later one with its id."""

_GONE = (FileNotFoundError, ProcessLookupError)


class ProcessReading(NamedTuple):
    """One process. `cpu_s` holds ended threads too, `children_cpu_s` reaped children."""

    pid: int
    parent: int
    started_s: float
    cpu_s: float
    children_cpu_s: float
    rss_bytes: int
    threads: int
    comm: str


class ThreadReading(NamedTuple):
    """One live thread: CPU time, and time spent runnable but waiting for a CPU (nan: not known)."""

    tid: int
    cpu_s: float
    wait_s: float


class HostReading(NamedTuple):
    """The whole machine, summed over its cores. `pressure_s` is nan without PSI."""

    at_s: float
    busy_s: float
    idle_s: float
    iowait_s: float
    steal_s: float
    pressure_s: float
    cores: int


def available() -> bool:
    """Whether this system has what metering needs."""
    return Path("/proc/self/stat").exists() and Path("/proc/stat").exists()


def read_process(pid: int) -> ProcessReading | None:
    """The process, also as a zombie; None when it is gone."""
    try:
        content = _read(f"/proc/{pid}/stat")
    except _GONE:
        return None
    name, _, rest = content.partition(b"(")[2].rpartition(b")")
    fields = rest.split(None, 22)
    user, system, children_user, children_system = (int(field) for field in fields[11:15])
    exact_s = read_cpu_clock(pid)
    return ProcessReading(
        pid=pid,
        parent=int(fields[1]),
        started_s=int(fields[19]) * TICK_S - _SUSPENDED_S,
        cpu_s=(user + system) * TICK_S if exact_s is None else exact_s,
        children_cpu_s=(children_user + children_system) * TICK_S,
        rss_bytes=int(fields[21]) * _PAGE_BYTES,
        threads=int(fields[17]),
        comm=_text(name),
    )


def read_cpu_clock(pid: int) -> float | None:
    """A process's CPU time in nanoseconds, ended threads included; None when it cannot be told.

    It is the clock that clock_getcpuclockid(3) names: Linux builds its id from the pid. The times
    in /proc/PID/stat are the same sum, cut to clock ticks.
    """
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return None


def read_thread_ids(pid: int, count: int) -> list[int]:
    """Ids of the live threads; `count` is how many there were, which saves a look at most."""
    if count == 1:
        return [pid]
    try:
        return [int(name) for name in os.listdir(f"/proc/{pid}/task")]  # noqa: PTH208 - faster
    except _GONE:
        return []


def read_thread(pid: int, tid: int) -> ThreadReading | None:
    """One thread by the scheduler's own count, in nanoseconds; None when it is gone."""
    try:
        content = _read(f"/proc/{pid}/task/{tid}/schedstat")
        cpu_ns, wait_ns = content.split()[:2]
    except _GONE:
        return (
            None if not Path(f"/proc/{pid}/task/{tid}").exists() else _read_thread_ticks(pid, tid)
        )
    return ThreadReading(tid, int(cpu_ns) / 1e9, int(wait_ns) / 1e9)


def read_thread_name(pid: int, tid: int) -> str:
    """The name a thread goes by; empty when it is gone."""
    try:
        return _text(_read(f"/proc/{pid}/task/{tid}/comm").rstrip(b"\n"))
    except _GONE:
        return ""


def read_title(pid: int) -> str:
    """The command line as the process shows it now, words joined by spaces; empty when gone."""
    try:
        return _text(_read(f"/proc/{pid}/cmdline").rstrip(b"\0").replace(b"\0", b" "))
    except _GONE:
        return ""


def read_children(pid: int, tids: list[int]) -> list[int] | None:
    """Processes that these threads of `pid` started; None when the kernel does not list them."""
    children: list[int] = []
    for tid in tids:
        try:
            children += map(int, _read(f"/proc/{pid}/task/{tid}/children").split())
        except _GONE:
            if Path(f"/proc/{pid}/task/{tid}").exists():
                return None
    return children


def read_parents() -> dict[int, int]:
    """Parent by process, of every process there is."""
    parents = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 - faster
        if name.isdigit():
            try:
                content = _read(f"/proc/{name}/stat")
            except _GONE:
                continue
            parents[int(name)] = int(content.rpartition(b")")[2].split(None, 2)[1])
    return parents


def read_host() -> HostReading:
    """Where the machine's CPU time went.

    Busy is what is left of all cores' time after idle, iowait and steal: idleness is measured
    exactly, while user and system time are counted by looking at each clock tick, which missed a
    quarter of a process that ran for 50 µs at a time.
    """
    at_s = time.monotonic()
    lines = _read("/proc/stat").split(b"\n")
    cores = sum(line.startswith(b"cpu") for line in lines) - 1
    fields = [int(field) * TICK_S for field in lines[0].split()[1:9]]
    idle_s, iowait_s, steal_s = fields[3], fields[4], fields[7]
    return HostReading(
        at_s=at_s,
        busy_s=cores * at_s - idle_s - iowait_s - steal_s,
        idle_s=idle_s,
        iowait_s=iowait_s,
        steal_s=steal_s,
        pressure_s=_read_pressure(),
        cores=cores,
    )


def _read_thread_ticks(pid: int, tid: int) -> ThreadReading | None:
    """A thread's CPU time to the clock tick, for kernels without schedstat."""
    try:
        fields = _read(f"/proc/{pid}/task/{tid}/stat").rpartition(b")")[2].split(None, 14)
    except _GONE:
        return None
    return ThreadReading(tid, (int(fields[11]) + int(fields[12])) * TICK_S, float("nan"))


def _read_pressure() -> float:
    try:
        content = _read("/proc/pressure/cpu")
    except OSError:
        return float("nan")
    return int(content.split(b"\n", 1)[0].rpartition(b"total=")[2]) / 1e6


def _read(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        content = os.read(fd, 16_384)
        while more := os.read(fd, 16_384) if len(content) >= 4000 else b"":
            content += more
    finally:
        os.close(fd)
    return content


def _text(name: bytes) -> str:
    return name.decode("utf-8", "replace")
