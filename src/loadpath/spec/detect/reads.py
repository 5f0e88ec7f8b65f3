"""What a Flask or Django view reads of a request, where no type declares it."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Iterator

from loadpath.spec.detect.examples import AUTHENTICATION, LOGIN, TEXT
from loadpath.spec.detect.fastapi import Asked
from loadpath.spec.detect.found import Parameter, ParameterKind, is_id_name
from loadpath.spec.detect.python_code import call_name, last_name, text_of

SEARCHES = ("q", "query", "search", "term", "terms", "keyword", "keywords", "s")
"""What a search is asked with, by its usual names."""

_QUERIES = ("args", "GET", "query_params")
_BODIES = ("json", "form", "POST", "data", "get_json")
_CONVERTED: dict[str, ParameterKind] = {"int": "whole", "float": "number"}


def asked_by_reading(view: ast.AST, path: str, method: str) -> Asked:
    """What a request for `path` must bring, as far as the code that reads it tells."""
    lacks = [LOGIN] if _is_guarded(view) else []
    body = ""
    needs = {name: kind for name, kind, _ in _query(view, only_required=True)}
    if "search" in path:
        for name, kind, _ in _query(view, only_required=False):
            if name in SEARCHES:
                needs.setdefault(name, kind)
    if method != "GET" and (names := list(dict.fromkeys(_body(view)))):
        lacks.append(f"a look at its body: the code reads {', '.join(names)} from it")
        body = guessed_body(names)
    return Asked(
        needs=tuple(Parameter(n, k) for n, k in sorted(needs.items())),
        body=body,
        lacks=tuple(lacks),
    )


def guessed_body(names: Iterable[str]) -> str:
    """A JSON body of which only the names are known."""
    return json.dumps({name: 1 if is_id_name(name) else TEXT for name in names})


def _query(view: ast.AST, *, only_required: bool) -> Iterator[tuple[str, ParameterKind, ast.expr]]:
    converted = {
        id(node.args[0]): _CONVERTED[call_name(node)]
        for node in ast.walk(view)
        if isinstance(node, ast.Call) and call_name(node) in _CONVERTED and node.args
    }
    for node in ast.walk(view):
        if isinstance(node, ast.Subscript) and _is_of_request(node.value, _QUERIES):
            name = text_of(node.slice)
            if name:
                yield name, converted.get(id(node), "text"), node
        elif not only_required and (name := _got(node, _QUERIES)):
            assert isinstance(node, ast.Call)
            yield name, "text", node


def _body(view: ast.AST) -> Iterator[str]:
    """Names that are looked up in what was sent."""
    holders = {
        target.id
        for node in ast.walk(view)
        if isinstance(node, ast.Assign) and _reads_body(node.value)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in sorted(_expressions(view), key=lambda n: (n.lineno, n.col_offset)):
        if isinstance(node, ast.Subscript):
            sent = node.value
            name = text_of(node.slice)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            sent = node.func.value
            name = text_of(node.args[0]) if node.func.attr == "get" and node.args else None
        else:
            continue
        if name and (_reads_body(sent) or (isinstance(sent, ast.Name) and sent.id in holders)):
            yield name


def _expressions(view: ast.AST) -> Iterator[ast.expr]:
    return (node for node in ast.walk(view) if isinstance(node, ast.expr))


def _reads_body(node: ast.expr) -> bool:
    if isinstance(node, ast.Call) and last_name(node.func) == "loads" and node.args:
        return any(
            isinstance(n, ast.Attribute) and n.attr in ("body", "data")
            for n in ast.walk(node.args[0])
        )
    target = node.func if isinstance(node, ast.Call) else node
    return _is_of_request(target, _BODIES)


def _got(node: ast.AST, holders: tuple[str, ...]) -> str | None:
    """The name in `request.args.get("name")`."""
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "get"
        and node.args
        and _is_of_request(node.func.value, holders)
    ):
        return text_of(node.args[0])
    return None


def _is_of_request(node: ast.expr, names: tuple[str, ...]) -> bool:
    return (
        isinstance(node, ast.Attribute)
        and node.attr in names
        and last_name(node.value) == "request"
    )


def _is_guarded(view: ast.AST) -> bool:
    decorators = getattr(view, "decorator_list", [])
    bases = getattr(view, "bases", [])
    named = [d.func if isinstance(d, ast.Call) else d for d in decorators] + list(bases)
    return any(
        AUTHENTICATION.search(ast.unparse(each))
        or ast.unparse(each).endswith(("LoginRequiredMixin", "UserPassesTestMixin"))
        for each in named
    )
