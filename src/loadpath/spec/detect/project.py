"""Reads a folder: its source files, the packages it asks for, the variables it looks up."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from loadpath.errors import ConfigurationError

# Where there is no source of the service, or far too much of somebody else's.
SKIPPED = frozenset(
    (
        *("node_modules", "venv", "env", "site-packages", "vendor", "__pycache__"),
        *("build", "dist", "target", "coverage", "static", "docs"),
        *("migrations", "tests", "test", "__tests__"),
    )
)
FILES_MAX = 2000
FILE_BYTES_MAX = 1_000_000
_SAMPLE_ENV = (".env.example", ".env.sample", ".env.template", ".env.dist", "env.example")

_PYTHON_LOOKUPS = (
    # (what looks a variable up, whether it is required there)
    (r"""environ\[\s*["'](\w+)["']\s*\]""", True),
    (r"""(?:environ\.get|getenv)\(\s*["'](\w+)["']\s*\)""", False),
    (r"""(?:environ\.get|getenv)\(\s*["'](\w+)["']\s*,\s*(?:["']([^"']*)["'])?""", False),
    # django-environ and python-decouple
    (r"""\b(?:env|config)(?:\.\w+)?\(\s*["']([A-Z]\w+)["']\s*\)""", True),
    (
        r"""\b(?:env|config)(?:\.\w+)?\(\s*["']([A-Z]\w+)["']\s*,\s*(?:default\s*=\s*["']([^"']*)["'])?""",
        False,
    ),
)
_NODE_LOOKUPS = (
    (r"""process\.env\.(\w+)(?:\s*(?:\|\||\?\?)\s*["'`]([^"'`]*)["'`])?""", False),
    (r"""process\.env\[\s*["'](\w+)["']\s*\]""", False),
)


class Variable(msgspec.Struct, frozen=True):
    """An environment variable that the code looks up.

    `sample` is a default or an example value, if one is written down; `required` means that the
    code has no default for it.
    """

    name: str
    sample: str | None
    required: bool


class Project(msgspec.Struct, frozen=True):
    """A folder as read. `sources` maps paths relative to it to text; `packages` are normalized."""

    directory: Path
    sources: dict[str, str]
    packages: frozenset[str]
    node: dict[str, Any] | None
    variables: dict[str, Variable]

    def texts(self, *suffixes: str) -> Iterator[tuple[str, str]]:
        """Path and text of the sources with one of these suffixes."""
        return ((p, t) for p, t in self.sources.items() if p.endswith(suffixes))


def read_project(directory: Path) -> Project:
    """Read a folder. Raises `ConfigurationError` when there is none or nothing in it."""
    if not directory.is_dir():
        raise ConfigurationError(
            f"{directory} is no folder", advice="Name the folder that holds the service's code."
        )
    sources = {str(p.relative_to(directory)): t for p, t in _sources(directory)}
    node = _node(directory)
    if not sources and node is None:
        raise ConfigurationError(
            f"there is no source code in {directory}",
            advice="Run it in the folder of the service; every key that a loadpath.toml written by "
            "hand may have is in docs/reference/service-file.md.",
        )
    packages = _python_packages(directory)
    if node is not None:
        packages |= {*_table(node, "dependencies"), *_table(node, "devDependencies")}
    return Project(directory, sources, frozenset(packages), node, _variables(directory, sources))


def _sources(directory: Path) -> Iterator[tuple[Path, str]]:
    found = 0
    for folder, folders, files in os.walk(directory):
        folders[:] = sorted(f for f in folders if f not in SKIPPED and not f.startswith("."))
        for name in sorted(files):
            path = Path(folder, name)
            if path.suffix not in (".py", ".js", ".mjs", ".cjs", ".ts", ".prisma"):
                continue
            text = _text(path)
            if text is not None:
                yield path, text
                found += 1
            if found >= FILES_MAX:
                return


def _text(path: Path) -> str | None:
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            return None
        return path.read_text("utf-8", "replace")
    except OSError:
        # A broken link or a file of another user: what cannot be read tells nothing.
        return None


def _python_packages(directory: Path) -> set[str]:
    lines: list[str] = []
    for file in (*directory.glob("*requirements*.txt"), *directory.glob("requirements/*.txt")):
        lines += (_text(file) or "").splitlines()
    document = _toml(directory / "pyproject.toml")
    project = _table(document, "project")
    lines += _strings(project.get("dependencies"))
    for group in (
        *_table(project, "optional-dependencies").values(),
        *_table(document, "dependency-groups").values(),
    ):
        lines += _strings(group)
    lines += _table(_table(_table(document, "tool"), "poetry"), "dependencies")
    lines += _table(_toml(directory / "Pipfile"), "packages")
    names = set()
    for line in lines:
        if found := re.match(r"\s*([A-Za-z0-9][\w.-]*)\s*(\[[^\]]*\])?", line):
            name = re.sub(r"[-_.]+", "-", found[1]).lower()
            names.add(name)
            # `fastapi[standard]`, `celery[redis]`: the extra tells as much as the package.
            extras = re.findall(r"[\w-]+", found[2] or "")
            names.update(f"{name}[{extra.lower()}]" for extra in extras)
    return names


def _node(directory: Path) -> dict[str, Any] | None:
    text = _text(directory / "package.json")
    try:
        document = json.loads(text) if text is not None else None
    except ValueError as error:
        raise ConfigurationError(
            f"not JSON: {error}", file=str(directory / "package.json")
        ) from None
    return document if isinstance(document, dict) else None


def _toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(_text(file) or "")
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"not TOML: {error}", file=str(file)) from None


