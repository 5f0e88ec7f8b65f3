"""What a FastAPI function asks of a request: by its signature, as FastAPI itself reads it."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping
from typing import TypeAlias

import msgspec

from loadpath.spec.detect.examples import (
    AUTHENTICATION,
    LOGIN,
    UnknownExampleError,
    find_class,
    is_model,
    is_required,
    kind_of,
    model_example,
    unwrapped,
)
from loadpath.spec.detect.found import Parameter
from loadpath.spec.detect.python_code import Module, call_name, last_name

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef

_BODIES = ("POST", "PUT", "PATCH")


class Asked(msgspec.Struct, frozen=True):
    """What a function asks of a request, as a `Route` has it."""

    typed: tuple[Parameter, ...] = ()
    needs: tuple[Parameter, ...] = ()
    body: str = ""
    form: str = ""
    lacks: tuple[str, ...] = ()


def asked_by_signature(
    modules: Mapping[str, Module],
    module: Module,
    function: Function,
    decorator: ast.Call,
    path: str,
    method: str,
    unique: frozenset[str],
) -> Asked:
    """What a request for `path` must bring to this function."""
    typed, needs, bodies, lacks = [], [], {}, []
    if any(k.arg == "dependencies" and _guards(k.value) for k in decorator.keywords):
        lacks.append(LOGIN)
    for name, annotation, default in _parameters(function):
        kind, notes = unwrapped(modules, module, annotation)
        calls = [n for n in (default, *notes) if isinstance(n, ast.Call)]
        called = {call_name(c) for c in calls}
        if called & {"Depends", "Security"}:
            if any(_guards(c) for c in calls):
                lacks.append(LOGIN)
        elif f"{{{name}}}" in path:
            typed.append(Parameter(name, kind_of(kind)))
        elif called & {"Header", "Cookie", "Form", "File"} or last_name_of(kind) == "UploadFile":
            if is_required(default, calls):
                lacks.append(f"{name}, which is no part of a JSON body or the query")
        elif (found := find_class(modules, module, kind)) and is_model(modules, *found):
            if method in _BODIES and is_required(default, calls):
                try:
                    bodies[name] = model_example(modules, *found, unique)
                except UnknownExampleError as unknown:
                    lacks.append(f"a value for {unknown} of its body ({found[1].name})")
        elif last_name_of(kind) == "Request" and method in _BODIES:
            lacks.append("its body, which the code reads by itself")
        elif is_required(default, calls) and kind_of(kind) != "unknown":
            if "Body" in called:
                lacks.append(f"{name}, a part of its body")
            else:
                needs.append(Parameter(name, kind_of(kind)))
    body = next(iter(bodies.values())) if len(bodies) == 1 else bodies
    return Asked(
        tuple(typed),
        tuple(needs),
        json.dumps(body) if bodies else "",
        "",
        tuple(dict.fromkeys(lacks)),
    )


def last_name_of(node: ast.expr | None) -> str:
    """The last name of an expression; empty when there is none."""
    return last_name(node) if node is not None else ""


def _parameters(function: Function) -> Iterator[tuple[str, ast.expr | None, ast.expr | None]]:
    """Name, type and default of every parameter."""
    given = function.args
    positional = [*given.posonlyargs, *given.args]
    missing = len(positional) - len(given.defaults)
    for place, each in enumerate(positional):
        yield (
            each.arg,
            each.annotation,
            given.defaults[place - missing] if place >= missing else None,
        )
    for each, default in zip(given.kwonlyargs, given.kw_defaults, strict=True):
        yield each.arg, each.annotation, default


def _guards(node: ast.expr) -> bool:
    """Whether it asks who somebody is, as far as its names tell."""
    return any(
        AUTHENTICATION.search(inner.id if isinstance(inner, ast.Name) else inner.attr)
        for inner in ast.walk(node)
        if isinstance(inner, ast.Name | ast.Attribute)
    ) or any(isinstance(i, ast.Name) and i.id == "Security" for i in ast.walk(node))
