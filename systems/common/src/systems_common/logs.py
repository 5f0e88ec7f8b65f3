"""Structured logs: one JSON object a line on stderr, with the field names of OpenTelemetry's log
data model, so that a collector can read them without a parser of its own.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import time
from typing import Any, TextIO

import msgspec

__all__ = ["JsonFormatter", "configure", "trace_of"]

_SEVERITIES = {"DEBUG": 5, "INFO": 9, "WARNING": 13, "ERROR": 17, "CRITICAL": 21}
_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")


class JsonFormatter(logging.Formatter):
    """What is given to a logger as `extra` becomes the attributes of the line."""

    def __init__(self, service: str, version: str) -> None:
        super().__init__()
        self._resource = {
            "service.name": service,
            "service.version": version,
            "process.pid": os.getpid(),
        }
        self._encode = msgspec.json.Encoder(enc_hook=str).encode

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line of JSON."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        attributes = {key: value for key, value in vars(record).items() if key not in _PLAIN}
        line: dict[str, Any] = {
            "timestamp": f"{moment}.{int(record.msecs):03d}Z",
            "severity_text": record.levelname,
            "severity_number": _SEVERITIES.get(record.levelname, 9),
            "body": record.getMessage(),
            "scope": record.name,
            "resource": self._resource,
        }
        for name in ("trace_id", "span_id"):
            if name in attributes:
                line[name] = attributes.pop(name)
        if record.exc_info and record.exc_info[0] is not None:
            attributes["exception.type"] = record.exc_info[0].__qualname__
            attributes["exception.message"] = str(record.exc_info[1])
            attributes["exception.stacktrace"] = self.formatException(record.exc_info)
        if attributes:
            line["attributes"] = attributes
        return self._encode(line).decode()


def configure(service: str, version: str, level: str, *, stream: TextIO | None = None) -> None:
    """Send every logger of the process to `stream` (stderr) as JSON, from `level` up."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter(service, version))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())


def trace_of(traceparent: str | None) -> dict[str, str]:
    """Trace and span id of a W3C `traceparent` header, to give a logger as `extra`."""
    match = _TRACEPARENT.fullmatch(traceparent or "")
    return {} if match is None else {"trace_id": match[1], "span_id": match[2]}
