"""Kutt's server, for the benchmark of redirects, from a checkout of one's own (KUTT_DIR).

It is not in any registry: npm's `kutt` is a client. So nothing here runs unless a checkout is
given, with its packages installed (`npm ci`). Written for Kutt 3: its environment variables, its
`links` table, its `npm run migrate`.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from shortener.testing import new_database, on_database
from systems_common.testing import free_port, kill_tree, spawn

__all__ = ["KuttError", "KuttService", "checkout", "kutt_service"]

_MIGRATED_S = 120.0
_STARTED_S = 30.0


class KuttError(Exception):
    """The checkout cannot be used; the message says what it lacks."""


class KuttService:
    """Looks to the benchmark like a service of ours: an address and process ids."""

    def __init__(self, url: str, pid: int, database_url: str) -> None:
        self.url = url
        self.worker_pids = [pid]
        self.database_url = database_url


def checkout() -> Path | None:
    """The folder that KUTT_DIR names, or None when it is not set. Raises `KuttError`."""
    name = os.environ.get("KUTT_DIR")
    if not name:
        return None
    folder = Path(name)
    for path, advice in (
        (folder / "server/server.js", "expected a checkout of Kutt's server there"),
        (folder / "node_modules", "run `npm ci` there first"),
    ):
        if not path.exists():
            raise KuttError(f"KUTT_DIR={name}: {path.relative_to(folder)} is missing; {advice}")
    if shutil.which("node") is None:
        raise KuttError("KUTT_DIR is set, and `node` is not on the PATH")
    return folder


@contextmanager
def kutt_service(
    folder: Path, server_url: str, valkey_url: str, links: dict[str, str], log: Path
) -> Iterator[KuttService]:
    """Kutt, one process, with these links (code to address), on the given servers."""
    database_url = new_database(server_url)
    database, valkey = urlsplit(database_url), urlsplit(valkey_url)
    port = free_port()
    env = {
        **os.environ,
        "NODE_ENV": "production",
        "PORT": str(port),
        "DEFAULT_DOMAIN": f"127.0.0.1:{port}",
        "JWT_SECRET": secrets.token_hex(32),
        "DB_CLIENT": "pg",
        "DB_HOST": database.hostname or "",
        "DB_PORT": str(database.port),
        "DB_NAME": database.path.strip("/"),
        "DB_USER": database.username or "",
        "DB_PASSWORD": database.password or "",
        "REDIS_ENABLED": "true",
        "REDIS_HOST": valkey.hostname or "",
        "REDIS_PORT": str(valkey.port),
        "REDIS_PASSWORD": valkey.password or "",
    }
    done = subprocess.run(
        ["npm", "run", "migrate"],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=_MIGRATED_S,
        check=False,
    )
    if done.returncode:
        raise KuttError(f"`npm run migrate` ended in {done.returncode}: {done.stderr[-2000:]}")
    records = list(links.items())
    on_database(
        database_url,
        lambda c: c.copy_records_to_table("links", columns=("address", "target"), records=records),
    )
    process = spawn(["node", "server/server.js"], log=log, cwd=folder, env=env)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait(url, process, log)
        yield KuttService(url, process.pid, database_url)
    finally:
        kill_tree(process)


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline_s = time.monotonic() + _STARTED_S
    while True:
        try:
            with urllib.request.urlopen(f"{url}/api/v2/health", timeout=2.0):
                return
        except (urllib.error.URLError, OSError) as error:
            if process.poll() is not None or time.monotonic() > deadline_s:
                output = log.read_text(errors="replace")[-2000:]
                raise KuttError(f"Kutt did not start ({error}):\n{output}") from None
        time.sleep(0.1)
