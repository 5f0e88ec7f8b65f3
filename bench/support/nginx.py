"""A private nginx that answers from memory, over HTTP and, where openssl is there, over TLS."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from loadpath.deploy import Guard
from support.noise import children_of

_CONFIGURATION = """
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
worker_processes 1;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    listen 127.0.0.1:{tls_port} ssl;
    ssl_certificate {folder}/certificate.pem;
    ssl_certificate_key {folder}/key.pem;
    ssl_protocols TLSv1.3;
    location / {{ default_type text/plain; return 200 "hello, world\\n"; }}
    location /json {{
      default_type application/json;
      return 200 '{{"id":"abc123","url":"https://example.com/somewhere","visits":5}}';
    }}
  }}
}}
"""


@dataclass(frozen=True)
class Nginx:
    """Where it listens, what its certificate is, and its processes."""

    port: int
    tls_port: int
    certificate: Path
    pids: tuple[int, ...]


def binary() -> str | None:
    """Where nginx is: Debian puts it where only root looks."""
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


async def start_nginx(guard: Guard) -> Nginx:
    """Start it in a folder of its own, with a certificate made for this run."""
    folder = guard.make_folder()
    folder.chmod(0o755)
    certificate = make_certificate(folder)
    port, tls_port = _free_port(), _free_port()
    (folder / "nginx.conf").write_text(
        _CONFIGURATION.format(folder=folder, port=port, tls_port=tls_port)
    )
    found = binary()
    assert found is not None
    nginx = await guard.spawn([found, "-c", str(folder / "nginx.conf")], name="nginx")
    await wait_for_port(port)
    return Nginx(port, tls_port, certificate, (nginx.pid, *children_of(nginx.pid)))


def make_certificate(folder: Path) -> Path:
    """A key and a certificate for localhost and 127.0.0.1, signed by itself."""
    certificate = folder / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-nodes"),
            *("-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
            *("-keyout", str(folder / "key.pem"), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    return certificate


def version() -> str:
    """nginx's own words for its version."""
    done = subprocess.run([binary() or "nginx", "-v"], capture_output=True, text=True, check=False)
    found = re.search(r"nginx/(\S+)", done.stderr)
    return found[1] if found else "unknown"


async def wait_for_port(port: int) -> None:
    """Return once something listens there."""
    for _ in range(200):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.02)
        else:
            writer.close()
            return
    raise SystemExit(f"nothing listened at port {port} within 4 s")


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


_RELAY = """
{module}
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
worker_processes 1;
events {{ worker_connections 1024; }}
stream {{
  server {{
    listen 127.0.0.1:{port};
    proxy_pass {target};
    tcp_nodelay on;
  }}
}}
"""


def relay_module() -> str | None:
    """The line that makes nginx a relay of TCP, empty where it is built in; None: it cannot be."""
    found = binary()
    if found is None:
        return None
    done = subprocess.run([found, "-V"], capture_output=True, text=True, check=False)
    if "--with-stream " in done.stderr:
        return ""
    folder = re.search(r"--modules-path=(\S+)", done.stderr)
    module = Path(folder[1] if folder else "", "ngx_stream_module.so")
    return f"load_module {module};" if folder and module.exists() else None


async def start_relay(guard: Guard, module: str, target: str) -> tuple[int, tuple[int, ...]]:
    """Start one before a target; its port and its processes."""
    folder, port, found = guard.make_folder(), _free_port(), binary()
    assert found is not None
    folder.chmod(0o755)
    configuration = folder / "nginx.conf"
    configuration.write_text(
        _RELAY.format(module=module, folder=folder, port=port, target=target), encoding="utf-8"
    )
    nginx = await guard.spawn([found, "-c", str(configuration)], name=f"nginx-relay-{port}")
    await wait_for_port(port)
    return port, (nginx.pid, *children_of(nginx.pid))