def _table(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = document.get(name)
    return value if isinstance(value, dict) else {}


def _strings(value: object) -> list[str]:
    return [v for v in value if isinstance(v, str)] if isinstance(value, list) else []


def _variables(directory: Path, sources: Mapping[str, str]) -> dict[str, Variable]:
    samples = _sample_environment(directory)
    found: dict[str, Variable] = {}
    for path, text in sources.items():
        lookups = _PYTHON_LOOKUPS if path.endswith(".py") else _NODE_LOOKUPS
        for pattern, required in lookups:
            for match in re.finditer(pattern, text):
                name = match[1]
                default = match[2] if match.re.groups > 1 else None
                before = found.get(name)
                found[name] = Variable(
                    name,
                    samples.get(name) or default or (before.sample if before else None),
                    required or (before is not None and before.required),
                )
        for name, default, required in _settings_fields(text):
            found.setdefault(name, Variable(name, samples.get(name) or default, required))
    for name, sample in samples.items():
        found.setdefault(name, Variable(name, sample, False))
    return found


def _sample_environment(directory: Path) -> dict[str, str]:
    """The variables of an example .env file. The .env itself may hold secrets and is left alone."""
    values: dict[str, str] = {}
    for name in _SAMPLE_ENV:
        for line in (_text(directory / name) or "").splitlines():
            if found := re.match(r"\s*(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*?)\s*$", line):
                values.setdefault(found[1], found[2].strip("\"'"))
    return values


def _settings_fields(text: str) -> Iterator[tuple[str, str | None, bool]]:
    """Fields of pydantic settings classes, as the variables they are read from."""
    for found in re.finditer(
        r"^class \w+\((?:\w+\.)?BaseSettings\):\n((?:[ \t]+.*\n|\n)+)", text + "\n", re.MULTILINE
    ):
        body = found[1]
        prefix = re.search(r"""env_prefix\s*=\s*["'](\w*)["']""", body)
        for field in re.finditer(
            r"""^[ \t]{1,8}([a-z]\w*)\s*:\s*[^=\n]+?(=\s*(?:["']([^"'\n]*)["'])?.*)?$""",
            body,
            re.MULTILINE,
        ):
            if field[1] != "model_config":
                name = f"{prefix[1] if prefix else ''}{field[1]}".upper()
                yield name, field[3], field[2] is None
