"""The environment that the service and its commands run in, and where their programs are found."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from loadpath.errors import WouldNotRunError
from loadpath.spec import Setup

INHERITED = (
    "CURL_CA_BUNDLE",
    "GOPATH",
    "HOME",
    "JAVA_HOME",
    "LANG",
    "LANGUAGE",
    "LD_LIBRARY_PATH",
    "LOGNAME",
    "NODE_EXTRA_CA_CERTS",
    "NODE_PATH",
    "PATH",
    "PYTHONPATH",
    "REQUESTS_CA_BUNDLE",
    "SHELL",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TMPDIR",
    "TZ",
    "USER",
    "VIRTUAL_ENV",
)
"""What the service gets of the caller's own environment, besides LC_*.

Nothing else: an address that a shell happens to export would send the service, and the load on it,
to a database that nobody meant.
"""

_PLACEHOLDER = re.compile(r"\{(host|port|user|password|name)\}")


def base_environment(directory: Path) -> dict[str, str]:
    """What is inherited, with the PATH that commands of the service are looked up in."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in INHERITED or name.startswith("LC_")
    }
    kept["PATH"] = os.pathsep.join(search_path(directory))
    return kept


def service_environment(
    setup: Setup, values: Mapping[str, Mapping[str, str]], *, port: int | None = None
) -> dict[str, str]:
    """The whole environment of the service.

    `values` maps each dependency's name to its {host}, {port}, {user}, {password} and {name}. Later
    ones win: inherited, the service's own, its dependencies', its knobs'. PORT is given too, for
    services that read it from there; prepare and seed commands (`port` None) get none.
    """
    env = base_environment(setup.service.directory)
    if port is not None:
        env["PORT"] = str(port)
    for name, value in setup.service.env.items():
        env[name] = value if port is None else value.replace("{port}", str(port))
    for dependency in setup.service.dependencies:
        for name, template in dependency.env.items():
            env[name] = fill(template, values[dependency.name])
    env.update(setup.knob_env())
    return env


def fill(template: str, values: Mapping[str, str]) -> str:
    """A template with its placeholders replaced; inside a URL they are percent-encoded."""
    in_url = "://" in template

    def value(match: re.Match[str]) -> str:
        text = values[match[1]]
        if in_url and match[1] == "host" and ":" in text:
            return f"[{text}]"
        return quote(text, safe="") if in_url else text

    return _PLACEHOLDER.sub(value, template)


def search_path(directory: Path) -> list[str]:
    """Where commands of a service are looked up, in order.

    The virtual environment of the service (its folder's, or the nearest above it within the same
    repository) comes first, then PATH, then the folder of the Python that runs Loadpath.
    """
    own = []
    for folder in (directory, *directory.parents):
        own += [
            str(found)
            for name in (".venv/bin", "node_modules/.bin")
            if (found := folder / name).is_dir()
        ]
        if own or (folder / ".git").exists():
            break
    inherited = os.environ.get("PATH", os.defpath).split(os.pathsep)
    last = [str(Path(sys.executable).parent)]
    return list(dict.fromkeys([*own, *inherited, *last]))


def find_program(words: tuple[str, ...], env: Mapping[str, str], directory: Path, what: str) -> str:
    """The path of a command's program. Raises `WouldNotRunError` when there is none."""
    program = words[0]
    if os.sep in program:
        path = directory / program
        if path.is_file() and os.access(path, os.X_OK):
            return str(path)
        reason = "is not executable" if path.exists() else "does not exist"
        raise WouldNotRunError(
            f"{what}: {program} {reason} in {directory}",
            advice="Mend the command in the service file.",
        )
    found = shutil.which(program, path=env.get("PATH", os.defpath))
    if found is None:
        folders = ", ".join(env.get("PATH", os.defpath).split(os.pathsep))
        raise WouldNotRunError(
            f"{what}: there is no program {program!r}; looked in {folders}",
            advice=f"Install it (for Python: in {directory / '.venv'}), or name it with its path.",
        )
    return found
