"""Express services: how package.json starts them, and the routes of the app and its routers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import TypedDict

import msgspec

from loadpath.spec.detect.commands import node_words
from loadpath.spec.detect.dependencies import owner_of
from loadpath.spec.detect.examples import AUTHENTICATION, LOGIN
from loadpath.spec.detect.found import Parameter, Route, Start
from loadpath.spec.detect.project import Project
from loadpath.spec.detect.reads import SEARCHES, guessed_body

_SOURCES = (".js", ".mjs", ".cjs", ".ts")
_ENTRIES = ("server", "index", "app", "main", "src/server", "src/index", "src/app", "src/main")
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_ROUTE = re.compile(r"\b(\w+)\s*\.\s*(get|post|put|patch|delete)\(\s*([\"'`])(/[^\"'`]*)\3\s*,")
_CHAIN = re.compile(r"\b(\w+)\s*\.\s*route\(\s*([\"'`])(/[^\"'`]*)\2\s*\)[^;]*")
_LINK = re.compile(r"\)\s*\.\s*(get|post|put|patch|delete)\(")
_MOUNT = re.compile(
    r"\b\w+\s*\.\s*use\(\s*(?:([\"'`])(/[^\"'`]*)\1\s*,\s*)?(?:[\w.()]+\s*,\s*)*?"
    r"(?:require\(\s*[\"'](\.[^\"']*)[\"']\s*\)|(\w+))(?:\s*\.\s*\w+)?\s*\)"
)
_REQUIRE = re.compile(
    r"\b(?:const|let|var)\s+(?:\{\s*)?(\w+)(?:\s*\})?\s*=\s*require\(\s*[\"'](\.[^\"']*)[\"']\s*\)"
    r"|\bimport\s+(?:\{\s*)?(\w+)(?:\s+as\s+\w+)?(?:\s*\})?\s+from\s+[\"'](\.[^\"']*)[\"']"
)
_APP = re.compile(r"=\s*(?:await\s+)?express\(\s*\)")
_PARAMETER = re.compile(r":(\w+)(?:\([^)]*\))?")
_LISTEN = re.compile(r"\.listen\(\s*(\d{2,5})\b|\bport\s*[:=]\s*(\d{4,5})\b", re.IGNORECASE)
# Where the handler of a route ends: the next one begins.
_NEXT = re.compile(
    r"\b\w+\s*\.\s*(?:get|post|put|patch|delete|use|route)\(\s*[\"'`]/|\bmodule\.exports"
)
_DEPTH_MAX = 8


def detect_express(project: Project) -> tuple[Start, dict[str, str], tuple[Route, ...]] | None:
    """An Express service: its start, the variables that start needs, its routes; or None."""
    if project.node is None or "express" not in project.packages:
        return None
    sources = {p: _COMMENT.sub(_blanked, t) for p, t in project.texts(*_SOURCES)}
    start = _start(project, sources)
    return start, _environment(project), tuple(sorted(set(_routes(sources))))


def _start(project: Project, sources: Mapping[str, str]) -> Start:
    notes = ["one process: without {workers} a second worker cannot be tried"]
    reads_port = any("PORT" in name for name in project.variables)
    fixed = next((m for t in sources.values() if (m := _LISTEN.search(t))), None)
    if not reads_port:
        said = f" ({fixed[1] or fixed[2]} is written in the code)" if fixed else ""
        notes.append(f"check this: it must listen on the port in the variable PORT{said}")
    return Start(_start_words(project, sources), tuple(notes))


def _start_words(project: Project, sources: Mapping[str, str]) -> tuple[str, ...]:
    assert project.node is not None
    scripts = project.node.get("scripts")
    script = scripts.get("start") if isinstance(scripts, dict) else None
    if isinstance(script, str) and script.strip():
        return node_words("start", script)
    main = project.node.get("main")
    if isinstance(main, str) and main:
        return ("node", main)
    for entry in _ENTRIES:
        for suffix in _SOURCES:
            if f"{entry}{suffix}" in sources:
                return ("node", f"{entry}{suffix}")
    with_app = next((p for p, t in sources.items() if _APP.search(t)), "index.js")
    return ("node", with_app)


def _environment(project: Project) -> dict[str, str]:
    env = {"NODE_ENV": "production"}
    ports = [n for n in project.variables if re.search(r"(^|_)PORT$", n) and owner_of(n) is None]
    others = re.compile(r"SMTP|MAIL|KAFKA|MONGO|MYSQL|RABBIT|AMQP|METRICS|DEBUG|STATSD|GRPC")
    if "PORT" not in ports:
        env |= {n: "{port}" for n in ports if not others.search(n)}
    return env


def _routes(sources: Mapping[str, str]) -> Iterator[Route]:
    roots = [p for p, t in sources.items() if _APP.search(t)]
    reached: set[str] = set()
    for root in roots:
        yield from _of_file(sources, root, "", 0, reached)
    for path in sources:
        if path not in reached and re.search(r"\bRouter\(\s*\)", sources[path]):
            for route in _of_file(sources, path, "", _DEPTH_MAX, reached):
                yield msgspec.structs.replace(route, mounted=False)


def _of_file(
    sources: Mapping[str, str], path: str, prefix: str, depth: int, reached: set[str]
) -> Iterator[Route]:
    text = sources[path]
    reached.add(path)
    for start, method, at, handler in _registered(text):
        whole = _PARAMETER.sub(r"{\1}", prefix + at)
        if "*" not in whole and "$" not in whole:
            asked = _asked(handler, whole, method)
            line = text.count("\n", 0, start) + 1
            yield Route(
                path=whole.rstrip("/") or "/", method=method, where=f"{path}:{line}", **asked
            )
    if depth >= _DEPTH_MAX:
        return
    imported = {m[1] or m[3]: m[2] or m[4] for m in _REQUIRE.finditer(text)}
    for found in _MOUNT.finditer(text):
        target = found[3] or imported.get(found[4] or "")
        file = _file_of(sources, path, target) if target else None
        if file is not None and file != path:
            at = prefix + (found[2] or "").rstrip("/")
            yield from _of_file(sources, file, at, depth + 1, reached)


class _Asked(TypedDict):
    needs: tuple[Parameter, ...]
    body: str
    lacks: tuple[str, ...]


def _asked(handler: str, path: str, method: str) -> _Asked:
    """What a handler reads of a request, as far as its text tells."""
    before = re.split(r"=>|\bfunction\b", handler, maxsplit=1)[0]
    body = ""
    lacks = [LOGIN] if AUTHENTICATION.search(before) else []
    if method != "GET" and (names := _names(handler, "body")):
        lacks.append(f"a look at its body: the code reads {', '.join(names)} from it")
        body = guessed_body(names)
    asked = [n for n in _names(handler, "query") if "search" in path and n in SEARCHES]
    needs = tuple(Parameter(n, "text") for n in asked)
    return _Asked(needs=needs, body=body, lacks=tuple(lacks))


def _names(handler: str, part: str) -> tuple[str, ...]:
    """The names that a handler takes out of req.body or req.query."""
    found = re.findall(rf"\breq(?:uest)?\.{part}\.(\w+)", handler)
    for listed in re.findall(rf"\{{([^{{}}]*)\}}\s*=\s*req(?:uest)?\.{part}\b", handler):
        found += re.findall(r"(?:^|,)\s*(\w+)", listed)
    return tuple(dict.fromkeys(found))


def _registered(text: str) -> Iterator[tuple[int, str, str, str]]:
    """Where a route is registered, its method and path, and the text of its handler."""
    for found in _ROUTE.finditer(text):
        rest = text[found.end() :]
        end = _NEXT.search(rest)
        yield found.start(), found[2].upper(), found[4], rest[: end.start()] if end else rest
    for chain in _CHAIN.finditer(text):
        links = list(_LINK.finditer(chain[0]))
        ends = [*(link.start() for link in links[1:]), len(chain[0])]
        for link, until in zip(links, ends, strict=False):
            yield chain.start(), link[1].upper(), chain[3], chain[0][link.end() : until]


def _file_of(sources: Mapping[str, str], importer: str, target: str) -> str | None:
    parts: list[str] = list(PurePosixPath(importer).parent.parts)
    for step in PurePosixPath(target).parts:
        if step == "..":
            if not parts:
                return None
            parts.pop()
        elif step != ".":
            parts.append(step)
    base = "/".join(parts)
    stem = re.sub(r"\.(?:js|mjs|cjs)$", "", base)
    candidates = [base, *(f"{stem}{s}" for s in _SOURCES), *(f"{base}/index{s}" for s in _SOURCES)]
    return next((c for c in candidates if c in sources), None)


def _blanked(found: re.Match[str]) -> str:
    """A comment replaced so that lines keep their numbers."""
    return "\n" * found[0].count("\n")
