"""Processes for tests: started so that none is left behind, and waited for with a deadline.

The kernel ends a process when the thread that started it ends, so a test run that is killed
leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

__all__ = ["descendants", "free_port", "is_running", "kill_tree", "spawn", "wait_until"]

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def free_port() -> int:
    """A TCP port of the loopback address that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(condition: Callable[[], object], *, timeout_s: float, what: str) -> None:
    """Poll until the condition is true. Raises `TimeoutError` naming `what` after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout_s} s for {what}")
        time.sleep(0.01)


def spawn(
    argv: Sequence[str],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    user: int | None = None,
    death_signal: int = signal.SIGKILL,
) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own; output is appended to `log`.

    When we are gone, whatever ended us, the kernel sends it `death_signal`.
    """

    def die_with_parent() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, death_signal)

    with log.open("ab") as output:
        return subprocess.Popen(
            argv,
            env=None if env is None else dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509
            user=user,
            group=user,
            extra_groups=[] if user is not None else None,
        )


def descendants(pid: int) -> list[int]:
    """The ids of everything that process started and that still runs, itself not included."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and (status := _status(int(folder.name))) is not None:
            children.setdefault(status[1], []).append(int(folder.name))
    found: list[int] = []
    unvisited = [pid]
    while unvisited:
        mine = children.get(unvisited.pop(), [])
        found += mine
        unvisited += mine
    return found


def is_running(pid: int) -> bool:
    """Whether that process is there and not a zombie."""
    return _status(pid) is not None


def _status(pid: int) -> tuple[str, int] | None:
    """State letter and parent of a live process; None when it is gone or a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The name, in parentheses, may itself hold blanks and parentheses.
    state, parent = text.rpartition(")")[2].split()[:2]
    return None if state == "Z" else (state, int(parent))


def kill_tree(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL a process and all it started, and wait until they are gone.

    Not by process group: every backend of PostgreSQL makes one of its own.
    """
    pids = [process.pid, *descendants(process.pid)] if process.poll() is None else []
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    wait_until(
        lambda: not any(map(is_running, pids)),
        timeout_s=5.0,
        what="killed processes to end",
    )
