"""Errors that an HTTP client sees, as problem details (RFC 9457)."""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["PROBLEM_JSON", "ProblemError"]

PROBLEM_JSON = "application/problem+json"


class ProblemError(Exception):
    """An expected failure of a request. `extra` are further members of the problem document."""

    def __init__(
        self,
        status: int,
        kind: str,
        title: str,
        detail: str,
        *,
        headers: dict[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.title = title
        self.detail = detail
        self.headers = headers or {}
        self.extra = extra

    def body(self) -> bytes:
        """The problem document, JSON."""
        return msgspec.json.encode(
            {
                "type": self.kind,
                "title": self.title,
                "detail": self.detail,
                "status": self.status,
                **self.extra,
            }
        )
