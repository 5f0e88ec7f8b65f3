"""Pictures: taken in, shown with statuses, and gone when nothing shows them any more."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import IO, Any, Literal

import msgspec
from systems_common.blobs import Blobs, BlobStoreError
from systems_common.blobs.doomed import doom, new_name, spare, swept
from systems_common.database import Database, DatabaseUnavailableError, transaction
from systems_common.ids import IdGenerator
from systems_common.images import Drawing, ImageRefusedError, Picture, cropped, prepared

from social.entities import MediaAttachment, MediaFocus, MediaMeta, MediaSize
from social.errors import ApiError, invalid, not_found

__all__ = [
    "ATTACHED_MAX",
    "DESCRIPTION_MAX",
    "PICTURES",
    "TYPE_OF_SUFFIX",
    "Media",
    "MediaEdit",
    "attach",
    "attachment",
    "focus_of",
    "new_version",
]

log = logging.getLogger(__name__)

ATTACHED_MAX = 4
DESCRIPTION_MAX = 1_500
_SWEEP_S = 60.0
_AT_ONCE = 100
_SUFFIXES = {
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/gif": ".gif",
    "image/webp": ".webp",
}
TYPE_OF_SUFFIX = {suffix.lstrip("."): kind for kind, suffix in _SUFFIXES.items()}
PictureOf = Literal["avatar", "header"]
PICTURES: tuple[PictureOf, ...] = ("avatar", "header")
"""The pictures that an account has."""
_SIZES = {"avatar": (400, 400), "header": (1500, 500)}

_INSERT = """
INSERT INTO media (id, account_id, name, width, height, preview_name, preview_width,
                   preview_height, blurhash, description, focus_x, focus_y)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING *"""


class MediaEdit(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of a picture: `focus` is "x,y", each from -1 to 1. None: as it is."""

    description: str | None = None
    focus: str | None = None


class Media:
    """Pictures of statuses and of accounts."""

    def __init__(
        self,
        database: Database,
        ids: IdGenerator,
        blobs: Blobs,
        *,
        url: str,
        pixels_max: int,
        unused_s: float,
    ) -> None:
        self.blobs = blobs
        self.url = url
        self._database = database
        self._ids = ids
        self._pixels_max = pixels_max
        self._unused_s = unused_s
        self._drawing = Drawing()

    async def upload(self, account: int, file: IO[bytes], edit: MediaEdit) -> MediaAttachment:
        """Take a picture in. Raises a 422 that says why it is not taken, `BlobStoreError`."""
        focus = focus_of(edit.focus) or (0.0, 0.0)
        description = _described(edit.description)
        try:
            found = await self._drawing.do(prepared, file, pixels_max=self._pixels_max)
        except ImageRefusedError as error:
            raise invalid(f"File: {error}") from error
        names = [_name_for(found.original), _name_for(found.preview)]
        await doom(self._database, names)
        for name, picture in zip(names, (found.original, found.preview), strict=True):
            await self.blobs.put(name, picture.body, picture.content_type)
        async with transaction(self._database) as connection:
            await spare(connection, names)
            row = await connection.fetchrow(
                _INSERT,
                self._ids.next(),
                account,
                names[0],
                found.original.width,
                found.original.height,
                names[1],
                found.preview.width,
                found.preview.height,
                found.blurhash,
                description,
                *focus,
            )
        return attachment(row, self.url)

    async def read(self, account: int, identifier: int) -> MediaAttachment:
        """A picture of the account's that no status has yet. Raises a 404."""
        row = await self._database.fetchrow(
            "SELECT * FROM media WHERE id = $1 AND account_id = $2 AND status_id IS NULL",
            identifier,
            account,
        )
        if row is None:
            raise not_found()
        return attachment(row, self.url)

    async def edit(self, account: int, identifier: int, edit: MediaEdit) -> MediaAttachment:
        """Say something else of a picture that no status has yet. Raises a 404 or a 422."""
        focus = focus_of(edit.focus) or (None, None)
        row = await self._database.fetchrow(
            f"{_CHANGE} AND account_id = $5 AND status_id IS NULL RETURNING *",
            identifier,
            _described(edit.description),
            *focus,
            account,
        )
        if row is None:
            raise not_found()
        return attachment(row, self.url)

    async def delete(self, account: int, identifier: int) -> None:
        """Delete a picture that no status has. Raises a 404, or a 422 when one has it."""
        row = await self._database.fetchrow(
            """WITH gone AS (DELETE FROM media WHERE id = $1 AND account_id = $2
                                 AND status_id IS NULL RETURNING 1)
               SELECT status_id, EXISTS (SELECT FROM gone) FROM media
               WHERE id = $1 AND account_id = $2""",
            identifier,
            account,
        )
        if row is None:
            raise not_found()
        if not row[1]:
            raise ApiError(422, "Media attachment is currently used by a status")

    async def set_pictures(self, account: int, files: Mapping[PictureOf, IO[bytes] | None]) -> None:
        """Make pictures those of an account; None takes one away. Raises a 422."""
        drawn: dict[PictureOf, Picture] = {}
        for column, file in files.items():
            if file is None:
                continue
            work = partial(cropped, file, *_SIZES[column], pixels_max=self._pixels_max)
            try:
                drawn[column] = await self._drawing.do(work)
            except ImageRefusedError as error:
                raise invalid(f"{column.capitalize()}: {error}") from error
        names = {column: _name_for(picture) for column, picture in drawn.items()}
        if names:
            await doom(self._database, list(names.values()))
        for drawn_of, picture in drawn.items():
            await self.blobs.put(names[drawn_of], picture.body, picture.content_type)
        # The names are the two above, never the client's.
        changes = ", ".join(f"{column} = ${at}" for at, column in enumerate(files, start=2))
        async with transaction(self._database) as connection:
            await spare(connection, list(names.values()))
            await connection.execute(
                f"UPDATE account SET {changes}, version = version + 1 WHERE id = $1",
                account,
                *(names.get(column) for column in files),
            )

    async def sweep(self) -> None:
        """Delete pictures that no status has had for long, and files that nothing names."""
        while True:
            await asyncio.sleep(min(_SWEEP_S, self._unused_s / 4))
            try:
                while await self._forget_unused() == _AT_ONCE:
                    pass
                while await swept(self._database, self.blobs) == _AT_ONCE:
                    pass
            except (BlobStoreError, DatabaseUnavailableError) as error:
                log.warning("files are not deleted", extra={"error": str(error)})

    async def _forget_unused(self) -> int:
        rows = await self._database.fetch(
            """DELETE FROM media WHERE id IN (
                   SELECT id FROM media WHERE status_id IS NULL
                       AND unused_since < now() - $1::float8 * interval '1 second'
                   LIMIT $2 FOR UPDATE SKIP LOCKED)
               RETURNING id""",
            self._unused_s,
            _AT_ONCE,
        )
        return len(rows)


