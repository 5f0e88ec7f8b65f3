"""recording.json: what was recorded, on what machine, and how its clock maps to the calendar."""

from __future__ import annotations

import time
from pathlib import Path, PurePath
from typing import Any, Literal, TypeAlias

import msgspec

from loadpath.errors import RecordingError
from loadpath.recording.files import damaged
from loadpath.recording.schema import SCHEMA_VERSION
from loadpath.spec import Setup

Status: TypeAlias = Literal["running", "complete", "interrupted"]


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """The machine a recording was made on. It holds nothing that names the machine or its owner.

    `cores` are those this process may run on, `cores_online` all of them, `cpu_quota_cores` the
    limit a container sets (None: none). `virtualization` is a hint, empty when there was none.
    """

    cores: int
    cores_online: int
    cpu_model: str
    memory_bytes: int
    system: str
    kernel: str
    python: str
    cpu_quota_cores: float | None = None
    virtualization: str = ""


class ClockMapping(msgspec.Struct, frozen=True):
    """One instant on both clocks: Unix time = monotonic time − `monotonic_s` + `unix_s`."""

    monotonic_s: float
    unix_s: float

    @classmethod
    def now(cls) -> ClockMapping:
        """Read both clocks, the calendar between two readings of the monotonic one."""
        before = time.monotonic()
        unix = time.time()
        return cls((before + time.monotonic()) / 2, unix)

    def to_unix_s(self, monotonic_s: float) -> float:
        """The Unix time of a monotonic time of the same machine and boot."""
        return monotonic_s - self.monotonic_s + self.unix_s


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """Everything in recording.json. `created` is UTC in RFC 3339; `setup` is redacted.

    `operations` are names, in the order that the column `operation` counts them. `dependencies`
    says what ran under each dependency's name, as `PostgreSQL 18.6`.
    """

    schema_version: int
    name: str
    created: str
    status: Status
    seed: int
    operations: tuple[str, ...]
    clock: ClockMapping
    machine: Machine
    setup: dict[str, Any]
    dependencies: dict[str, str] = {}
    loadpath_version: str = ""


def to_builtins(value: Any) -> Any:
    """Structs as JSON-like values. A path is kept as its last component: it may name its owner."""
    return msgspec.to_builtins(value, enc_hook=_shorten_path)


def setup_from(header: Header) -> Setup:
    """The recorded setup. What redaction took out stays out, and paths have one component.

    Raises `RecordingError` when this version cannot make a setup of it.
    """
    try:
        return msgspec.convert(header.setup, Setup, dec_hook=_read_path)
    except (msgspec.ValidationError, ValueError) as error:
        raise RecordingError(f"recording.json: setup cannot be read: {error}") from error


def decode_header(content: bytes, where: str) -> Header:
    """Parse recording.json. Raises `RecordingError` for damage and for a newer schema."""
    try:
        version = msgspec.json.decode(content, type=_Version).schema_version
        if version > SCHEMA_VERSION:
            raise RecordingError(
                f"{where} has schema version {version}; this Loadpath reads up to {SCHEMA_VERSION}",
                advice="Read it with the Loadpath that recorded it, or a newer one.",
            )
        return msgspec.json.decode(content, type=Header)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise damaged(f"{where} is damaged: {error}") from error


class _Version(msgspec.Struct):
    schema_version: int


def _shorten_path(value: Any) -> str:
    if isinstance(value, PurePath):
        return value.name
    raise NotImplementedError(f"cannot record a {type(value).__name__}")


def _read_path(kind: type, value: Any) -> Any:
    if issubclass(kind, PurePath):
        return Path(value)
    raise NotImplementedError(f"cannot read a {kind.__name__}")
