"""What an access log says of caching: as text and as a JSON document."""

from __future__ import annotations

from pathlib import Path

import msgspec

from loadpath import __version__
from loadpath.answer import Answer
from loadpath.caching.logs.judge import LogFindings
from loadpath.report.terminal import Style, plain, render

ACCESS_LOG_VERSION = 1


class AccessLogDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What `loadpath ask cache --log FILE --json` prints. Infinite and absent figures are null."""

    access_log_version: int = ACCESS_LOG_VERSION
    loadpath_version: str = __version__
    file: str
    findings: LogFindings


def access_log_json(found: LogFindings, file: Path) -> str:
    """The document, indented, ending in a newline."""
    document = AccessLogDocument(file=str(file), findings=found)
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"


def access_log_text(
    answer: Answer, file: Path, *, title: str, width: int = 80, style: Style = plain
) -> str:
    """The same for people."""
    return render([answer], title=title, recording=str(file), width=width, style=style)
