"""Forms that carry files: read part by part, so that no file is ever whole in memory."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import msgspec
import multipart
from systems_common.blobs import Blobs, BlobTooLargeError, Spool

from social.errors import ApiError

__all__ = ["Form", "read_form"]

_FIELDS_BYTES_MAX = 64 * 1024
_PARTS_MAX = 200
# What a form has besides the bytes of its files.
_AROUND_BYTES = 256 * 1024


class Form(msgspec.Struct, frozen=True):
    """What a form has: names with texts, and files by their names. A file is not empty."""

    pairs: list[tuple[str, str]]
    files: dict[str, Spool]


async def read_form(
    receive: Any,
    headers: dict[bytes, bytes],
    stack: contextlib.AsyncExitStack,
    blobs: Callable[[], Blobs],
    *,
    wanted: tuple[str, ...],
    file_bytes_max: int,
) -> Form:
    """Read a multipart form; files that are not `wanted` are passed over.

    What arrives is kept until `stack` ends. Raises an `ApiError`: 400, 413; `BlobStoreError`.
    """
    kind = headers.get(b"content-type", b"").decode("latin-1")
    boundary = multipart.parse_options_header(kind)[1].get("boundary")
    if not boundary:
        raise ApiError(400, "Expected a boundary in the Content-Type of a multipart form")
    bytes_max = file_bytes_max * len(wanted) + _AROUND_BYTES
    length = headers.get(b"content-length", b"")
    if length.isdigit() and int(length) > bytes_max:
        raise _too_large(file_bytes_max)
    reader = _Reader(stack, blobs, wanted, file_bytes_max)
    received = 0
    try:
        with multipart.PushMultipartParser(boundary, max_segment_count=_PARTS_MAX) as parser:
            more = True
            while more:
                message = await receive()
                if message["type"] != "http.request":
                    raise ApiError(400, "The form ended too early")
                more = message.get("more_body", False)
                part: bytes = message.get("body", b"")
                received += len(part)
                if received > bytes_max:
                    raise _too_large(file_bytes_max)
                if part:
                    for event in parser.parse(part):
                        await reader.take(event)
    except BlobTooLargeError as error:
        raise _too_large(error.bytes_max) from error
    except (multipart.MultipartError, UnicodeDecodeError) as error:
        raise ApiError(400, f"Expected a multipart form: {error}") from error
    files = {name: spool for name, spool in reader.files.items() if spool.size}
    for spool in files.values():
        await spool.flush()
    return Form(reader.pairs, files)


class _Reader:
    """Puts the parts of a form where they belong."""

    def __init__(
        self,
        stack: contextlib.AsyncExitStack,
        blobs: Callable[[], Blobs],
        wanted: tuple[str, ...],
        file_bytes_max: int,
    ) -> None:
        self.pairs: list[tuple[str, str]] = []
        self.files: dict[str, Spool] = {}
        self._stack = stack
        self._blobs = blobs
        self._wanted = wanted
        self._file_bytes_max = file_bytes_max
        self._name = ""
        self._text: bytearray | None = None
        self._spool: Spool | None = None
        self._text_bytes = 0

    async def take(self, event: Any) -> None:
        if isinstance(event, multipart.MultipartSegment):
            self._name, self._text, self._spool = event.name, None, None
            if event.filename is None:
                self._text = bytearray()
            elif event.name in self._wanted and event.name not in self.files:
                self._spool = await self._stack.enter_async_context(
                    self._blobs().spool(self._file_bytes_max)
                )
                self.files[event.name] = self._spool
        elif event is None:
            if self._text is not None:
                self.pairs.append((self._name, self._text.decode()))
        elif self._spool is not None:
            await self._spool.write(bytes(event))
        elif self._text is not None:
            self._text_bytes += len(event)
            if self._text_bytes > _FIELDS_BYTES_MAX:
                raise ApiError(413, f"Expected at most {_FIELDS_BYTES_MAX} bytes of texts")
            self._text += event


def _too_large(bytes_max: int) -> ApiError:
    return ApiError(413, f"Expected a file of at most {bytes_max} bytes")
