"""What was found in a folder, before it is written down."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from loadpath.spec.dependency import DependencyKind

ParameterKind: TypeAlias = Literal["whole", "number", "flag", "text", "other", "unknown"]

_ID = re.compile(r"(?:^|_)(?:id|pk|no|nr|num|number)$|[a-z]I[dD]$")
_FIELD = re.compile(r"\{([A-Za-z_]\w*)\}")


def is_id_name(name: str) -> bool:
    """Whether something of this name is usually the number of a row."""
    return bool(_ID.search(name))


class Parameter(msgspec.Struct, frozen=True, order=True):
    """A field of the path or a query parameter, and what kind of value it takes."""

    name: str
    kind: ParameterKind = "unknown"


class Route(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """A route of the service. `path` has its parameters as {fields}; `where` is file:line.

    `typed` are the fields of the path whose kind is known; `needs` are query parameters it cannot
    do without. `body` is an example of the JSON body it takes, `form` one of a form, urlencoded;
    `lacks` says what a request needs that was not found out. `mounted` is false when what it is
    registered on was not seen to be mounted anywhere; `sure` is false when its method was not read.
    """

    path: str
    method: str = "GET"
    where: str = ""
    typed: tuple[Parameter, ...] = ()
    needs: tuple[Parameter, ...] = ()
    body: str = ""
    form: str = ""
    lacks: tuple[str, ...] = ()
    mounted: bool = True
    sure: bool = True

    @property
    def fields(self) -> tuple[str, ...]:
        """The parameters in the path."""
        return tuple(dict.fromkeys(_FIELD.findall(self.path)))

    @property
    def is_plain(self) -> bool:
        """It can be asked for as it stands."""
        bare = self.method == "GET" and not self.fields and not self.needs and not self.lacks
        return bare and self.mounted


class Start(msgspec.Struct, frozen=True):
    """A start command, and what a reader should know of it."""

    words: tuple[str, ...]
    notes: tuple[str, ...] = ()


class Commands(msgspec.Struct, frozen=True):
    """How the project lays out its database and fills it, where a usual convention tells.

    `notes` say what a reader should know of a `prepare` that is not there.
    """

    prepare: tuple[str, ...] | None = None
    seed: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()


class FoundDependency(msgspec.Struct, frozen=True, kw_only=True):
    """A dependency. `because` is the package or setting that gave it away."""

    name: str
    kind: DependencyKind
    because: str
    env: dict[str, str]
    commands: Commands = Commands()
    notes: tuple[str, ...] = ()


class Detected(msgspec.Struct, frozen=True, kw_only=True):
    """A service as far as its folder tells. `framework` is None when none was recognized."""

    directory: Path
    framework: str | None
    start: Start
    ready: str
    env: dict[str, str]
    env_notes: dict[str, str]
    dependencies: tuple[FoundDependency, ...]
    unsupported: tuple[str, ...]
    routes: tuple[Route, ...]

    @property
    def is_seeded(self) -> bool:
        """Whether a command was found that fills a dependency."""
        return any(d.commands.seed for d in self.dependencies)
