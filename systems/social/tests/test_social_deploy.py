"""The examples in deploy/: as far as they can be tried without containers and without root."""

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
from social.settings import Settings, read_settings

DEPLOY = Path(__file__).parents[1] / "deploy"


def environment_file() -> dict[str, str]:
    lines = (DEPLOY / "social.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_the_settings_of_the_example_are_settings() -> None:
    given = environment_file()
    known = {field.name.upper() for field in msgspec.structs.fields(Settings)}
    assert set(given) - {"POSTGRES_PASSWORD"} <= known
    settings = read_settings(given)
    assert settings.rate_limit == 300
    assert settings.keeps_homes
    assert given["POSTGRES_PASSWORD"] in given["DATABASE_URL"]


def test_the_compose_file_names_pinned_images_and_what_is_there() -> None:
    compose: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    services = compose["services"]
    for name in ("postgres", "valkey", "nats"):
        assert re.search(r":\d+\.\d+", services[name]["image"]), name
    for name, service in services.items():
        for needed, how in service.get("depends_on", {}).items():
            assert needed in services, (name, needed)
            if how["condition"] == "service_healthy":
                assert "healthcheck" in services[needed]
        for volume in service.get("volumes", []):
            assert volume.partition(":")[0] in compose["volumes"]
    own = services["social"]
    context = (DEPLOY / own["build"]["context"]).resolve()
    dockerfile = context / own["build"]["dockerfile"]
    assert dockerfile.samefile(DEPLOY / "Dockerfile")
    for folder in re.findall(r"^COPY (\S+)", dockerfile.read_text(), re.MULTILINE):
        assert (context / folder / "pyproject.toml").is_file()
    assert (DEPLOY / own["env_file"]).is_file()
    known = {field.name.upper() for field in msgspec.structs.fields(Settings)}
    assert set(own["environment"]) <= known
    assert services["worker"]["environment"]["ROLES"] == "worker"
    assert services["migrate"]["command"] == ["python", "-m", "social", "migrate"]


def test_nginx_takes_the_example(tmp_path: Path) -> None:
    nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if nginx is None:
        pytest.skip("nginx is not installed here")
    # Ports and log files that need no root.
    example = (DEPLOY / "nginx.conf").read_text()
    example = example.replace("listen 80;", "listen 127.0.0.1:18080;")
    example = example.replace("    listen [::]:80;\n", "")
    folders = "\n".join(
        f"{kind}_temp_path {tmp_path}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    whole = tmp_path / "nginx.conf"
    whole.write_text(
        f"pid {tmp_path}/pid;\nerror_log {tmp_path}/error.log;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{folders}\n{example}\n}}\n"
    )
    done = subprocess.run(
        [nginx, "-t", "-p", str(tmp_path), "-c", str(whole), "-e", str(tmp_path / "error.log")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed here")
    unit = tmp_path / "social.service"
    text = (DEPLOY / "social.service").read_text()
    # It also looks whether the programs are there.
    scripts = sysconfig.get_path("scripts")
    text = text.replace("/opt/social/bin/granian", f"{scripts}/granian")
    unit.write_text(text.replace("/opt/social/bin/python", sys.executable))
    done = subprocess.run(
        [analyze, "verify", "--recursive-errors=no", str(unit)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    complaints = [line for line in done.stderr.splitlines() if "social.service" in line]
    assert (done.returncode, complaints) == (0, []), done.stderr


def test_unit_image_and_example_start_the_service_alike() -> None:
    unit = (DEPLOY / "social.service").read_text()
    image = (DEPLOY / "Dockerfile").read_text()
    flags = set(re.findall(r"--[a-z-]+", re.search(r"ExecStart=.*", unit)[0]))  # type: ignore[index]
    assert flags == set(re.findall(r"--[a-z-]+", image[image.index("CMD") :]))