_CHANGE = """UPDATE media SET description = coalesce($2, description),
    focus_x = coalesce($3, focus_x), focus_y = coalesce($4, focus_y) WHERE id = $1"""


async def attach(
    connection: Any,
    account: int,
    status: int,
    media: Sequence[int],
    edits: Mapping[int, MediaEdit] | None = None,
) -> None:
    """Give a status its pictures, within the transaction that writes it. Raises a 422."""
    rows = await connection.fetch(
        """UPDATE media SET status_id = $2, place = x.place
           FROM unnest($3::bigint[]) WITH ORDINALITY AS x (id, place)
           WHERE media.id = x.id AND account_id = $1 AND (status_id IS NULL OR status_id = $2)
           RETURNING media.id""",
        account,
        status,
        media,
    )
    if len(rows) != len(media):
        raise invalid("Media attachments are not there, or are used already")
    for identifier, edit in (edits or {}).items():
        if identifier in media:
            focus = focus_of(edit.focus) or (None, None)
            await connection.execute(_CHANGE, identifier, _described(edit.description), *focus)
    if media:
        await connection.execute(
            "UPDATE status SET has_media = true WHERE id = $1 AND NOT has_media", status
        )


async def new_version(
    connection: Any,
    account: int,
    status: int,
    version: int,
    media: Sequence[int],
    edits: Mapping[int, MediaEdit],
) -> None:
    """Give an edited status other pictures; the version before keeps its own."""
    await connection.execute(
        """UPDATE status_edit SET media = (
               SELECT jsonb_agg(to_jsonb(m) ORDER BY m.place) FROM media AS m
               WHERE m.status_id = $1 AND m.place IS NOT NULL)
           WHERE status_id = $1 AND version = $2""",
        status,
        version,
    )
    await connection.execute(
        "UPDATE media SET place = NULL WHERE status_id = $1 AND place IS NOT NULL", status
    )
    if not media:
        await connection.execute("UPDATE status SET has_media = false WHERE id = $1", status)
    await attach(connection, account, status, media, edits)


def attachment(row: Any, url: str) -> MediaAttachment:
    """A row of `media`, as record or decoded JSON, as the API shows it."""
    return MediaAttachment(
        id=str(row["id"]),
        url=f"{url}/{row['name']}",
        preview_url=f"{url}/{row['preview_name']}",
        meta=MediaMeta(
            original=_size(row["width"], row["height"]),
            small=_size(row["preview_width"], row["preview_height"]),
            focus=MediaFocus(round(row["focus_x"], 4), round(row["focus_y"], 4)),
        ),
        description=row["description"],
        blurhash=row["blurhash"],
    )


def _size(width: int, height: int) -> MediaSize:
    return MediaSize(width, height, f"{width}x{height}", width / height)


def _name_for(picture: Picture) -> str:
    return new_name(_SUFFIXES[picture.content_type])


def _described(text: str | None) -> str | None:
    if text is not None and len(text) > DESCRIPTION_MAX:
        raise invalid(f"Description is too long (maximum is {DESCRIPTION_MAX} characters)")
    return text


def focus_of(text: str | None) -> tuple[float, float] | None:
    """What must stay in sight when a picture is cut, "x,y". Raises a 422."""
    if not text:
        return None
    try:
        x, y = (float(part) for part in text.split(","))
    except ValueError:
        raise invalid("Focus must be two numbers, such as 0.5,-0.25") from None
    if not (-1 <= x <= 1 and -1 <= y <= 1):
        raise invalid("Focus must lie between -1,-1 and 1,1")
    return x, y
