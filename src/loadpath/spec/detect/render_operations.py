"""Writes the routes that were found as operations: live where nothing is missing, else commented
out with what is."""

from __future__ import annotations

import json
import re
from urllib.parse import quote

import msgspec

from loadpath.spec.detect.found import Detected, Parameter, Route, is_id_name
from loadpath.spec.detect.toml import inline, key, string

OPERATIONS_MAX = 20
ASSUMED_ROWS = 10
"""As many rows as almost any seed makes. More is better, but that they exist is the user's word."""

# What may stand in the path of a request line, with the braces of fields.
_SAFE = "/{}!$&'()*+,;=:@~-._%"
_ID_IN_BODY = re.compile(r'"\w*?(?:_id|I[dD])": 1\b|\b\w+_id=1\b')
_EXAMPLES = {"whole": "1", "number": "1", "flag": "true", "text": "example"}
_UNIQUE_COUNT = 1_000_000
_FIELD = re.compile(r"\{(\w+)\}")
_HEALTH = "Users do not ask for it: it says whether the service is ready"
_FORM = "application/x-www-form-urlencoded"


def sort_routes(detected: Detected) -> tuple[list[Route], list[tuple[Route, tuple[str, ...]]]]:
    """The routes that can be asked for as they stand, and the others with what each needs."""
    ready: list[Route] = []
    others: list[tuple[Route, tuple[str, ...]]] = []
    for route in detected.routes:
        safe = msgspec.structs.replace(route, path=quote(route.path, safe=_SAFE))
        lacking = missing(safe, seeded=detected.is_seeded)
        if lacking:
            others.append((safe, lacking))
        else:
            ready.append(safe)
    users = [r for r in ready if f"{r.method} {r.path}" != detected.ready or r.path == "/"]
    if users:
        others += [(r, (_HEALTH,)) for r in ready if r not in users]
    return users or ready, others


def render_operations(detected: Detected) -> str:
    """The `[operations.*]` tables."""
    ready, others = sort_routes(detected)
    lines = ["# What users do, and how often relative to each other."]
    if not ready:
        lines += [
            "# check this: no route that can be asked for as it stands was found",
            '[operations."GET /"]',
            'request = "GET /"',
            "weight = 1",
            "",
        ]
    for route in ready[:OPERATIONS_MAX]:
        lines += [*_operation(route), ""]
    if others:
        lines += ["# Found too, but left out, each for what is said of it.", ""]
    for route, lacking in others[: 2 * OPERATIONS_MAX]:
        lines += [f"# It needs {what}." for what in lacking if what != _HEALTH]
        lines += [f"# {_HEALTH}."] if _HEALTH in lacking else []
        lines += [*_commented(route), ""]
    if ready[OPERATIONS_MAX:]:
        lines += [f"# Found too; more than {OPERATIONS_MAX} make a long review.", ""]
    for route in ready[OPERATIONS_MAX : 3 * OPERATIONS_MAX]:
        lines += [*_commented(route), ""]
    return "\n".join(lines)


def missing(route: Route, *, seeded: bool) -> tuple[str, ...]:
    """What keeps a request for the route from being sent as it would be written."""
    found = list(route.lacks)
    if not route.mounted:
        found.append("the path it is mounted at: nothing was seen to include it")
    ids = [f for f in route.fields if is_id(route, f)]
    if not ids and not seeded and not route.lacks and _ID_IN_BODY.search(route.body + route.form):
        found.append("rows that exist for the ids in its body: say `seed`")
    if ids and not seeded:
        found.append(f"rows that exist: say `seed`, then which {_listed(ids)} there are")
    if rest := [f for f in route.fields if f not in ids]:
        found.append(f"values of {_listed(rest)} that exist")
    if odd := [n.name for n in route.needs if n.kind not in _EXAMPLES]:
        found.append(f"a value for {_listed(odd)}")
    if route.method == "DELETE":
        found.append("a row of its own for each request: a flow makes one, then deletes it")
    elif route.method != "GET" and not route.body and not route.form and not route.lacks:
        found.append("your word that it can be repeated: no body was found that it takes")
    return tuple(found)


def is_id(route: Route, field: str) -> bool:
    """Whether a field of the path is the number of a row, by its type or else by its name."""
    kind = next((p.kind for p in route.typed if p.name == field), "unknown")
    return kind == "whole" or (kind == "unknown" and is_id_name(field))


def _commented(route: Route) -> list[str]:
    return [f"# {line}" for line in _operation(route) if not line.startswith("#")]


def _operation(route: Route) -> list[str]:
    name = f"{route.method} {route.path}"
    query = "&".join(f"{n.name}={_query_value(n)}" for n in route.needs)
    notes = []
    if not route.sure:
        notes.append("check this: its methods were not read")
    if any(n.kind == "text" for n in route.needs):
        notes.append("check this: what do users ask for?")
    lines = [
        f"[operations.{string(name)}]  # {route.where}",
        *(f"# {note}" for note in notes),
        f"request = {string(f'{name}?{query}' if query else name)}",
        "weight = 1",
    ]
    body = ""
    if route.body:
        body = route.body
        lines += [_example_note("model", route.body)]
        lines += [f"body = {inline(json.loads(body))}"]
    elif route.form:
        body = route.form
        lines += [_example_note("form", route.form)]
        lines += [f"headers = {{ Content-Type = {string(_FORM)} }}", f"body = {string(body)}"]
    return lines + _keys(route, body)


def _example_note(source: str, body: str) -> str:
    differs = "; what has a {field} in it differs every time" if _FIELD.search(body) else ""
    assumed = "; that row 1 exists is assumed" if _ID_IN_BODY.search(body) else ""
    return f"# An example made from its {source}{differs}{assumed}."


def _keys(route: Route, body: str) -> list[str]:
    ids = [f for f in route.fields if is_id(route, f)]
    others = [*(f for f in route.fields if f not in ids)]
    others += [n.name for n in route.needs if n.kind not in _EXAMPLES]
    fresh = [f for f in dict.fromkeys(_FIELD.findall(body)) if f not in (*ids, *others)]
    sets = [f"{key(f)} = {{ first = 1, count = {ASSUMED_ROWS}, zipf = 1.0 }}" for f in ids]
    sets += [f'{key(f)} = {{ file = "{f}.txt" }}' for f in others]
    sets += [f"{key(f)} = {{ count = {_UNIQUE_COUNT} }}" for f in fresh]
    note = [f"# Assumed: rows 1 to {ASSUMED_ROWS} exist. Say how many your seed makes."]
    return [*(note if ids else []), f"keys = {{ {', '.join(sets)} }}"] if sets else []


def _query_value(parameter: Parameter) -> str:
    return _EXAMPLES.get(parameter.kind, f"{{{parameter.name}}}")


def _listed(names: list[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in names)
