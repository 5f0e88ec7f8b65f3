"""The service file as a tree of values, each of which knows where it was said.

Precedence: a flag (`--set service.workers=2`) over an environment variable
(`LOADPATH_SERVICE__WORKERS=2`) over the file. All three end in one tree; what is wrong with a value
is then told of the place that had the last word on it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from loadpath.errors import ConfigurationError
from loadpath.spec.check import field_type, takes_text
from loadpath.spec.document import ServiceFile
from loadpath.spec.locate import KeyPath, key_lines, split_key
from loadpath.spec.problem import Problem, dotted

FILE_NAME = "loadpath.toml"
ENVIRONMENT_PREFIX = "LOADPATH_"
_IN_PYPROJECT = ("tool", "loadpath")

# Ways to say one thing: a flag that chooses one drops what the file said of the others.
_ALTERNATIVES = (
    ({"open", "process"}, {"users", "think_time"}),
    ({"zipf"}, {"latest"}, {"uniform"}),
)


class Override(msgspec.Struct, frozen=True):
    """One value said outside the file. `origin` is how to name it in an error message."""

    origin: str
    names: tuple[str, ...]
    text: str


class Source:
    """A parsed service file with what overrides it, and where every value came from."""

    def __init__(self, file: Path, tree: dict[str, Any], lines: Mapping[KeyPath, int]) -> None:
        self.file = file
        self.tree = tree
        self._lines = dict(lines)
        self._origins: dict[KeyPath, str] = {}

    @property
    def directory(self) -> Path:
        """The folder of the service file, in which everything it names is looked for."""
        return self.file.parent

    def line_of(self, path: KeyPath) -> int:
        """The line of a key, or of the nearest table above it that is written out; from 1."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 1)

    def error(self, problem: Problem) -> ConfigurationError:
        """The problem, with the file and line, the flag or the variable that said it."""
        path = problem.path
        while path not in self._origins and path not in self._lines and path:
            path = path[:-1]
        origin = self._origins.get(path)
        return ConfigurationError(
            problem.message,
            file=origin or shown_path(self.file),
            line=None if origin else self._lines.get(path),
            key=dotted(problem.path),
            advice=problem.advice,
        )

    def apply(self, override: Override, known: Iterable[str] = ()) -> None:
        """Put an override into the tree; `known` are more names it may mean than the file has."""
        path: KeyPath = ()
        table = self.tree
        for i, name in enumerate(override.names):
            key = _meant(override, path, name, [*table, *(known if i == 1 else ())])
            path = (*path, key)
            if i + 1 == len(override.names):
                break
            if key not in table:
                table[key] = {}
                self._origins[path] = override.origin
            inner = table[key]
            if not isinstance(inner, dict):
                raise ConfigurationError(
                    f"`{dotted(path)}` is a value, not a table", file=override.origin
                )
            table = inner
        _drop_alternatives(table, path)
        table[key] = _value(override.text, path)
        self._origins[path] = override.origin
        # What the file says below here no longer stands: its lines must not be blamed.
        self._lines = {p: n for p, n in self._lines.items() if p[: len(path)] != path}


def read_source(where: Path) -> Source:
    """The service file at `where`, a file or the folder it is in. Raises `ConfigurationError`."""
    where = where.resolve()
    if where.is_dir():
        return _read_directory(where)
    if where.is_file():
        document, lines = _parse(where)
        if where.name == "pyproject.toml" and not _in_pyproject(document):
            raise ConfigurationError(
                "there is no [tool.loadpath] in it",
                file=shown_path(where),
                advice="`loadpath init` writes a loadpath.toml beside it.",
            )
        return _source(where, document, lines)
    raise ConfigurationError(
        f"there is no file or folder {shown_path(where)}",
        advice="Name the folder of a service that has a loadpath.toml.",
    )


def environment_overrides(environ: Mapping[str, str]) -> list[Override]:
    """Every `LOADPATH_TABLE__KEY` of the environment. A name without `__` is no setting."""
    return [
        Override(
            f"environment variable {name}",
            tuple(name.removeprefix(ENVIRONMENT_PREFIX).split("__")),
            text,
        )
        for name, text in sorted(environ.items())
        if re.fullmatch(rf"{ENVIRONMENT_PREFIX}[^_]\w*?__\w*[^_]", name)
    ]


def flag_overrides(settings: Sequence[str]) -> list[Override]:
    """Every `--set KEY=VALUE`, KEY dotted as in TOML. Raises `ConfigurationError`."""
    return [_flag(s) for s in settings]


