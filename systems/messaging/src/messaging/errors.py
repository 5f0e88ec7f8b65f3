"""Errors as Matrix clients know them: a status, an `errcode`, a sentence, further members."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

__all__ = [
    "MatrixError",
    "bad_json",
    "forbidden",
    "invalid_param",
    "missing_param",
    "no_room",
    "not_allowed",
    "not_found",
    "too_large",
    "unavailable",
    "unrecognized",
]


class MatrixError(Exception):
    """An expected failure of a request. `extra` are further members of the answer; `headers` go
    with it."""

    headers: tuple[tuple[bytes, bytes], ...] = ()

    def __init__(self, status: int, code: str, text: str, **extra: Any) -> None:
        super().__init__(text)
        self.status = status
        self.code = code
        self.text = text
        self.extra = extra

    def body(self) -> bytes:
        """The answer, JSON."""
        named = {"errcode": self.code, "error": self.text} if self.code else {}
        return msgspec.json.encode({**named, **self.extra})


def forbidden(text: str) -> MatrixError:
    """The user may not do this."""
    return MatrixError(403, "M_FORBIDDEN", text)


def not_found(text: str) -> MatrixError:
    """There is no such thing, or none that the user may know of."""
    return MatrixError(404, "M_NOT_FOUND", text)


def bad_json(text: str) -> MatrixError:
    """The body is JSON, but not what was expected."""
    return MatrixError(400, "M_BAD_JSON", text)


def invalid_param(text: str) -> MatrixError:
    """A parameter has a value that is not possible."""
    return MatrixError(400, "M_INVALID_PARAM", text)


def missing_param(text: str) -> MatrixError:
    """A parameter that is needed was not given."""
    return MatrixError(400, "M_MISSING_PARAM", text)


def too_large(text: str) -> MatrixError:
    """An event or a body is larger than it may be."""
    return MatrixError(413, "M_TOO_LARGE", text)


def unavailable() -> MatrixError:
    """Something the service needs does not answer; the client may try again."""
    return MatrixError(
        503, "M_UNKNOWN", "The service cannot answer now; try again.", retry_after_ms=1_000
    )


def no_room() -> MatrixError:
    """Nothing more can be stored until somebody makes room."""
    return MatrixError(507, "M_UNKNOWN", "The store of files is full; nothing was kept.")


def unrecognized() -> MatrixError:
    """There is no such endpoint here."""
    return MatrixError(404, "M_UNRECOGNIZED", "Unrecognized request")


def not_allowed(methods: Iterable[str]) -> MatrixError:
    """The path is known, with these other methods."""
    error = MatrixError(405, "M_UNRECOGNIZED", "Unrecognized request")
    error.headers = ((b"allow", ", ".join(sorted(methods)).encode()),)
    return error
