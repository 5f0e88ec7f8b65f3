"""Measures how long a request of a known service truly holds one of its servers."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

CALIBRATED_S = 0.3
CALIBRATIONS = 4
REQUEST = b"GET / HTTP/1.1\r\nHost: known\r\n\r\n"


@contextmanager
def running(
    home: Path, manner: str, workers: int, env: Mapping[str, str]
) -> Iterator[tuple[int, int]]:
    """The service by itself; gives its port and its pid."""
    process = subprocess.Popen(
        [sys.executable, str(home / "service.py"), manner, "0", str(workers)],
        stdout=subprocess.PIPE,
        env={**os.environ, **env},
        text=True,
    )
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline().split()[-1]), process.pid
    finally:
        process.terminate()
        process.wait()


@contextmanager
def served(home: Path, loadpath: Sequence[str], env: Mapping[str, str]) -> Iterator[int]:
    """The service with what it depends on, as `loadpath serve` runs it; gives its port."""
    process = subprocess.Popen(
        [*loadpath, "serve", "-q", "--color", "never", str(home)],
        stdout=subprocess.PIPE,
        env=dict(env),
        text=True,
    )
    try:
        assert process.stdout is not None
        # Its first line: the service and its address.
        yield int(process.stdout.readline().rpartition(":")[2])
    finally:
        process.terminate()
        process.communicate()


def service_time_at(port: int, servers: int) -> float:
    """How long one request holds a server of the service that listens there, as below."""
    best_s = float("inf")
    for _ in range(CALIBRATIONS):
        began_s = time.monotonic()
        done = saturate(port, 4 * servers, CALIBRATED_S)
        best_s = min(best_s, (time.monotonic() - began_s) * servers / max(done, 1))
    return best_s


def service_time_s(
    manner: str, servers: int, home: Path, env: Mapping[str, str], *, by_cpu: bool
) -> float:
    """How long one request truly holds a server, measured with all of them busy.

    `by_cpu`: by its CPU clock, which no other process disturbs. Else by the most that came through
    in one of a few short windows, which a disturbance can only lower.
    """
    with running(home, manner, 1, env) as (port, pid):
        best_s = float("inf")
        for _ in range(CALIBRATIONS):
            before_s, began_s = cpu_s(pid), time.monotonic()
            done = saturate(port, 4 * servers, CALIBRATED_S)
            took_s, used_s = time.monotonic() - began_s, cpu_s(pid) - before_s
            each_s = used_s if by_cpu else took_s * servers
            best_s = min(best_s, each_s / max(done, 1))
        return best_s


def cpu_s(pid: int) -> float:
    """CPU seconds of a process of one thread."""
    return int(Path(f"/proc/{pid}/schedstat").read_text("ascii").split()[0]) / 1e9


def saturate(port: int, connections: int, seconds: float) -> int:
    """How many replies so many connections get in that time, each asking again at once."""
    counts = [0] * connections
    ends_s = time.monotonic() + seconds

    def ask(number: int) -> None:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            while time.monotonic() < ends_s:
                connection.sendall(REQUEST)
                connection.recv(4096)
                counts[number] += 1

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts)
