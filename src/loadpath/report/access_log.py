"""What an access log says of caching, for programs: one JSON document."""

from __future__ import annotations

import msgspec

from loadpath import __version__
from loadpath.caching.logs.judge import LogFindings

ACCESS_LOG_VERSION = 1


class AccessLogDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What `loadpath ask cache --log FILE --json` prints. Infinite and absent figures are null."""

    access_log_version: int = ACCESS_LOG_VERSION
    loadpath_version: str = __version__
    file: str
    findings: LogFindings


def access_log_json(found: LogFindings, file: str) -> str:
    """The document, indented, ending in a newline."""
    document = AccessLogDocument(file=file, findings=found)
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"
