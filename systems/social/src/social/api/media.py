"""Pictures: uploaded, described, deleted, and the files themselves."""

from __future__ import annotations

from systems_common.blobs import BlobMissingError, checked_name
from systems_common.images import IMAGE_TYPES

from social.entities import MediaAttachment
from social.errors import invalid, not_found
from social.media import TYPE_OF_SUFFIX, MediaEdit
from social.web.routing import Answer, Call, Empty, Endpoints

__all__ = ["FILE_HEADERS", "endpoints"]

endpoints = Endpoints()

# A name is given once, so what it stands for never changes. Whatever a browser makes of the file,
# it has nothing of this server's in its hands.
FILE_HEADERS = (
    (b"cache-control", b"public, max-age=31536000, immutable"),
    (b"content-disposition", b"inline"),
    (b"content-security-policy", b"default-src 'none'; sandbox"),
    (b"cross-origin-resource-policy", b"cross-origin"),
    (b"x-content-type-options", b"nosniff"),
)


@endpoints.add("POST", "/api/v2/media", MediaEdit, who="user", scope="write:media", files=("file",))
@endpoints.add("POST", "/api/v1/media", MediaEdit, who="user", scope="write:media", files=("file",))
async def upload(call: Call, edit: MediaEdit) -> MediaAttachment:
    """Upload a picture, to be named in the `media_ids` of a status."""
    file = call.files.get("file")
    if file is None:
        raise invalid("File can't be blank")
    return await call.service.media.upload(call.me, file.file, edit)


@endpoints.add("GET", "/api/v1/media/{id}", Empty, who="user", scope="write:media")
async def show(call: Call, _: Empty) -> MediaAttachment:
    """A picture of one's own that no status has yet."""
    return await call.service.media.read(call.me, call.id)


@endpoints.add("PUT", "/api/v1/media/{id}", MediaEdit, who="user", scope="write:media")
async def edit(call: Call, asked: MediaEdit) -> MediaAttachment:
    """Describe a picture that no status has yet, and say what of it matters."""
    return await call.service.media.edit(call.me, call.id, asked)


@endpoints.add("DELETE", "/api/v1/media/{id}", Empty, who="user", scope="write:media")
async def delete(call: Call, _: Empty) -> dict[str, str]:
    """Delete a picture that no status has."""
    await call.service.media.delete(call.me, call.id)
    return {}


@endpoints.add("GET", "/media/{name}", Empty, who="anyone", media_types=IMAGE_TYPES)
async def file(call: Call, _: Empty) -> Answer:
    """The file of a picture."""
    name = call.path[0]
    content_type = TYPE_OF_SUFFIX.get(name.rpartition(".")[2])
    if content_type is None:
        raise not_found()
    accel = call.service.settings.media_accel
    try:
        if accel:
            # The proxy reads the file itself; it knows best whether it is there.
            target = f"{accel}/{checked_name(name)[:2]}/{name}".encode()
            headers = (*FILE_HEADERS, (b"x-accel-redirect", target))
            return Answer(b"", content_type=content_type, headers=headers)
        content = await call.service.media.blobs.read(name)
    except (BlobMissingError, ValueError):
        raise not_found() from None
    return Answer(b"", content_type=content_type, headers=FILE_HEADERS, content=content)
