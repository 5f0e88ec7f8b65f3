"""Writes what was detected as a commented loadpath.toml that the loader accepts as it is."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from urllib.parse import quote

import msgspec

from loadpath.spec.detect.found import Detected, FoundDependency, Route

OPERATIONS_MAX = 20

# What may stand in the path of a request line, with the braces of fields.
_SAFE = "/{}!$&'()*+,;=:@~-._%"

_HEAD = """\
# What Loadpath knows of this service. Written by `loadpath init`; mend what says "check this".
# Loadpath's docs/reference/service-file.md explains every key. Then try it: loadpath check
"""
_WORKLOAD = """\
[workload]
arrivals = { open = "50/s" }        # check this: how many requests a second arrive on a usual day?
# arrivals = { users = 50, think_time = "1s" }    # instead: a fixed number of clients that wait
# flows = "workload.py"             # operations of more than one request (login, then order, …)

# A key set is what fills the {fields} of a request, and how often each is asked for.
# [workload.keys.item]
# zipf = 1.0                        # a few get most of the requests; or uniform = true
# count = 10000
# pattern = "{n}"                   # or file = "ids.txt", one a line

[objective]
p99 = "100ms"                       # check this: what is good enough?
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
            _operations(detected.routes),
            _KNOBS,
        )
    )


def _service(detected: Detected) -> str:
    lines = [f"[service]  # {detected.framework}" if detected.framework else "[service]"]
    lines += [f"# {note}" for note in detected.start.notes]
    lines += [f"start = {_string(_command(detected.start.words))}"]
    lines += [f"ready = {_string(detected.ready)}"]
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
            lines += [f"{_key(name)} = {_string(value)}" + (f"  # {note}" if note else "")]
    return "\n".join(lines) + "\n"


def _dependency(found: FoundDependency) -> str:
    lines = [
        f"[dependencies.{found.name}]  # because of {found.because}",
        f"kind = {_string(found.kind)}",
        *(f"# {note}" for note in found.notes),
        f"env = {_inline(found.env)}" if len(found.env) == 1 else "",
        '# url = "…"                        # your own server, instead of one that Loadpath starts',
    ]
    if found.prepare:
        lines += [f"prepare = {_string(_command(found.prepare))}"]
    elif found.kind == "postgres":
        lines += ['# prepare = "…"                    # check this: how is the schema made?']
    if found.kind == "postgres":
        lines += [
            '# seed = "…"                       # fills it with as much data as production has'
        ]
    if len(found.env) > 1:
        lines += ["", f"[dependencies.{found.name}.env]"]
        lines += [f"{_key(name)} = {_string(value)}" for name, value in found.env.items()]
    return "\n".join(line for i, line in enumerate(lines) if line or i > 4) + "\n"


def _operations(routes: tuple[Route, ...]) -> str:
    routes = tuple(msgspec.structs.replace(r, path=quote(r.path, safe=_SAFE)) for r in routes)
    plain = [r for r in routes if r.mounted and not r.fields and not r.needs]
    others = [r for r in routes if r not in plain]
    lines = ["# What users do, and how often relative to each other."]
    if not plain:
        lines += [
            "# check this: no route that can be asked for as it stands was found",
            '[operations."GET /"]',
            'request = "GET /"',
            "weight = 1",
            "",
        ]
    for route in plain[:OPERATIONS_MAX]:
        lines += [*_operation(route), ""]
    rest = [*others, *plain[OPERATIONS_MAX:]][: 2 * OPERATIONS_MAX]
    if rest:
        lines += ["# These were found too. Say what their {fields} are, or where they are mounted:"]
    for route in rest:
        lines += [f"# {line}" for line in _operation(route)]
        lines += [""]
    return "\n".join(lines)


def _operation(route: Route) -> list[str]:
    name = f"{route.method} {route.path}"
    query = "&".join(f"{n}={{{n}}}" for n in route.needs)
    request = f"{name}?{query}" if query else name
    fields = (*route.fields, *route.needs)
    unsure = "" if route.sure and route.mounted else ", check this"
    lines = [
        f"[operations.{_string(name)}]  # {route.where}{unsure}",
        f"request = {_string(request)}",
        "weight = 1",
    ]
    if fields:
        keys = ", ".join(f"{f} = {{ zipf = 1.0, count = 1000 }}" for f in fields)
        lines += [f"keys = {{ {keys} }}"]
    return lines


def _command(words: Sequence[str]) -> str:
    """The words as the loader splits them; `shlex.join` would quote the braces of {port}."""
    return " ".join(w if shlex.split(w) == [w] else shlex.quote(w) for w in words)


def _inline(table: Mapping[str, str]) -> str:
    return "{ " + ", ".join(f"{_key(n)} = {_string(v)}" for n, v in table.items()) + " }"


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _string(name)


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
