"""Synapse, for the benchmark of messages, run by a Python of one's own (SYNAPSE_PYTHON).

It is under the AGPL and no dependency of anything here, so nothing runs unless that variable names
a Python that has the packages `matrix-synapse` and `psycopg2-binary`. It is set up as its manual
says for production: PostgreSQL with the collation C and 5 to 10 connections, and the cache sizes of
the manual's example. Its rate limits are lifted; presence is off, as it is in the other; the
digests of passwords are cheap, which nothing that is measured pays for.
"""

from __future__ import annotations

import base64
import json
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

from systems_common.testing import free_port, kill_tree, on_database, spawn

__all__ = ["SynapseError", "SynapseService", "synapse_python", "synapse_service"]

_HOMESERVER = "synapse.app.homeserver"
_ASKED_S = 60.0
_STARTED_S = 120.0
_LIMITED = (
    *("message", "registration", "registration_token_validity", "joins_per_room", "key_requests"),
    *("login.address", "login.account", "login.failed_attempts", "joins.local", "joins.remote"),
    *("invites.per_room", "invites.per_user", "invites.per_issuer", "presence.per_user"),
    *("room_creation", "media_create", "reports", "user_directory", "profile"),
)


class SynapseError(Exception):
    """It cannot be run; the message says what is missing."""


class SynapseService:
    """Where it listens, and its process."""

    def __init__(self, port: int, pid: int) -> None:
        self.port = port
        self.pid = pid


def synapse_python() -> tuple[str, str] | None:
    """The Python that SYNAPSE_PYTHON names, and the version of Synapse; None when it is not set.

    Raises `SynapseError`.
    """
    name = os.environ.get("SYNAPSE_PYTHON")
    if not name:
        return None
    # Not resolved: a virtual environment is known by the link that it is. It starts elsewhere.
    found = shutil.which(name)
    if found is None:
        raise SynapseError(f"SYNAPSE_PYTHON={name}: expected a Python there, which can be run")
    python = str(Path(found).absolute())
    code = "import importlib.metadata as m, psycopg2; print(m.version('matrix-synapse'))"
    done = subprocess.run(
        [python, "-c", code],
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=_ASKED_S,
        check=False,
    )
    if done.returncode:
        raise SynapseError(
            f"SYNAPSE_PYTHON={name}: {done.stderr.strip().splitlines()[-1]}; install into it:"
            " matrix-synapse psycopg2-binary"
        )
    return python, done.stdout.strip()


def _environment() -> dict[str, str]:
    """Ours, without what our own Python imports from."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def _settings(folder: Path, port: int, database_url: str) -> dict[str, object]:
    database = urlsplit(database_url)
    settings: dict[str, object] = {
        "server_name": "example.org",
        "report_stats": False,
        "signing_key_path": str(folder / "signing.key"),
        "media_store_path": str(folder / "media"),
        "log_config": str(folder / "log.json"),
        "macaroon_secret_key": secrets.token_hex(16),
        "form_secret": secrets.token_hex(16),
        "trusted_key_servers": [],
        "suppress_key_server_warning": True,
        "federation_domain_whitelist": [],
        "listeners": [
            {
                "port": port,
                "type": "http",
                "bind_addresses": ["127.0.0.1"],
                "resources": [{"names": ["client"]}],
            }
        ],
        "database": {
            "name": "psycopg2",
            "args": {
                "user": database.username,
                "password": database.password,
                "dbname": database.path.strip("/"),
                "host": database.hostname,
                "port": database.port,
                "cp_min": 5,
                "cp_max": 10,
            },
        },
        "event_cache_size": "15K",
        "caches": {"global_factor": 1.0},
        "presence": {"enabled": False},
        "enable_registration": True,
        "enable_registration_without_verification": True,
        "bcrypt_rounds": 4,
    }
    for name in _LIMITED:
        group, _, part = f"rc_{name}".partition(".")
        lifted = {"per_second": 1e6, "burst_count": 1_000_000}
        if part:
            parts = settings.setdefault(group, {})
            assert isinstance(parts, dict)
            parts[part] = lifted
        else:
            settings[group] = lifted
    return settings


_LOGGING = {
    "version": 1,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"level": "WARNING", "handlers": ["console"]},
    "disable_existing_loggers": False,
}


@contextmanager
def synapse_service(python: str, server_url: str, folder: Path) -> Iterator[SynapseService]:
    """One process of it, on a new database of that server. Its files and output are in `folder`.

    Raises `SynapseError` when it does not start.
    """
    name = f"synapse_{secrets.token_hex(4)}"
    create = f"CREATE DATABASE {name} ENCODING 'UTF8' LOCALE 'C' TEMPLATE template0"
    on_database(server_url, lambda c: c.execute(create))
    database_url = f"{server_url.rpartition('/')[0]}/{name}"
    port, log, file = free_port(), folder / "synapse.log", folder / "homeserver.yaml"
    # JSON is YAML too.
    file.write_text(json.dumps(_settings(folder, port, database_url), indent=1))
    file.chmod(0o600)
    (folder / "log.json").write_text(json.dumps(_LOGGING))
    # Any 32 bytes are a key; to have it make one would take another start.
    key = base64.b64encode(secrets.token_bytes(32)).decode().rstrip("=")
    (folder / "signing.key").write_text(f"ed25519 a_{secrets.token_hex(2)} {key}\n")
    argv = [python, "-m", _HOMESERVER, "--config-path", str(file)]
    process = spawn(argv, log=log, cwd=folder, env=_environment())
    try:
        _wait(f"http://127.0.0.1:{port}/health", process, log)
        yield SynapseService(port, process.pid)
    finally:
        kill_tree(process)


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until it answers; the first time it makes its tables."""
    deadline_s = time.monotonic() + _STARTED_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=2.0):
                return
        except (urllib.error.URLError, OSError) as error:
            if process.poll() is not None or time.monotonic() > deadline_s:
                output = log.read_text(errors="replace")[-2000:]
                raise SynapseError(f"Synapse did not start ({error}):\n{output}") from None
        time.sleep(0.1)
