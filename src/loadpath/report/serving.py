"""Where everything is that `loadpath serve` runs, in words that can be pasted into a terminal."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from loadpath.deploy import RunningDependency
from loadpath.report.outside import strip_controls

_CLIENTS = {
    "postgres": "psql {url}",
    "valkey": "redis-cli -u {url}",
    "nats": "nats --server {url} sub '>'",
}
"""What opens a connection to each kind."""


def render_serving(
    service: str,
    address: str,
    dependencies: Mapping[str, RunningDependency],
    products: Mapping[str, str],
    *,
    logs: Mapping[str, Path],
    kept: Path | None,
    scheme: str = "http",
) -> str:
    """The service's address; name, product and client command of each dependency; logs; data.

    The URL of a dependency that was given is the user's own and may hold a password: it is not
    shown. `logs` empty: they are shown as they come, not told of here.
    """
    width = max(map(len, (service, *dependencies)))
    out = [f"{strip_controls(service):<{width}}  {scheme}://{address}"]
    for name, running in dependencies.items():
        head = f"{strip_controls(name):<{width}}  {products[name]}"
        if running.embedded:
            command = _CLIENTS[running.kind].format(url=shlex.quote(running.url))
            out += [f"{head} at {running.address}", f"{'':<{width}}  {command}"]
        else:
            out.append(f"{head} at {running.address}, your own")
    if logs:
        out += ["", "Logs"]
        longest = max(map(len, logs))
        out += [f"  {strip_controls(name):<{longest}}  {path}" for name, path in logs.items()]
    if kept is not None:
        out += ["", f"Data is kept in {kept}: `--keep` it again and it is there."]
    elif any(running.embedded for running in dependencies.values()):
        out += ["", "Data ends with this: --keep DIR keeps it."]
    return "\n".join([*out, "Ctrl-C stops it."]) + "\n"
