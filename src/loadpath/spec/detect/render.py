"""Writes what was detected as a commented loadpath.toml that the loader accepts as it is."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from loadpath.spec.detect.found import Commands, Detected, FoundDependency
from loadpath.spec.detect.render_operations import render_operations
from loadpath.spec.detect.toml import inline, key, string

_HEAD = """\
# What Loadpath knows of this service, written by `loadpath init`. Mend what says
# "check this", then try it: loadpath check. Every key is explained in Loadpath's
# docs/reference/service-file.md.
"""
_WORKLOAD = """\
[workload]
# check this: how many requests a second arrive on a usual day?
arrivals = { open = "50/s" }
# or a fixed number of clients that wait for their replies:
# arrivals = { users = 50, think_time = "1s" }
# operations of more than one request (log in, then order, …):
# flows = "workload.py"

# A key set: what fills the {fields} of a request, and how often each is asked for.
# [workload.keys.item]
# zipf = 1.0             # a few get most of the requests; or uniform = true
# first = 1              # the first id
# count = 10000
# pattern = "{n}"        # or file = "ids.txt", one a line

[objective]
# check this: what is good enough?
p99 = "100ms"
errors = "0.1%"
"""
_KNOBS = """\
# A decision that an environment variable switches:
# [knobs.pool]
# env = "DB_POOL"
# default = "10"
# values = ["5", "10", "20"]
"""


def render_service_file(detected: Detected) -> str:
    """The text of a loadpath.toml; what could only be guessed is marked `check this`."""
    return "\n".join(
        (
            _HEAD,
            _service(detected),
            *(_dependency(d) for d in detected.dependencies),
            _WORKLOAD,
            render_operations(detected),
            _KNOBS,
        )
    )


def _service(detected: Detected) -> str:
    lines = [f"[service]  # {detected.framework}" if detected.framework else "[service]"]
    lines += [f"# {note}" for note in detected.start.notes]
    lines += [f"start = {string(_command(detected.start.words))}"]
    lines += [f"ready = {string(detected.ready)}"]
    if "{workers}" in lines[-2]:
        lines += ["workers = 1"]
    for name in detected.unsupported:
        lines += [
            f"# check this: it seems to need {name}, which Loadpath cannot start. Start it,",
            "# say its address in env, and declare it, or the run stops at the connection:",
            '# peers = ["127.0.0.1:PORT"]',
        ]
    if detected.env:
        lines += ["", "[service.env]"]
        for name, value in detected.env.items():
            note = detected.env_notes.get(name)
            lines += [f"{key(name)} = {string(value)}" + (f"  # {note}" if note else "")]
    return "\n".join(lines) + "\n"


def _dependency(found: FoundDependency) -> str:
    lines = [
        f"[dependencies.{found.name}]  # because of {found.because}",
        f"kind = {string(found.kind)}",
        *(f"# {note}" for note in found.notes),
        f"env = {inline(found.env)}" if len(found.env) == 1 else "",
        '# url = "…"              # your own server instead of one that Loadpath starts',
    ]
    if found.kind == "postgres":
        lines += _commands(found.commands)
    if len(found.env) > 1:
        lines += ["", f"[dependencies.{found.name}.env]"]
        lines += [f"{key(name)} = {string(value)}" for name, value in found.env.items()]
    return "\n".join(line for i, line in enumerate(lines) if line or i > 4) + "\n"


def _commands(commands: Commands) -> list[str]:
    lines = [f"# {note}" for note in commands.notes]
    if commands.prepare:
        lines += [f"prepare = {string(_command(commands.prepare))}"]
    elif not commands.notes:
        lines += ['# prepare = "…"          # check this: how is the schema made?']
    if commands.seed:
        lines += ["# check this: does it make as much data as production has?"]
        return [*lines, f"seed = {string(_command(commands.seed))}"]
    return [*lines, '# seed = "…"             # fills it with as much as production has']


def _command(words: Sequence[str]) -> str:
    """The words as the loader splits them; `shlex.join` would quote the braces of {port}."""
    return " ".join(w if shlex.split(w) == [w] else shlex.quote(w) for w in words)
