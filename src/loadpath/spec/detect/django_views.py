"""Django views: which methods one answers, and what it asks of a request."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import TypeAlias
from urllib.parse import urlencode

from loadpath.spec.detect.examples import find_class, lineage, text_example
from loadpath.spec.detect.fastapi import Asked
from loadpath.spec.detect.found import ParameterKind
from loadpath.spec.detect.project import Project
from loadpath.spec.detect.python_code import (
    Module,
    assignments,
    call_name,
    keyword,
    last_name,
    resolve,
    text_of,
)
from loadpath.spec.detect.reads import asked_by_reading

View: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef

CONVERTED = re.compile(r"<(\w+):(\w+)>")
KINDS: dict[str, ParameterKind] = {"int": "whole", "uuid": "other", "str": "text", "slug": "text"}

_METHODS = ("get", "post", "put", "patch", "delete")
# By the names of their bases: what Django's and REST framework's generic views answer.
_GENERIC = (
    (r"(?:List|Retrieve)\w*Create\w*|FormView|CreateView|UpdateView|LoginView", ("GET", "POST")),
    (r"CreateAPIView", ("POST",)),
    (r"\w*(?:List|Detail|Retrieve|Template|Archive)\w*View", ("GET",)),
    (r"RedirectView", ("GET",)),
)
_FIELD_VALUES = (
    # (what a field's class ends in, an example; None: by its name)
    (r"(?:Email|Char|Text|Slug)\w*", None),
    (r"(?:Integer|AutoField|ForeignKey|Decimal|Float|PrimaryKeyRelated|ModelChoice)\w*", "1"),
    (r"DateTime\w*", "2026-01-01 12:00:00"),
    (r"Date\w*", "2026-01-01"),
    (r"URL\w*", "https://example.com/"),
)
_TEXT_OPTIONAL = ("default", "blank", "auto_now", "auto_now_add", "read_only", "primary_key")


def find_view(
    modules: Mapping[str, Module], module: Module, view: ast.expr
) -> tuple[Module, View] | None:
    """The function or class behind the second argument of path(), also through as_view()."""
    target = view
    while isinstance(target, ast.Call):
        called = target.func
        as_view = isinstance(called, ast.Attribute) and called.attr == "as_view"
        if as_view and isinstance(called, ast.Attribute):
            target = called.value
        elif target.args:  # csrf_exempt(view), cache_page(60)(view)
            target = target.args[0]
        else:
            return None
    symbol = resolve(modules, module, target)
    owner = modules.get(symbol[0]) if symbol else None
    if owner is None or symbol is None:
        return None
    for node in owner.tree.body:
        if isinstance(node, View) and node.name == symbol[1]:
            return owner, node
    return None


def methods_of(view: View) -> tuple[str, ...]:
    """The methods that a view answers; empty: it does not say."""
    if isinstance(view, ast.ClassDef):
        own = [n.name for n in view.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
        if found := tuple(m.upper() for m in _METHODS if m in own):
            return found
        for pattern, methods in _GENERIC:
            if any(re.fullmatch(pattern, last_name(base)) for base in view.bases):
                return methods
        return ()
    for decorator in view.decorator_list:
        name = last_name(decorator.func if isinstance(decorator, ast.Call) else decorator)
        if name in ("require_GET", "require_safe"):
            return ("GET",)
        if name == "require_POST":
            return ("POST",)
        if isinstance(decorator, ast.Call) and name in ("require_http_methods", "api_view"):
            listed = decorator.args[0] if decorator.args else None
            if isinstance(listed, ast.List | ast.Tuple):
                named = [(text_of(m) or "").upper() for m in listed.elts]
                return tuple(m for m in named if m.lower() in _METHODS)
    return ()


def asked_of_view(
    project: Project,
    modules: Mapping[str, Module],
    module: Module,
    view: View,
    path: str,
    method: str,
    unique: frozenset[str],
) -> Asked:
    """What a request for `path` must bring to a view."""
    part: ast.AST = view
    if isinstance(view, ast.ClassDef):
        own = (n for n in view.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
        part = next((n for n in own if n.name == method.lower()), view)
    read = asked_by_reading(part, path, method)
    guarded = asked_by_reading(view, path, "GET").lacks if part is not view else ()
    lacks = [*read.lacks, *guarded]
    form = ""
    if method != "GET":
        if _checks_csrf(project, view):
            lacks.append("Django's CSRF token: a flow gets the form first, then sends it")
        fields = _form_fields(modules, module, part, unique)
        if fields is not None:
            form = urlencode(fields, safe="{}")
        elif not read.lacks and method != "DELETE":
            lacks.append("its body, if it has one")
    body = "" if form else read.body
    return Asked(needs=read.needs, body=body, form=form, lacks=tuple(dict.fromkeys(lacks)))


def _checks_csrf(project: Project, view: View) -> bool:
    exempt = any("csrf_exempt" in ast.unparse(d) for d in view.decorator_list)
    rest = any("api_view" in ast.unparse(d) for d in view.decorator_list) or (
        isinstance(view, ast.ClassDef) and any("API" in last_name(b) for b in view.bases)
    )
    checked = any("CsrfViewMiddleware" in text for _, text in project.texts(".py"))
    return checked and not exempt and not rest


def _form_fields(
    modules: Mapping[str, Module], module: Module, part: ast.AST, unique: frozenset[str]
) -> dict[str, str] | None:
    """Name and example of each field of the form or serializer that reads what was sent; None when
    there is none or one of its fields is of an unknown kind."""
    for call in ast.walk(part):
        if not isinstance(call, ast.Call):
            continue
        sent = [*call.args, keyword(call, "data")]
        if not any(n and ast.unparse(n) in ("request.POST", "request.data") for n in sent):
            continue
        found = find_class(modules, module, call.func)
        if found is not None:
            return _fields_of(modules, *found, unique)
    return None


def _fields_of(
    modules: Mapping[str, Module], module: Module, node: ast.ClassDef, unique: frozenset[str]
) -> dict[str, str] | None:
    declared: dict[str, ast.expr] = {}
    meta: ast.ClassDef | None = None
    for _, each in lineage(modules, module, node):
        declared |= {n: v for n, v in _own(each) if isinstance(v, ast.Call)}
        meta = next((n for n in each.body if isinstance(n, ast.ClassDef)), meta)
    wanted = list(declared)
    if meta is not None:
        settings = dict(assignments(meta))
        listed = settings.get("fields")
        if not isinstance(listed, ast.List | ast.Tuple):
            return None  # all of them, or all but some: a guess would be wrong too often
        wanted = [t for n in listed.elts if (t := text_of(n))]
        model = settings.get("model")
        if model is not None and (found := find_class(modules, module, model)):
            for _, each in lineage(modules, *found):
                declared = {**dict(_own(each)), **declared}
    made: dict[str, str] = {}
    for name in wanted:
        field = declared.get(name)
        if name in ("id", "pk") or (isinstance(field, ast.Call) and _may_be_left_out(field)):
            continue
        value = _field_example(name, field, unique)
        if value is None:
            return None
        made[name] = value
    return made


def _own(node: ast.ClassDef) -> list[tuple[str, ast.expr]]:
    return [
        (target.id, n.value)
        for n in node.body
        if isinstance(n, ast.Assign)
        for target in n.targets
        if isinstance(target, ast.Name)
    ]


def _may_be_left_out(field: ast.Call) -> bool:
    required = keyword(field, "required")
    if isinstance(required, ast.Constant) and required.value is False:
        return True
    for name in _TEXT_OPTIONAL:
        value = keyword(field, name)
        if value is not None and not (isinstance(value, ast.Constant) and value.value is False):
            return True
    return False


def _field_example(name: str, field: ast.expr | None, unique: frozenset[str]) -> str | None:
    if not isinstance(field, ast.Call) or keyword(field, "choices"):
        return None
    for pattern, value in _FIELD_VALUES:
        if re.fullmatch(pattern, call_name(field)):
            return text_example(name, unique) if value is None else value
    return None
