"""FastAPI and Flask services: the application, its routers and blueprints, and their routes."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from itertools import product

import msgspec

from loadpath.spec.detect.commands import python_commands
from loadpath.spec.detect.examples import unique_names
from loadpath.spec.detect.fastapi import asked_by_signature
from loadpath.spec.detect.found import Commands, Parameter, ParameterKind, Route, Start
from loadpath.spec.detect.project import Project
from loadpath.spec.detect.python_code import (
    Module,
    Symbol,
    assignments,
    call_name,
    keyword,
    parse_modules,
    resolve,
    text_of,
)
from loadpath.spec.detect.reads import asked_by_reading

APPLICATIONS = ("FastAPI", "Flask")
_ROUTERS = ("APIRouter", "Blueprint")
_INCLUDES = ("include_router", "register_blueprint")
_METHODS = ("get", "post", "put", "patch", "delete")
_CONVERTER = re.compile(r"<(?:[^:<>]+:)?(\w+)>|\{(\w+):[^}]*\}")
_CONVERTED = re.compile(r"<([a-z]+)(?:\([^)]*\))?:(\w+)>|\{(\w+):([a-z]+)\}")
_KINDS: dict[str, ParameterKind] = {"int": "whole", "float": "number", "uuid": "other"}


class Application(msgspec.Struct, frozen=True):
    """Where the application object is: `module:name`, or `module:factory` when `is_factory`."""

    framework: str
    module: str
    name: str
    is_factory: bool = False
    in_src: bool = False


class _Mounts(msgspec.Struct, frozen=True):
    """`own`: the prefix each router was made with; `included`: by whom, and under what prefix."""

    own: dict[Symbol, str]
    included: dict[Symbol, list[tuple[Symbol | None, str]]]
    roots: frozenset[Symbol]


def find_application(modules: Mapping[str, Module], framework: str) -> Application | None:
    """The application object, or the function that makes it."""
    factories: dict[Symbol, Module] = {}
    for module in modules.values():
        in_src = module.path.startswith("src/") and not module.name.startswith("src")
        for name, value in _at_top(module.tree):
            if call_name(value) == framework:
                return Application(framework, module.name, name, in_src=in_src)
        for node in module.tree.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and any(
                call_name(inner) == framework
                for inner in ast.walk(node)
                if isinstance(inner, ast.Call)
            ):
                factories[module.name, node.name] = module
    for module in modules.values():
        for name, value in _at_top(module.tree):
            made_by = isinstance(value, ast.Call) and resolve(modules, module, value.func)
            if made_by in factories:
                in_src = module.path.startswith("src/") and not module.name.startswith("src")
                return Application(framework, module.name, name, in_src=in_src)
    for (_, name), module in factories.items():
        in_src = module.path.startswith("src/") and not module.name.startswith("src")
        return Application(framework, module.name, name, is_factory=True, in_src=in_src)
    return None


def find_start(project: Project, app: Application) -> Start:
    """How to serve the application with what the project asks for."""
    packages = project.packages
    target = f"{app.module}:{app.name}"
    called = f"{target}()" if app.is_factory else target
    folder = "src" if app.in_src else ""
    if app.framework == "FastAPI":
        uvicorn = ["uvicorn", "--host", "127.0.0.1", "--port", "{port}", "--workers", "{workers}"]
        uvicorn += ["--app-dir", folder] if folder else []
        uvicorn += ["--factory"] if app.is_factory else []
        if packages & {"uvicorn", "uvicorn[standard]", "fastapi[standard]", "fastapi[all]"}:
            return Start((*uvicorn, target))
        if "granian" in packages:
            return Start(_granian("asgi", app, target, folder))
        if "hypercorn" in packages:
            bind = ("--bind", "127.0.0.1:{port}", "--workers", "{workers}")
            return Start(("hypercorn", *bind, f"{folder}/{called}" if folder else called))
        return Start(
            (*uvicorn, target),
            ("check this: no server is among the project's packages; uvicorn is a guess",),
        )
    if "gunicorn" in packages:
        return Start(_gunicorn(called, folder))
    if "granian" in packages:
        return Start(_granian("wsgi", app, target, folder))
    if "waitress" in packages:
        call = ("--call",) if app.is_factory else ()
        listen = "--listen=127.0.0.1:{port}"
        return Start(
            ("waitress-serve", listen, *call, target),
            ("one process: without {workers} a second worker cannot be tried",),
        )
    return Start(
        ("flask", "--app", _flask_app(app), "run", "--port", "{port}"),
        (
            "check this: Flask's development server, because no other is among the packages;",
            "what you measure with it is not what production does (gunicorn, granian, waitress)",
        ),
    )


def _flask_app(app: Application) -> str:
    """What `flask --app` is given."""
    where = f"src/{app.module.replace('.', '/')}" if app.in_src else app.module
    return f"{where}:{app.name}{'()' if app.is_factory else ''}"


def find_routes(
    modules: Mapping[str, Module], framework: str, unique: frozenset[str] = frozenset()
) -> tuple[Route, ...]:
    """The routes of all applications and routers, under the prefixes they are mounted at.

    `unique` are names whose values have to be different in every request.
    """
    mounts = _mounts(modules)
    found = set()
    for module in modules.values():
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            for decorator in node.decorator_list:
                if not isinstance(decorator, ast.Call):
                    continue
                for owner, path, methods in _registered(modules, module, decorator):
                    for (prefix, mounted), method in product(_prefixes(mounts, owner), methods):
                        whole = _CONVERTER.sub(_field, prefix + path) or "/"
                        if framework == "FastAPI":
                            asked = asked_by_signature(
                                modules, module, node, decorator, whole, method, unique
                            )
                        else:
                            asked = asked_by_reading(node, whole, method)
                        route = Route(
                            path=whole if whole.startswith("/") else f"/{whole}",
                            method=method,
                            where=f"{module.path}:{node.lineno}",
                            typed=tuple({*asked.typed, *_typed(prefix + path)}),
                            needs=asked.needs,
                            body=asked.body,
                            lacks=asked.lacks,
                            mounted=mounted,
                        )
                        found.add(route)
    return tuple(sorted(found))


def detect_web(
    project: Project,
) -> tuple[Application, Start, tuple[Route, ...], Commands] | None:
    """A FastAPI or Flask service, or None."""
    modules = parse_modules(project)
    for framework in APPLICATIONS:
        app = find_application(modules, framework)
        if app is not None:
            routes = find_routes(modules, framework, unique_names(project))
            flask_app = _flask_app(app) if framework == "Flask" else None
            commands = python_commands(project, modules, flask_app)
            return app, find_start(project, app), routes, commands
    return None


def _at_top(tree: ast.Module) -> list[tuple[str, ast.expr]]:
    """Assignments that run on import: functions and classes left out."""
    kept = [
        node
        for node in tree.body
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    ]
    return assignments(ast.Module(body=kept, type_ignores=[]))


def _granian(interface: str, app: Application, target: str, folder: str) -> tuple[str, ...]:
    words = ["granian", "--interface", interface, "--host", "127.0.0.1", "--port", "{port}"]
    words += ["--workers", "{workers}"]
    words += ["--working-dir", folder] if folder else []
    words += ["--factory"] if app.is_factory else []
    return (*words, target)


def _gunicorn(called: str, folder: str) -> tuple[str, ...]:
    words = ["gunicorn", "--bind", "127.0.0.1:{port}", "--workers", "{workers}"]
    words += ["--chdir", folder] if folder else []
    return (*words, called)


def _mounts(modules: Mapping[str, Module]) -> _Mounts:
    own: dict[Symbol, str] = {}
    included: dict[Symbol, list[tuple[Symbol | None, str]]] = {}
    roots: set[Symbol] = set()
    for module in modules.values():
        for name, value in assignments(module.tree):
            made = call_name(value)
            if made in APPLICATIONS:
                roots.add((module.name, name))
                own[module.name, name] = ""
            elif made in _ROUTERS and isinstance(value, ast.Call):
                prefix = keyword(value, "prefix") or keyword(value, "url_prefix")
                own[module.name, name] = text_of(prefix) or ""
        for node in ast.walk(module.tree):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in _INCLUDES
                and node.args
            ):
                target = resolve(modules, module, node.args[0])
                owner = resolve(modules, module, node.func.value)
                prefix = keyword(node, "prefix") or keyword(node, "url_prefix")
                if target is not None:
                    included.setdefault(target, []).append((owner, text_of(prefix) or ""))
    return _Mounts(own, included, frozenset(roots))


def _prefixes(
    mounts: _Mounts, owner: Symbol | None, seen: frozenset[Symbol] = frozenset()
) -> Iterator[tuple[str, bool]]:
    """Every prefix that what is registered on `owner` gets, and whether it is mounted."""
    if owner is None or owner in seen or owner not in mounts.own:
        # An `app` handed to a function: most likely the application itself.
        yield "", True
    elif owner in mounts.roots:
        yield "", True
    elif owner not in mounts.included:
        yield mounts.own[owner], False
    else:
        for includer, at in mounts.included[owner]:
            for prefix, mounted in _prefixes(mounts, includer, seen | {owner}):
                yield prefix + at + mounts.own[owner], mounted


def _registered(
    modules: Mapping[str, Module], module: Module, decorator: ast.Call
) -> Iterator[tuple[Symbol | None, str, tuple[str, ...]]]:
    """Owner, path and methods of a decorator that registers a route."""
    if not isinstance(decorator.func, ast.Attribute):
        return
    verb = decorator.func.attr
    if verb not in (*_METHODS, "route", "api_route"):
        return
    first = decorator.args[0] if decorator.args else None
    path = text_of(first or keyword(decorator, "path") or keyword(decorator, "rule"))
    if path is None:
        return
    methods: tuple[str, ...] = (verb.upper(),) if verb in _METHODS else ("GET",)
    listed = keyword(decorator, "methods")
    if isinstance(listed, ast.List | ast.Tuple | ast.Set):
        methods = tuple((text_of(m) or "").upper() for m in listed.elts)
    known = tuple(m for m in methods if m.lower() in _METHODS)
    yield resolve(modules, module, decorator.func.value), path, known


def _typed(path: str) -> Iterator[Parameter]:
    """The fields of a path whose converter says what they are."""
    for found in _CONVERTED.finditer(path):
        kind = _KINDS.get(found[1] or found[4], "text")
        yield Parameter(found[2] or found[3], kind)


def _field(found: re.Match[str]) -> str:
    return f"{{{found[1] or found[2]}}}"
