"""What was found in a folder, before it is written down."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from loadpath.spec.dependency import DependencyKind

_FIELD = re.compile(r"\{([A-Za-z_]\w*)\}")


class Route(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """A route of the service. `path` has its parameters as {fields}; `where` is file:line.

    `needs` are query parameters it cannot do without; `mounted` is false when what it is registered
    on was not seen to be mounted anywhere; `sure` is false when its method was not read.
    """

    path: str
    method: str = "GET"
    where: str = ""
    needs: tuple[str, ...] = ()
    mounted: bool = True
    sure: bool = True

    @property
    def fields(self) -> tuple[str, ...]:
        """The parameters in the path."""
        return tuple(dict.fromkeys(_FIELD.findall(self.path)))


class Start(msgspec.Struct, frozen=True):
    """A start command, and what a reader should know of it."""

    words: tuple[str, ...]
    notes: tuple[str, ...] = ()


class FoundDependency(msgspec.Struct, frozen=True, kw_only=True):
    """A dependency. `because` is the package or setting that gave it away."""

    name: str
    kind: DependencyKind
    because: str
    env: dict[str, str]
    prepare: tuple[str, ...] | None = None
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
