"""JSON Schemas: of the service file, for editors, and of what `--json` prints, for programs."""

from __future__ import annotations

from typing import Any

import msgspec

from loadpath.experiment.caching.outcome import OperationCache
from loadpath.experiment.caching.statements import StatementCache
from loadpath.questions.decide import Decided
from loadpath.questions.growth_figures import Growth
from loadpath.questions.what_if import WhatIf
from loadpath.report.access_log import AccessLogDocument
from loadpath.report.check import CheckDocument
from loadpath.report.results import Results
from loadpath.spec.document import ServiceFile

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_KINDS: dict[str, tuple[type, str]] = {
    "service": (ServiceFile, "The service file of Loadpath: loadpath.toml"),
    "check": (CheckDocument, "What loadpath check prints with --json"),
    "cache": (OperationCache, "Each of figures.caches that loadpath ask cache prints with --json"),
    "cache-statement": (
        StatementCache,
        "Each of figures.statements that loadpath ask cache prints with --json",
    ),
    "what-if": (WhatIf, "figures.what_if of an answer that loadpath what-if prints with --json"),
    "decide": (Decided, "Each of figures.decisions that loadpath decide prints with --json"),
    "access-log": (
        AccessLogDocument,
        "What loadpath ask cache --log FILE prints with --json",
    ),
    "growth": (Growth, "figures.growth of an answer that loadpath ask growth prints with --json"),
    "results": (Results, "What loadpath run, ask and report print with --json"),
}
KINDS = tuple(_KINDS)


def schema_of(kind: str) -> dict[str, Any]:
    """The schema of one of `KINDS`, as JSON-like values."""
    struct, title = _KINDS[kind]
    return {"$schema": DIALECT, "title": title, **msgspec.json.schema(struct)}


def schema_json(kind: str) -> str:
    """The same as text, indented, ending in a newline."""
    return msgspec.json.format(msgspec.json.encode(schema_of(kind)), indent=2).decode() + "\n"
