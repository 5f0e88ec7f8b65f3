"""Django services: manage.py, the root URL configuration and those it includes."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

import msgspec

from loadpath.spec.detect.django_views import (
    CONVERTED,
    KINDS,
    asked_of_view,
    find_view,
    methods_of,
)
from loadpath.spec.detect.examples import unique_names
from loadpath.spec.detect.found import Parameter, Route, Start
from loadpath.spec.detect.project import Project
from loadpath.spec.detect.python_code import (
    Module,
    assignments,
    call_name,
    parse_modules,
    resolve,
    text_of,
)

_CONVERTER = re.compile(r"<(?:\w+:)?(\w+)>")
_DEPTH_MAX = 8


def detect_django(project: Project) -> tuple[Start, tuple[Route, ...]] | None:
    """A Django project, or None. A view that does not say its methods is assumed to answer GET."""
    if "manage.py" not in project.sources:
        return None
    modules = parse_modules(project)
    served = next((m for m in sorted(modules) if m.rpartition(".")[2] == "wsgi"), None)
    served_async = next((m for m in sorted(modules) if m.rpartition(".")[2] == "asgi"), None)
    routes = (_asked(project, modules, each) for each in _routes(modules))
    found = {route for several in routes for route in several}
    return _start(project, served, served_async), tuple(sorted(found))


class _Entry(msgspec.Struct, frozen=True):
    """An entry of urlpatterns, where it stands, and its view when there is one to look at."""

    path: str
    module: Module
    line: int
    view: ast.expr | None = None


def _asked(project: Project, modules: Mapping[str, Module], entry: _Entry) -> Iterator[Route]:
    path = _CONVERTER.sub(r"{\1}", entry.path)
    typed = tuple(Parameter(m[2], KINDS.get(m[1], "text")) for m in CONVERTED.finditer(entry.path))
    bare = Route(path=path, where=f"{entry.module.path}:{entry.line}", typed=typed, sure=False)
    found = find_view(modules, entry.module, entry.view) if entry.view is not None else None
    if found is None:
        yield bare
        return
    methods = methods_of(found[1])
    unique = unique_names(project)
    for method in methods or ("GET",):
        asked = asked_of_view(project, modules, *found, path, method, unique)
        yield msgspec.structs.replace(
            bare,
            method=method,
            needs=asked.needs,
            form=asked.form,
            lacks=asked.lacks,
            sure=bool(methods),
        )


def _start(project: Project, wsgi: str | None, asgi: str | None) -> Start:
    packages = project.packages
    bind = ("--bind", "127.0.0.1:{port}", "--workers", "{workers}")
    listen = ("--host", "127.0.0.1", "--port", "{port}", "--workers", "{workers}")
    if wsgi and "gunicorn" in packages:
        return Start(("gunicorn", *bind, f"{wsgi}:application"))
    if asgi and packages & {"uvicorn", "uvicorn[standard]"}:
        return Start(("uvicorn", *listen, f"{asgi}:application"))
    if "granian" in packages and (wsgi or asgi):
        interface = "asgi" if asgi else "wsgi"
        return Start(("granian", "--interface", interface, *listen, f"{asgi or wsgi}:application"))
    return Start(
        ("python", "manage.py", "runserver", "--noreload", "127.0.0.1:{port}"),
        (
            "check this: Django's development server, because no other is among the packages;",
            "what you measure with it is not what production does (gunicorn, granian, uvicorn)",
        ),
    )


def _routes(modules: Mapping[str, Module]) -> Iterator[_Entry]:
    root = _root_urls(modules)
    if root is not None:
        yield from _of_module(modules, root, "/", 0)


def _root_urls(modules: Mapping[str, Module]) -> Module | None:
    for module in modules.values():
        for name, value in assignments(module.tree):
            if name == "ROOT_URLCONF" and (found := modules.get(text_of(value) or "")):
                return found
    urls = [m for m in modules.values() if m.name.rpartition(".")[2] == "urls"]
    return min(urls, key=lambda m: len(PurePosixPath(m.path).parts), default=None)


def _of_module(
    modules: Mapping[str, Module], module: Module, prefix: str, depth: int
) -> Iterator[_Entry]:
    for name, value in assignments(module.tree):
        if name == "urlpatterns":
            yield from _of_list(modules, module, value, prefix, depth)


def _of_list(
    modules: Mapping[str, Module], module: Module, value: ast.expr, prefix: str, depth: int
) -> Iterator[_Entry]:
    if depth > _DEPTH_MAX:
        return
    if isinstance(value, ast.BinOp):  # urlpatterns = [...] + [...]
        yield from _of_list(modules, module, value.left, prefix, depth)
        yield from _of_list(modules, module, value.right, prefix, depth)
    if not isinstance(value, ast.List | ast.Tuple):
        return
    for entry in value.elts:
        if call_name(entry) != "path" or not isinstance(entry, ast.Call) or len(entry.args) < 2:
            continue  # re_path and the like: a pattern, not a path
        route = text_of(entry.args[0])
        if route is None:
            continue
        whole = prefix + route
        view = entry.args[1]
        if call_name(view) == "include" and isinstance(view, ast.Call) and view.args:
            yield from _included(modules, module, view.args[0], whole, depth + 1)
        elif not ast.unparse(view).startswith("admin."):
            yield _Entry(whole, module, entry.lineno, view)


def _included(
    modules: Mapping[str, Module], module: Module, target: ast.expr, prefix: str, depth: int
) -> Iterator[_Entry]:
    if isinstance(target, ast.Tuple) and target.elts:  # include((patterns, namespace))
        target = target.elts[0]
    name = text_of(target)
    if name is not None and name in modules:
        yield from _of_module(modules, modules[name], prefix, depth)
    elif isinstance(target, ast.List):
        yield from _of_list(modules, module, target, prefix, depth)
    elif isinstance(target, ast.Name):
        for local, value in assignments(module.tree):
            if local == target.id:
                yield from _of_list(modules, module, value, prefix, depth)
        symbol = resolve(modules, module, target)
        if symbol is not None and not symbol[1] and symbol[0] in modules:
            yield from _of_module(modules, modules[symbol[0]], prefix, depth)
    elif isinstance(target, ast.Attribute) and target.attr == "urls":
        # A router of Django REST framework: router.register("items", ItemViewSet)
        for node in ast.walk(module.tree):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "register"
                and ast.dump(node.func.value) == ast.dump(target.value)
                and node.args
                and (registered := text_of(node.args[0])) is not None
            ):
                yield _Entry(f"{prefix}{registered}/", module, node.lineno)
