"""Whether the examples in a system's deploy/ hold, as far as they can be tried without containers
and without root."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

__all__ = [
    "assert_compose_is_whole",
    "assert_nginx_takes_it",
    "assert_started_alike",
    "assert_systemd_takes_it",
    "example_settings",
]


def example_settings(deploy: Path, system: str, kind: type[msgspec.Struct]) -> dict[str, str]:
    """What the example sets; every name of it is one of the settings."""
    lines = (deploy / f"{system}.env").read_text().splitlines()
    given = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert set(given) - {"POSTGRES_PASSWORD"} <= _names(kind)
    assert given["POSTGRES_PASSWORD"] in given["DATABASE_URL"]
    return given


def _names(kind: type[msgspec.Struct]) -> set[str]:
    return {field.name.upper() for field in msgspec.structs.fields(kind)}


def assert_compose_is_whole(
    deploy: Path, system: str, kind: type[msgspec.Struct]
) -> dict[str, Any]:
    """Images are pinned, and what is named is there; the services of the file."""
    compose: dict[str, Any] = yaml.safe_load((deploy / "compose.yaml").read_text())
    services: dict[str, Any] = compose["services"]
    for name in ("postgres", "valkey", "nats"):
        assert re.search(r":\d+\.\d+", services[name]["image"]), name
    for name, service in services.items():
        for needed, how in service.get("depends_on", {}).items():
            assert needed in services, (name, needed)
            if how["condition"] == "service_healthy":
                assert "healthcheck" in services[needed]
        for volume in service.get("volumes", []):
            assert volume.partition(":")[0] in compose["volumes"]
    own = services[system]
    context = (deploy / own["build"]["context"]).resolve()
    dockerfile = context / own["build"]["dockerfile"]
    assert dockerfile.samefile(deploy / "Dockerfile")
    for folder in re.findall(r"^COPY (\S+)", dockerfile.read_text(), re.MULTILINE):
        assert (context / folder / "pyproject.toml").is_file()
    assert (deploy / own["env_file"]).is_file()
    assert set(own["environment"]) <= _names(kind)
    assert services["migrate"]["command"] == ["python", "-m", system, "migrate"]
    return services


def assert_nginx_takes_it(deploy: Path, folder: Path) -> None:
    """As far as `nginx -t` tells, on other ports and log files: those need no root."""
    nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if nginx is None:
        pytest.skip("nginx is not installed here")
    example = (deploy / "nginx.conf").read_text()
    example = example.replace("listen 80;", "listen 127.0.0.1:18080;")
    example = example.replace("    listen [::]:80;\n", "")
    folders = "\n".join(
        f"{kind}_temp_path {folder}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    whole = folder / "nginx.conf"
    whole.write_text(
        f"pid {folder}/pid;\nerror_log {folder}/error.log;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{folders}\n{example}\n}}\n"
    )
    done = subprocess.run(
        [nginx, "-t", "-p", str(folder), "-c", str(whole), "-e", str(folder / "error.log")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def assert_systemd_takes_it(deploy: Path, system: str, folder: Path) -> None:
    """As far as `systemd-analyze verify` tells; it also looks whether the programs are there."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed here")
    unit = folder / f"{system}.service"
    text = (deploy / f"{system}.service").read_text()
    scripts = sysconfig.get_path("scripts")
    text = text.replace(f"/opt/{system}/bin/granian", f"{scripts}/granian")
    unit.write_text(text.replace(f"/opt/{system}/bin/python", sys.executable))
    done = subprocess.run(
        [analyze, "verify", "--recursive-errors=no", str(unit)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    complaints = [line for line in done.stderr.splitlines() if f"{system}.service" in line]
    assert (done.returncode, complaints) == (0, []), done.stderr


def assert_started_alike(deploy: Path, system: str) -> None:
    """The unit and the image give the server the same flags."""
    unit = (deploy / f"{system}.service").read_text()
    image = (deploy / "Dockerfile").read_text()
    started = re.search(r"ExecStart=.*", unit)
    assert started is not None
    flags = set(re.findall(r"--[a-z-]+", started[0]))
    assert flags == set(re.findall(r"--[a-z-]+", image[image.index("CMD") :]))
