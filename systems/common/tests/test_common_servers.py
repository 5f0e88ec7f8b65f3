"""The embedded servers of the tests leave nothing behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from systems_common.testing import is_running, wait_until

_HOLD = """
import sys, time
from systems_common.testing import *
with {server}() as server:
    print(server.pid, server.log.parent, flush=True)
    time.sleep(60)
"""


def segments() -> set[str]:
    """Every System V segment, with the process that made it."""
    rows = [line.split() for line in Path("/proc/sysvipc/shm").read_text().splitlines()]
    at = rows[0].index("cpid")
    return {f"segment {row[1]} of {row[at]}" for row in rows[1:]}


def shared_memory_of(pid: int) -> set[str]:
    """What a process has in shared memory that would outlive it."""
    words = Path(f"/proc/{pid}/maps").read_text().split()
    files = {word for word in words if word.startswith("/dev/shm/")}
    return files | {segment for segment in segments() if segment.endswith(f" of {pid}")}


@pytest.mark.parametrize("server", ["postgres_server", "valkey_server", "nats_server"])
def test_a_server_ends_with_the_process_that_started_it(server: str, tmp_path: Path) -> None:
    code = f"import sys; sys.path[:] = {sys.path!r}\n" + _HOLD.format(server=server)
    holder = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=tmp_path
    )
    assert holder.stdout is not None
    pid, folder = holder.stdout.readline().split()
    assert is_running(int(pid))
    shared = shared_memory_of(int(pid))
    assert bool(shared) == (server == "postgres_server")
    holder.kill()
    holder.wait()
    holder.stdout.close()
    wait_until(lambda: not is_running(int(pid)), timeout_s=5.0, what=f"{server} to end")
    assert not shared & (segments() | set(map(str, Path("/dev/shm").iterdir())))
    # Only the folder outlives a SIGKILL.
    subprocess.run(["rm", "-rf", folder], check=True)


_APP = """
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})
"""

_SERVE = """
import sys, time
from pathlib import Path
from systems_common.testing import granian_service
with granian_service("small:app", {}, workers=2) as service:
    print(*service.worker_pids, service.log.parent, flush=True)
    time.sleep(60)
"""


def test_a_service_ends_with_the_process_that_started_it_workers_and_all(tmp_path: Path) -> None:
    (tmp_path / "small.py").write_text(_APP)
    code = f"import sys; sys.path[:] = {[str(tmp_path), *sys.path]!r}\n" + _SERVE
    holder = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=tmp_path
    )
    assert holder.stdout is not None
    *pids, folder = holder.stdout.readline().split()
    assert len(pids) >= 2
    assert all(is_running(int(pid)) for pid in pids)
    holder.kill()
    holder.wait()
    holder.stdout.close()
    wait_until(
        lambda: not any(is_running(int(pid)) for pid in pids), timeout_s=10.0, what="its workers"
    )
    subprocess.run(["rm", "-rf", folder], check=True)
