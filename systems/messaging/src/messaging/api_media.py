"""Endpoints of files: upload, download, thumbnails (specification, "Content repository")."""

from __future__ import annotations

import re
from urllib.parse import quote

from messaging.errors import invalid_param, missing_param, not_found, too_large
from messaging.http import EMPTY, Reply, Request, reply_json
from messaging.media import File
from messaging.service import Route, Service

__all__ = ["ROUTES"]

_V3 = "/_matrix/media/v3"
_V1 = "/_matrix/client/v1/media"
_FILENAME_MAX = 255
_TIMEOUT_MS, _TIMEOUT_MS_MAX = 20_000, 60_000
_CONTENT_TYPE = re.compile(r"[\x20-\x7e]{1,255}")
# What the specification lists as harmless where a browser shows it.
_INLINE = frozenset(
    [
        *("text/css", "text/plain", "text/csv", "application/json", "application/ld+json"),
        *("image/jpeg", "image/gif", "image/png", "image/apng", "image/webp", "image/avif"),
        *("video/mp4", "video/webm", "video/ogg", "video/quicktime"),
        *("audio/mp4", "audio/webm", "audio/aac", "audio/mpeg", "audio/ogg", "audio/wave"),
        *("audio/wav", "audio/x-wav", "audio/x-pn-wav", "audio/flac", "audio/x-flac"),
    ]
)
_POLICY = (
    b"sandbox; default-src 'none'; script-src 'none'; plugin-types application/pdf;"
    b" style-src 'unsafe-inline'; media-src 'self'; object-src 'self';"
)


async def _upload(service: Service, request: Request, announced: str | None = None) -> str:
    """What arrives, kept; its id."""
    media = service.media
    length = request.header(b"content-length") or ""
    if length.isascii() and length.isdigit() and int(length) > media.bytes_max:
        raise too_large(f"A file may have {media.bytes_max} bytes.")
    content_type = request.header(b"content-type") or ""
    if not _CONTENT_TYPE.fullmatch(content_type):
        content_type = "application/octet-stream"
    filename = request.query.get("filename") or None
    if filename is not None and len(filename) > _FILENAME_MAX:
        raise invalid_param(f"filename: expected at most {_FILENAME_MAX} characters")
    return await media.upload(
        request.session.user_no, request.parts(), content_type, filename, announced
    )


async def upload(service: Service, request: Request) -> Reply:
    """Upload a file."""
    media_id = await _upload(service, request)
    return reply_json({"content_uri": f"mxc://{service.settings.server_name}/{media_id}"})


async def announce(service: Service, request: Request) -> Reply:
    """An id for a file that is uploaded later, so that messages can name it now."""
    found = await service.media.announce(request.session.user_no)
    return reply_json(
        {
            "content_uri": f"mxc://{service.settings.server_name}/{found.media_id}",
            "unused_expires_at": found.expires_ms,
        }
    )


async def upload_announced(service: Service, request: Request) -> Reply:
    """Upload a file under an id that was given before."""
    media_id = _local(service, request)
    await service.media.check_announced(request.session.user_no, media_id)
    await _upload(service, request, media_id)
    return EMPTY


async def config(service: Service, request: Request) -> Reply:
    """How large a file may be."""
    return reply_json({"m.upload.size": service.media.bytes_max})


async def download(service: Service, request: Request) -> Reply:
    """A file."""
    media_id = _local(service, request)
    file = await service.media.download(media_id, _timeout_s(request))
    given = request.args[2] if len(request.args) > 2 else ""
    return _sent(file, given or file.filename, private=request.maybe_session is not None)


async def thumbnail(service: Service, request: Request) -> Reply:
    """A picture made smaller, never larger."""
    media_id = _local(service, request)
    size = []
    for name in ("width", "height"):
        if name not in request.query:
            raise missing_param(f"{name}: expected a number of pixels")
        size.append(request.integer(name, 0, least=1, most=100_000))
    method = request.query.get("method", "scale")
    if method not in ("scale", "crop"):
        raise invalid_param("method: expected scale or crop")
    width, height = size
    file = await service.media.thumbnail(
        media_id, width, height, crop=method == "crop", timeout_s=_timeout_s(request)
    )
    return _sent(file, None, private=request.maybe_session is not None)


async def legacy_download(service: Service, request: Request) -> Reply:
    """A file, for who is not signed in; until version 1.11 of the specification."""
    _check_legacy(service)
    return await download(service, request)


async def legacy_thumbnail(service: Service, request: Request) -> Reply:
    """A picture made smaller, for who is not signed in; until version 1.11."""
    _check_legacy(service)
    return await thumbnail(service, request)


def _check_legacy(service: Service) -> None:
    if service.settings.media_legacy == "off":
        raise not_found("Files are for who is signed in: /_matrix/client/v1/media.")


def _local(service: Service, request: Request) -> str:
    if request.args[0] != service.settings.server_name:
        # There is no federation, so there are no files of others.
        raise not_found("There is no such file.")
    return request.args[1]


def _timeout_s(request: Request) -> float:
    return request.integer("timeout_ms", _TIMEOUT_MS, most=_TIMEOUT_MS_MAX) / 1000


def _sent(file: File, filename: str | None, *, private: bool) -> Reply:
    base = file.content_type.partition(";")[0].strip().lower()
    shown = "inline" if base in _INLINE else "attachment"
    if filename:
        shown += f"; filename*=utf-8''{quote(filename, safe='', errors='replace')}"
    who = b"private" if private else b"public"
    headers = (
        (b"content-type", file.content_type.encode("latin-1")),
        (b"content-disposition", shown.encode()),
        (b"content-security-policy", _POLICY),
        (b"cross-origin-resource-policy", b"cross-origin"),
        (b"x-content-type-options", b"nosniff"),
        (b"cache-control", who + b", max-age=31536000, immutable"),
    )
    return Reply(b"", headers=headers, content=file.content)


ROUTES = [
    Route("POST", f"{_V3}/upload", upload),
    Route("POST", "/_matrix/media/v1/create", announce),
    Route("PUT", f"{_V3}/upload/{{}}/{{}}", upload_announced),
    Route("GET", f"{_V1}/config", config),
    Route("GET", f"{_V1}/download/{{}}/{{}}", download),
    Route("GET", f"{_V1}/download/{{}}/{{}}/{{}}", download),
    Route("GET", f"{_V1}/thumbnail/{{}}/{{}}", thumbnail),
    Route("GET", f"{_V3}/config", config),
    Route("GET", f"{_V3}/download/{{}}/{{}}", legacy_download, public=True),
    Route("GET", f"{_V3}/download/{{}}/{{}}/{{}}", legacy_download, public=True),
    Route("GET", f"{_V3}/thumbnail/{{}}/{{}}", legacy_thumbnail, public=True),
]