def slug(name: str) -> str:
    """A name as an environment variable can hold it: `GET /{code}` → `GET_CODE`."""
    return re.sub(r"[^A-Z0-9]+", "_", name.upper()).strip("_")


def shown_path(path: Path) -> str:
    """A path as the user would type it: relative when it is below the current folder."""
    resolved = path.resolve()
    here = Path.cwd()
    return str(resolved.relative_to(here)) if resolved.is_relative_to(here) else str(resolved)


def _read_directory(directory: Path) -> Source:
    own, project = directory / FILE_NAME, directory / "pyproject.toml"
    in_project = None
    if project.is_file():
        document, lines = _parse(project)
        if _in_pyproject(document):
            in_project = _source(project, document, lines)
    if not own.is_file():
        if in_project is None:
            raise ConfigurationError(
                f"there is no {FILE_NAME} in {shown_path(directory)}, "
                "and no pyproject.toml with a [tool.loadpath]",
                advice="`loadpath init` looks at a service's folder and writes one.",
            )
        return in_project
    if in_project is not None:
        raise ConfigurationError(
            f"both {FILE_NAME} and [tool.loadpath] of pyproject.toml describe this service",
            file=shown_path(own),
            advice="Remove one of them.",
        )
    return _source(own, *_parse(own))


def _parse(file: Path) -> tuple[dict[str, Any], dict[KeyPath, int]]:
    name = shown_path(file)
    try:
        text = file.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        line = file.read_bytes()[: error.start].count(b"\n") + 1
        raise ConfigurationError(
            "the file is not UTF-8 text", file=name, line=line, advice="Save it as UTF-8."
        ) from None
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {error.strerror}", file=name) from None
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        found = re.search(r" \(at line (\d+), column \d+\)| \(at end of document\)", message)
        line = int(found[1]) if found and found[1] else text.rstrip().count("\n") + 1
        raise ConfigurationError(
            f"not TOML: {message[: found.start()] if found else message}",
            file=name,
            line=line,
            advice="Strings need quotes; a name with other than letters, digits, - and _ does too.",
        ) from None
    return document, key_lines(text)


def _source(file: Path, document: dict[str, Any], lines: Mapping[KeyPath, int]) -> Source:
    if file.name != "pyproject.toml":
        return Source(file, document, lines)
    depth = len(_IN_PYPROJECT)
    inner = {p[depth:]: n for p, n in lines.items() if p[:depth] == _IN_PYPROJECT}
    return Source(file, document["tool"]["loadpath"], inner)


def _in_pyproject(document: Mapping[str, Any]) -> bool:
    tool = document.get("tool")
    return isinstance(tool, dict) and isinstance(tool.get("loadpath"), dict)


def _flag(setting: str) -> Override:
    origin = f"--set {setting}"
    key, equals, text = setting.partition("=")
    try:
        names, rest = split_key(setting)
        if not rest.startswith("="):
            # A shell eats the quotes of operations."GET /": what is left is taken as it stands.
            names, rest = tuple(n.strip() for n in key.split(".")), equals + text
    except ValueError:
        names, rest = (), ""
    if not equals or not rest or not all(names) or len(names) < 2:
        raise ConfigurationError(
            "expected a dotted key and a value, such as service.workers=2", file=origin
        )
    return Override(origin, names, rest[1:].strip())


def _meant(override: Override, path: KeyPath, name: str, present: Sequence[str]) -> str:
    """The key that a name of an override stands for, among those present or to be made."""
    if name in present:
        return name
    alike = sorted({k for k in present if slug(k) == slug(name)})
    if len(alike) > 1:
        raise ConfigurationError(
            f"`{name}` may mean any of " + ", ".join(f"`{k}`" for k in alike),
            file=override.origin,
            advice="Use --set with the name in quotes.",
        )
    if alike:
        return alike[0]
    if path and path[-1] in ("env", "headers"):
        return name
    return name.lower() if override.origin.startswith("environment") else name


def _drop_alternatives(table: dict[str, Any], path: KeyPath) -> None:
    chosen = path[-1]
    if "arrivals" not in path and "keys" not in path:
        return
    for groups in _ALTERNATIVES:
        if any(chosen in group for group in groups):
            for group in groups:
                if chosen not in group:
                    for name in group:
                        table.pop(name, None)


def _value(text: str, path: KeyPath) -> object:
    kind = field_type(ServiceFile, path)
    structured = text[:1] in ("[", "{", '"', "'")
    if kind is not None and takes_text(kind) and not structured:
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
