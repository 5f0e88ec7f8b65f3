"""What such a process does first, and asks of the system for itself alone."""

from __future__ import annotations

import ctypes
import resource
import signal
import socket
import sys

from loadpath.control.codec import CONTROL_FD

_PR_SET_PDEATHSIG = 1


def control_socket(started_by: str) -> socket.socket | None:
    """Its end of the socket pair; None, and a line that says why, when it was started by hand."""
    # The other end decides what Ctrl-C means; it closes the socket when it wants an end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with_parent()
    try:
        return socket.socket(fileno=CONTROL_FD)
    except OSError:
        print(
            f"expected a socket as descriptor {CONTROL_FD}: this process is started by "
            f"{started_by}",
            file=sys.stderr,
        )
        return None


def raise_file_limit() -> int:
    """Allow as many open files as the system does; how many that is (`resource.RLIM_INFINITY`)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def _die_with_parent() -> None:
    """Have the kernel kill this process when the one that started it is gone: a second rope, for
    it ends by itself when its control socket is closed."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
