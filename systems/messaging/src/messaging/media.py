"""Files: uploaded, at once or after they were announced, and their thumbnails.

Nobody looks into them except to draw a thumbnail: in an encrypted room the clients have encrypted
them as well.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator
from functools import partial

import msgspec
from systems_common.blobs import (
    BlobMissingError,
    Blobs,
    BlobStoreError,
    BlobTooLargeError,
    Content,
)
from systems_common.blobs.doomed import doom, new_name, spare, swept
from systems_common.database import Database, DatabaseUnavailableError, transaction
from systems_common.images import Drawing, ImageRefusedError, Picture, cropped, scaled

from messaging.errors import MatrixError, forbidden, not_found, too_large

__all__ = ["THUMBNAILS", "Announced", "File", "Media"]

log = logging.getLogger(__name__)

THUMBNAILS = ((32, 32), (96, 96), (320, 240), (640, 480), (800, 600))
"""The sizes there are: what is asked for is answered by the next larger one."""
_PICTURE_BYTES_MAX = 32 * 1024 * 1024
_PICTURE_PIXELS_MAX = 7680 * 4320
_ANNOUNCED_S = 24 * 3600
_ANNOUNCED_MAX = 50
_LOOK_AGAIN_S = 0.25
_SWEEP_S = 60.0
_AT_ONCE = 100


class File(msgspec.Struct, frozen=True):
    """A file that is being read."""

    content: Content
    content_type: str
    filename: str | None


class Announced(msgspec.Struct, frozen=True):
    """An id for a file that is to come."""

    media_id: str
    expires_ms: int


class Media:
    """The files of this server."""

    def __init__(self, database: Database, blobs: Blobs, *, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        self.blobs = blobs
        self._database = database
        self._drawing = Drawing()

    async def upload(
        self,
        user_no: int,
        parts: AsyncIterator[bytes],
        content_type: str,
        filename: str | None,
        announced: str | None = None,
    ) -> str:
        """Keep what arrives; returns its id. Raises M_TOO_LARGE, `BlobStoreError`.

        For an id that was `announced` also what `check_announced` raises.
        """
        name = new_name()
        try:
            async with self.blobs.spool(self.bytes_max) as spool:
                async for part in parts:
                    await spool.write(part)
                await doom(self._database, [name])
                await self.blobs.keep(name, spool, content_type)
        except BlobTooLargeError as error:
            raise too_large(f"A file may have {error.bytes_max} bytes.") from error
        async with transaction(self._database) as connection:
            await spare(connection, [name])
            if announced is None:
                media_id = secrets.token_urlsafe(18)
                await connection.execute(
                    """INSERT INTO media (media_id, user_no, name, content_type, filename)
                       VALUES ($1, $2, $3, $4, $5)""",
                    media_id,
                    user_no,
                    name,
                    content_type,
                    filename,
                )
                return media_id
            done = await connection.fetchval(
                """UPDATE media SET name = $3, content_type = $4, filename = $5, expires_at = NULL
                   WHERE media_id = $1 AND user_no = $2 AND name IS NULL AND expires_at > now()
                   RETURNING 1""",
                announced,
                user_no,
                name,
                content_type,
                filename,
            )
            if done is None:
                # Rolled back, so the file goes: somebody was faster, or it took too long.
                raise _cannot_overwrite()
            return announced

    async def announce(self, user_no: int) -> Announced:
        """An id for a file that the user will upload. Raises M_LIMIT_EXCEEDED."""
        waiting = await self._database.fetchval(
            """SELECT count(*) FROM media
               WHERE user_no = $1 AND name IS NULL AND expires_at > now()""",
            user_no,
        )
        if waiting >= _ANNOUNCED_MAX:
            raise MatrixError(
                429,
                "M_LIMIT_EXCEEDED",
                f"{_ANNOUNCED_MAX} uploads are announced and not done.",
                retry_after_ms=60_000,
            )
        media_id = secrets.token_urlsafe(18)
        await self._database.fetch(
            """INSERT INTO media (media_id, user_no, expires_at)
               VALUES ($1, $2, now() + $3::float8 * interval '1 second')""",
            media_id,
            user_no,
            float(_ANNOUNCED_S),
        )
        return Announced(media_id, int((time.time() + _ANNOUNCED_S) * 1000))

    async def check_announced(self, user_no: int, media_id: str) -> None:
        """Whether the user may upload to this id now.

        Raises M_NOT_FOUND, M_FORBIDDEN, M_CANNOT_OVERWRITE_MEDIA.
        """
        row = await self._database.fetchrow(
            """SELECT user_no, name IS NOT NULL AS is_there, expires_at <= now() AS has_expired
               FROM media WHERE media_id = $1""",
            media_id,
        )
        if row is None or (row["has_expired"] and not row["is_there"]):
            raise not_found("There is no such id, or its time is over.")
        if row["user_no"] != user_no:
            raise forbidden("This id is somebody else's.")
        if row["is_there"]:
            raise _cannot_overwrite()

    async def download(self, media_id: str, timeout_s: float) -> File:
        """A file; one that is announced is waited for. Raises M_NOT_FOUND, M_NOT_YET_UPLOADED."""
        name, content_type, filename = await self._found(media_id, timeout_s)
        try:
            return File(await self.blobs.read(name), content_type, filename)
        except BlobMissingError as error:
            raise not_found("The file is gone.") from error

    async def thumbnail(
        self, media_id: str, width: int, height: int, *, crop: bool, timeout_s: float
    ) -> File:
        """A picture made smaller, as it was made before or now.

        Raises what `download` raises, M_UNKNOWN for what is no picture, M_TOO_LARGE.
        """
        name, _, _ = await self._found(media_id, timeout_s)
        size = next(
            (one for one in THUMBNAILS if one[0] >= width and one[1] >= height), THUMBNAILS[-1]
        )
        made = await self._database.fetchrow(
            """SELECT name, content_type FROM thumbnail
               WHERE media_id = $1 AND width = $2 AND height = $3 AND crop = $4""",
            media_id,
            *size,
            crop,
        )
        if made is not None:
            try:
                return File(await self.blobs.read(made["name"]), made["content_type"], None)
            except BlobMissingError:
                # It need not survive a crash, and did not.
                await self._database.fetch("DELETE FROM thumbnail WHERE name = $1", made["name"])
        picture = await self._draw(name, size, crop=crop)
        await self._keep(media_id, size, picture, crop=crop)
        return File(Content(len(picture.body), _only(picture.body)), picture.content_type, None)

    async def sweep(self) -> None:
        """Delete files that nothing names, and announcements whose time is over."""
        while True:
            await asyncio.sleep(_SWEEP_S)
            try:
                await self._database.fetch(
                    "DELETE FROM media WHERE name IS NULL AND expires_at < now()"
                )
                while await swept(self._database, self.blobs) == _AT_ONCE:
                    pass
            except (BlobStoreError, DatabaseUnavailableError) as error:
                log.warning("files are not deleted", extra={"error": str(error)})

    async def _found(self, media_id: str, timeout_s: float) -> tuple[str, str, str | None]:
        deadline_s = time.monotonic() + timeout_s
        while True:
            row = await self._database.fetchrow(
                """SELECT name, content_type, filename FROM media
                   WHERE media_id = $1 AND (name IS NOT NULL OR expires_at > now())""",
                media_id,
            )
            if row is None:
                raise not_found("There is no such file.")
            if row["name"] is not None:
                return row["name"], row["content_type"], row["filename"]
            if time.monotonic() >= deadline_s:
                raise MatrixError(504, "M_NOT_YET_UPLOADED", "The file is announced, not there.")
            await asyncio.sleep(_LOOK_AGAIN_S)

    async def _draw(self, name: str, size: tuple[int, int], *, crop: bool) -> Picture:
        try:
            with await self.blobs.open(name, _PICTURE_BYTES_MAX) as file:
                draw = partial(
                    cropped if crop else scaled, file, *size, pixels_max=_PICTURE_PIXELS_MAX
                )
                return await self._drawing.do(draw)
        except BlobMissingError as error:
            raise not_found("The file is gone.") from error
        except BlobTooLargeError as error:
            raise too_large("The picture is too large for a thumbnail.") from error
        except ImageRefusedError as error:
            if error.why == "pixels":
                raise too_large("The picture is too large for a thumbnail.") from error
            raise MatrixError(400, "M_UNKNOWN", f"No thumbnail can be made: {error}.") from error

    async def _keep(
        self, media_id: str, size: tuple[int, int], picture: Picture, *, crop: bool
    ) -> None:
        name = new_name()
        await doom(self._database, [name])
        await self.blobs.put(name, picture.body, picture.content_type, durable=False)
        async with transaction(self._database) as connection:
            kept = await connection.fetchval(
                """INSERT INTO thumbnail (media_id, width, height, crop, name, content_type)
                   SELECT media_id, $2, $3, $4, $5, $6 FROM media WHERE media_id = $1
                   ON CONFLICT DO NOTHING RETURNING 1""",
                media_id,
                *size,
                crop,
                name,
                picture.content_type,
            )
            if kept is not None:
                await spare(connection, [name])


def _cannot_overwrite() -> MatrixError:
    return MatrixError(409, "M_CANNOT_OVERWRITE_MEDIA", "There is a file of this id already.")


async def _only(body: bytes) -> AsyncGenerator[bytes, None]:
    yield body
