"""A store of files in a bucket of anything that speaks Amazon's S3."""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator
from datetime import timedelta
from typing import IO
from urllib.parse import parse_qs, unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from systems_common.blobs.base import (
    BlobMissingError,
    BlobStoreError,
    BlobTooLargeError,
    Content,
    Spool,
    checked_name,
    in_thread,
)

__all__ = ["S3Blobs", "parse_s3_url"]

_PART_BYTES = 256 * 1024
_TIMEOUT_S = 30
# Two more tries in 10 s: the library's own three minutes would hold requests for as long.
_RETRIES, _RETRY_S = 2, 10


def parse_s3_url(url: str) -> S3Store:
    """The bucket that `s3://KEY:SECRET@HOST[:PORT]/BUCKET?region=…&tls=off&style=virtual` names.

    Raises `ValueError` that says what is missing.
    """
    parts = urlsplit(url)
    bucket = parts.path.strip("/")
    if not (parts.username and parts.password and parts.hostname and bucket) or "/" in bucket:
        raise ValueError("expected s3://KEY:SECRET@HOST/BUCKET, with %-encoded key and secret")
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    region = options.pop("region", "us-east-1")
    tls = options.pop("tls", "on") != "off"
    virtual = options.pop("style", "path") == "virtual"
    if options:
        raise ValueError(f"expected region, tls and style alone, got {', '.join(sorted(options))}")
    place = parts.hostname if parts.port is None else f"{parts.hostname}:{parts.port}"
    if virtual:
        place = f"{bucket}.{place}"
    return S3Store(
        bucket,
        endpoint=f"{'https' if tls else 'http'}://{place}",
        region=region,
        access_key_id=unquote(parts.username),
        secret_access_key=unquote(parts.password),
        virtual_hosted_style_request=virtual,
        client_options={
            "allow_http": not tls,
            "connect_timeout": timedelta(seconds=2),
            "timeout": timedelta(seconds=_TIMEOUT_S),
        },
        retry_config={"max_retries": _RETRIES, "retry_timeout": timedelta(seconds=_RETRY_S)},
    )


class S3Blobs:
    """Files as objects of a bucket. What arrives is kept in a temporary file until it is whole."""

    def __init__(self, store: S3Store) -> None:
        self._store = store

    @contextlib.asynccontextmanager
    async def spool(self, bytes_max: int) -> AsyncIterator[Spool]:
        """See `Blobs`."""
        file = await in_thread(tempfile.TemporaryFile)
        try:
            yield Spool(file, bytes_max)
        finally:
            with contextlib.suppress(OSError):
                file.close()

    async def keep(self, name: str, spool: Spool, content_type: str) -> None:
        """See `Blobs`."""
        await spool.flush()
        spool.file.seek(0)
        await self._put(name, spool.file, content_type)

    async def put(self, name: str, body: bytes, content_type: str, *, durable: bool = True) -> None:
        """See `Blobs`."""
        await self._put(name, body, content_type)

    async def _put(self, name: str, body: IO[bytes] | bytes, content_type: str) -> None:
        with _failures():
            await obstore.put_async(
                self._store,
                checked_name(name),
                body,
                attributes={"Content-Type": content_type},
            )

    async def read(self, name: str) -> Content:
        """See `Blobs`."""
        with _failures():
            found = await obstore.get_async(self._store, checked_name(name))
        return Content(found.meta["size"], _parts(found))

    async def open(self, name: str, bytes_max: int) -> IO[bytes]:
        """See `Blobs`."""
        with _failures():
            found = await obstore.get_async(self._store, checked_name(name))
            if found.meta["size"] > bytes_max:
                raise BlobTooLargeError(bytes_max)
            return io.BytesIO(bytes(await found.bytes_async()))

    async def delete(self, names: Iterable[str]) -> None:
        """See `Blobs`."""
        for name in names:
            with contextlib.suppress(BlobMissingError), _failures():
                await obstore.delete_async(self._store, checked_name(name))

    async def check(self) -> None:
        """See `Blobs`."""
        with contextlib.suppress(BlobMissingError), _failures():
            await obstore.head_async(self._store, "whether-it-answers")


async def _parts(found: obstore.GetResult) -> AsyncGenerator[bytes, None]:
    with _failures():
        async for part in found.stream(min_chunk_size=_PART_BYTES):
            yield bytes(part)


@contextlib.contextmanager
def _failures() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise BlobMissingError(str(error)) from error
    except (BaseError, OSError) as error:
        # Its text has the address and the whole answer; the first line says what is wrong.
        text = str(error).partition("\n")[0][:300]
        raise BlobStoreError(f"the store of files fails: {text}") from error
