"""A system run as its users run it: Granian with worker processes, spoken to over HTTP."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from systems_common.testing.processes import descendants, free_port, kill_tree, spawn
from systems_common.testing.servers import private_folder

__all__ = ["GranianService", "granian_service"]


class GranianService:
    """One service that can be killed and started again on the same port."""

    def __init__(
        self,
        target: str,
        env: Mapping[str, str],
        *,
        workers: int,
        log: Path,
        port: int | None = None,
        options: Sequence[str] = ("--no-ws",),
    ) -> None:
        self.port = free_port() if port is None else port
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = log
        self._argv = [
            str(Path(sysconfig.get_path("scripts")) / "granian"),
            *("--interface", "asgi", target, "--host", "127.0.0.1", "--port", str(self.port)),
            *("--workers", str(workers), "--loop", "uvloop", "--http", "1"),
            *options,
            *("--respawn-failed-workers", "--respawn-interval", "0.1"),
            *("--workers-kill-timeout", "8", "--log-level", "warning"),
        ]
        self._env = {**os.environ, **env, "PYTHONPATH": os.pathsep.join(sys.path)}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def worker_pids(self) -> list[int]:
        """The worker processes that run now."""
        return [] if self._process is None else descendants(self._process.pid)

    @property
    def output(self) -> str:
        """What it printed so far."""
        return self.log.read_text(errors="replace")

    def start(self, *, ready: str = "/health", timeout_s: float = 20.0) -> None:
        """Start and wait for a 200 from `ready`. Raises `RuntimeError` with its output."""
        # Its workers live on when only it is killed; told to stop, it ends them.
        self._process = spawn(
            self._argv,
            log=self.log,
            env=self._env,
            cwd=self.log.parent,
            death_signal=signal.SIGTERM,
        )
        deadline = time.monotonic() + timeout_s
        while not self._answers(ready):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"the service did not start:\n{self.output[-3000:]}")
            time.sleep(0.02)

    def _answers(self, path: str) -> bool:
        try:
            with urllib.request.urlopen(self.url + path, timeout=2.0) as reply:
                return int(reply.status) == 200
        except (urllib.error.URLError, OSError):
            return False

    def stop(self, *, timeout_s: float = 10.0) -> int:
        """SIGTERM; returns the exit code. Raises `subprocess.TimeoutExpired` if it stays."""
        if self._process is None:
            return 0
        self._process.terminate()
        code = self._process.wait(timeout_s)
        kill_tree(self._process)
        self._process = None
        return code

    def kill(self) -> None:
        """SIGKILL the service with all its workers at once."""
        if self._process is not None:
            kill_tree(self._process)
            self._process = None


@contextlib.contextmanager
def granian_service(
    target: str,
    env: Mapping[str, str],
    *,
    workers: int = 1,
    port: int | None = None,
    options: Sequence[str] = ("--no-ws",),
) -> Iterator[GranianService]:
    """A started service, gone at the end whatever happened. `env` is added to the environment,
    `options` to how the server is started."""
    with private_folder("systems-service-") as folder:
        service = GranianService(
            target, env, workers=workers, log=folder / "log", port=port, options=options
        )
        try:
            service.start()
            yield service
        finally:
            service.kill()
