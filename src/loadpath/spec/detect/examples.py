"""Example values for what a request must bring, from the types that the code declares.

An example that has to be different in every request holds a {field} named after itself.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping

from loadpath.spec.detect.found import ParameterKind
from loadpath.spec.detect.project import Project
from loadpath.spec.detect.python_code import (
    Module,
    assignments,
    call_name,
    keyword,
    last_name,
    resolve,
)

Value = str | int | float | bool | None | list["Value"] | dict[str, "Value"]

TEXT = "example"
AUTHENTICATION = re.compile(
    r"auth|login|logged|jwt|token|permission|current_?user|require_?user|credential|bearer|session_?user"
    r"|api_?key|admin_only|is_?admin",
    re.IGNORECASE,
)
LOGIN = "a user who is logged in (say, headers = { Authorization = … }, or a flow that logs in)"

_KINDS: dict[str, ParameterKind] = {
    **dict.fromkeys(("int", "PositiveInt", "NonNegativeInt", "conint"), "whole"),
    **dict.fromkeys(("float", "Decimal", "PositiveFloat", "confloat"), "number"),
    "bool": "flag",
    "str": "text",
    **dict.fromkeys(("UUID", "UUID4", "date", "datetime", "time"), "other"),
}
_WRITTEN: dict[str, Value] = {
    "EmailStr": "somebody@example.com",
    "HttpUrl": "https://example.com/",
    "AnyHttpUrl": "https://example.com/",
    "AnyUrl": "https://example.com/",
    "datetime": "2026-01-01T12:00:00Z",
    "date": "2026-01-01",
    "time": "12:00:00",
    "dict": {},
    "Dict": {},
    "Any": TEXT,
}
_LISTS = ("list", "List", "set", "Set", "Sequence", "tuple", "frozenset")
_ALWAYS_UNIQUE = {"email", "username", "user_name", "login", "slug", "sku", "handle"}
_UNIQUE = re.compile(
    r"^\s*(\w+)\s*(?::[^=\n]+)?=\s*[\w.]+\([^\n]*\bunique\s*=\s*True|"
    r"^\s*[\"'](\w+)[\"'][^\n]*\bunique\s*=\s*True",
    re.MULTILINE,
)
_DEPTH_MAX = 6


class UnknownExampleError(Exception):
    """No example can be made; the text names what of."""


def kind_of(annotation: ast.expr | None) -> ParameterKind:
    """What kind of value a parameter of this type takes in a path or a query."""
    return _KINDS.get(last_name(annotation), "unknown") if annotation is not None else "unknown"


def unique_names(project: Project) -> frozenset[str]:
    """Names of columns that must be different in every row, and of those that usually are."""
    found = {m[1] or m[2] for _, text in project.texts(".py") for m in _UNIQUE.finditer(text)}
    return frozenset(found | _ALWAYS_UNIQUE)


def text_example(name: str, unique: frozenset[str]) -> str:
    """An example for a text of this name."""
    number = f"-{{{name}}}" if name in unique else ""
    return f"somebody{number}@example.com" if "email" in name else f"{TEXT}{number}"


def unwrapped(
    modules: Mapping[str, Module], module: Module, annotation: ast.expr | None
) -> tuple[ast.expr | None, tuple[ast.expr, ...]]:
    """The type inside `Annotated[type, …]`, also behind a name for it, and what it is annotated
    with."""
    if isinstance(annotation, ast.Name | ast.Attribute):
        symbol = resolve(modules, module, annotation)
        owner = modules.get(symbol[0]) if symbol else None
        for name, value in assignments(owner.tree) if owner and symbol else []:
            if name == symbol[1] and _is_generic(value, "Annotated"):  # type: ignore[index]
                return unwrapped(modules, module, value)
    if isinstance(annotation, ast.Subscript) and _is_generic(annotation, "Annotated"):
        inside = annotation.slice
        if isinstance(inside, ast.Tuple) and inside.elts:
            return inside.elts[0], tuple(inside.elts[1:])
    return annotation, ()


def find_class(
    modules: Mapping[str, Module], module: Module, node: ast.expr | None
) -> tuple[Module, ast.ClassDef] | None:
    """The class of the project that an expression names, and where it is."""
    symbol = resolve(modules, module, node) if node is not None else None
    owner = modules.get(symbol[0]) if symbol else None
    if owner is None or symbol is None:
        return None
    classes = (n for n in owner.tree.body if isinstance(n, ast.ClassDef))
    return next(((owner, c) for c in classes if c.name == symbol[1]), None)


def lineage(
    modules: Mapping[str, Module], module: Module, node: ast.ClassDef, depth: int = 0
) -> Iterator[tuple[Module, ast.ClassDef]]:
    """The classes of the project that a class is made of, the most general first."""
    if depth < _DEPTH_MAX:
        for base in node.bases:
            found = find_class(modules, module, base)
            if found is not None and found[1] is not node:
                yield from lineage(modules, *found, depth + 1)
    yield module, node


def is_model(modules: Mapping[str, Module], module: Module, node: ast.ClassDef) -> bool:
    """Whether it is a pydantic model that is no settings class, or one of SQLModel."""
    return any(
        last_name(base) in ("BaseModel", "SQLModel", "Struct")
        for _, each in lineage(modules, module, node)
        for base in each.bases
    )


def model_example(
    modules: Mapping[str, Module],
    module: Module,
    node: ast.ClassDef,
    unique: frozenset[str],
    depth: int = 0,
) -> dict[str, Value]:
    """What a model demands, as JSON. Raises `UnknownExampleError`."""
    made: dict[str, Value] = {}
    for owner, each in lineage(modules, module, node):
        for field in each.body:
            if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
                continue
            name = field.target.id
            made.pop(name, None)
            kind, notes = unwrapped(modules, owner, field.annotation)
            if last_name(kind) == "ClassVar" if kind else True:
                continue
            settings = [n for n in (field.value, *notes) if isinstance(n, ast.Call)]
            if not is_required(field.value, settings):
                continue
            alias = next((a for s in settings if (a := _alias(s))), name)
            made[alias] = _example(modules, owner, kind, name, settings, unique, depth)
    return made


def is_required(default: ast.expr | None, settings: list[ast.Call]) -> bool:
    """Whether a field or parameter has no default. `settings` are its Field(…), Query(…), …"""
    if default is not None and not isinstance(default, ast.Call):
        return isinstance(default, ast.Constant) and default.value is ...
    for call in settings:
        if keyword(call, "default_factory") or keyword(call, "default"):
            return False
        if call is default and call.args:
            first = call.args[0]
            return isinstance(first, ast.Constant) and first.value is ...
    return True


def _example(
    modules: Mapping[str, Module],
    module: Module,
    kind: ast.expr | None,
    name: str,
    settings: list[ast.Call],
    unique: frozenset[str],
    depth: int,
) -> Value:
    if depth > _DEPTH_MAX or kind is None:
        raise UnknownExampleError(name)
    kind = _alternatives(kind) or kind
    if isinstance(kind, ast.Subscript):
        return _of_generic(modules, module, kind, name, unique, depth)
    if any(keyword(s, "pattern") or keyword(s, "regex") for s in settings):
        raise UnknownExampleError(name)
    word = last_name(kind)
    if word in ("str", "EmailStr"):
        return _sized(text_example("email" if word == "EmailStr" else name, unique), settings)
    if _KINDS.get(word) in ("whole", "number"):
        return _bounded(settings)
    if word == "bool":
        return True
    if word in _WRITTEN:
        return _WRITTEN[word]
    found = find_class(modules, module, kind)
    if found is not None and is_model(modules, *found):
        return dict(model_example(modules, *found, unique, depth + 1))
    if found is not None and any("Enum" in last_name(b) for b in found[1].bases):
        for _, value in assignments(found[1]):
            if isinstance(value, ast.Constant) and isinstance(value.value, str | int):
                return value.value
    raise UnknownExampleError(name)


def _of_generic(
    modules: Mapping[str, Module],
    module: Module,
    kind: ast.Subscript,
    name: str,
    unique: frozenset[str],
    depth: int,
) -> Value:
    outer, inner = last_name(kind.value), kind.slice
    if outer == "Literal":
        first = inner.elts[0] if isinstance(inner, ast.Tuple) and inner.elts else inner
        if isinstance(first, ast.Constant) and isinstance(first.value, str | int):
            return first.value
    if outer in _LISTS:
        element = inner.elts[0] if isinstance(inner, ast.Tuple) and inner.elts else inner
        of, notes = unwrapped(modules, module, element)
        calls = [n for n in notes if isinstance(n, ast.Call)]
        return [_example(modules, module, of, name, calls, unique, depth + 1)]
    if outer in ("dict", "Dict", "Mapping"):
        return {}
    raise UnknownExampleError(name)


def _alternatives(kind: ast.expr) -> ast.expr | None:
    """The first of `A | B`, of Union[A, B] and Optional[A]; None: it is none of these."""
    if isinstance(kind, ast.BinOp) and isinstance(kind.op, ast.BitOr):
        return _alternatives(kind.left) or kind.left
    if _is_generic(kind, "Union") and isinstance(kind, ast.Subscript):
        return kind.slice.elts[0] if isinstance(kind.slice, ast.Tuple) else kind.slice
    if _is_generic(kind, "Optional") and isinstance(kind, ast.Subscript):
        return kind.slice
    return None


def _is_generic(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Subscript) and last_name(node.value) == name


def _sized(text: str, settings: list[ast.Call]) -> str:
    for call in settings:
        least, most = _number(call, "min_length"), _number(call, "max_length")
        if least is not None and len(text) < least:
            text += "e" * int(least - len(text))
        if most is not None and "{" not in text:
            text = text[: int(most)]
    return text


def _bounded(settings: list[ast.Call]) -> int:
    value = 1.0
    for call in settings:
        if (least := _number(call, "ge")) is not None:
            value = max(value, least)
        if (above := _number(call, "gt")) is not None:
            value = max(value, above + 1)
        if (most := _number(call, "le")) is not None:
            value = min(value, most)
        if (below := _number(call, "lt")) is not None:
            value = min(value, below - 1)
    return int(value)


def _number(call: ast.Call, name: str) -> float | None:
    value = keyword(call, name)
    if isinstance(value, ast.Constant) and isinstance(value.value, int | float):
        return float(value.value)
    return None


def _alias(call: ast.Call) -> str | None:
    value = keyword(call, "alias") if call_name(call) == "Field" else None
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else None
