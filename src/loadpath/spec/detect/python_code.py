"""Python sources as trees: modules by name, and what a name in one of them stands for."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import TypeAlias

import msgspec

from loadpath.spec.detect.project import Project

Symbol: TypeAlias = tuple[str, str]
"""A module and a name in it."""

_RE_EXPORTS_MAX = 5


class Module(msgspec.Struct, frozen=True):
    """A parsed file. `imports` maps local names to a module and, for a name of it, that name."""

    name: str
    path: str
    tree: ast.Module
    imports: dict[str, tuple[str, str | None]]


def parse_modules(project: Project) -> dict[str, Module]:
    """Every Python file that parses, by its dotted name; a `src` folder is not part of names."""
    modules: dict[str, Module] = {}
    for path, text in project.texts(".py"):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = ast.parse(text)
        except (SyntaxError, ValueError):
            # A template, or Python 2: nothing that could be served from here.
            continue
        parts = list(PurePosixPath(path).with_suffix("").parts)
        if parts[0] == "src" and "src/__init__.py" not in project.sources and len(parts) > 1:
            parts = parts[1:]
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        package = name if is_package else ".".join(parts[:-1])
        modules[name] = Module(name, path, tree, _imports(tree, package))
    return modules


def resolve(modules: Mapping[str, Module], module: Module, node: ast.expr) -> Symbol | None:
    """What an expression names: a variable of a module, or (module, "") for a module itself."""
    if isinstance(node, ast.Name):
        if node.id not in module.imports:
            return module.name, node.id
        source, name = module.imports[node.id]
        return _followed(modules, source, name)
    if isinstance(node, ast.Attribute):
        base = resolve(modules, module, node.value)
        if base is None or base[1]:
            return None
        return _followed(modules, base[0], node.attr)
    return None


def call_name(node: ast.expr) -> str:
    """The last name of what is called: `FastAPI` of `fastapi.FastAPI(…)`; empty: it is no call."""
    if not isinstance(node, ast.Call):
        return ""
    return last_name(node.func)


def last_name(node: ast.expr) -> str:
    """`c` of `a.b.c`."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    """The value of a keyword argument, or None."""
    return next((k.value for k in call.keywords if k.arg == name), None)


def text_of(node: ast.expr | None) -> str | None:
    """The string that an expression is, or None."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return None


def assignments(tree: ast.AST) -> list[tuple[str, ast.expr]]:
    """Every `name = value`, annotated or not, anywhere in a tree."""
    found: list[tuple[str, ast.expr]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            found += [(t.id, node.value) for t in node.targets if isinstance(t, ast.Name)]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            found.append((node.target.id, node.value))
    return found


def _imports(tree: ast.Module, package: str) -> dict[str, tuple[str, str | None]]:
    found: dict[str, tuple[str, str | None]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.asname:
                    found[alias.asname] = (alias.name, None)
                else:
                    first = alias.name.partition(".")[0]
                    found[first] = (first, None)
        elif isinstance(node, ast.ImportFrom):
            source = node.module or ""
            if node.level:
                parents = package.split(".") if package else []
                parents = parents[: len(parents) - (node.level - 1)]
                source = ".".join([*parents, source] if source else parents)
            for alias in node.names:
                found[alias.asname or alias.name] = (source, alias.name)
    return found


def _followed(modules: Mapping[str, Module], source: str, name: str | None) -> Symbol:
    """Through re-exports to where a name is made."""
    for _ in range(_RE_EXPORTS_MAX):
        if name is None:
            return source, ""
        whole = f"{source}.{name}" if source else name
        module = modules.get(source)
        # `from package import module` in the package itself names the module, not a re-export.
        if module is not None and module.imports.get(name, (source, name)) != (source, name):
            source, name = module.imports[name]
        elif whole in modules or module is None:
            # A module of the project, or a package on the way to one.
            return (whole, "") if _is_prefix(modules, whole) else (source, name)
        else:
            return source, name
    return source, name or ""


def _is_prefix(modules: Mapping[str, Module], name: str) -> bool:
    return any(m == name or m.startswith(f"{name}.") for m in modules)
