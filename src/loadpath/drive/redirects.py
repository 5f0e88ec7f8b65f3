"""Following a redirect: what is asked for next, or why it is not followed. Pure."""

from __future__ import annotations

from urllib.parse import quote, urljoin, urlsplit

from loadpath.drive.requests import TARGET_SAFE
from loadpath.recording.redact import redact_urls

REDIRECTS = frozenset((301, 302, 303, 307, 308))

_ABOUT_THE_BODY = (b"content-length:", b"content-type:", b"content-encoding:")


class RedirectError(Exception):
    """A redirect that is not followed; the message says where it pointed, query values hidden."""


def redirected(payload: bytes, status: int, location: str, authority: str) -> bytes:
    """The request that a redirect asks for, of the request it replies to, as bytes.

    `authority` is the service's own, as `http://127.0.0.1:8000`. The method stays with 307 and 308,
    and becomes GET with 303 (HEAD stays), and so does a POST with 301 and 302, as in every browser
    (RFC 9110, section 15.4). Raises `RedirectError` when it leaves the service.
    """
    line_end = payload.index(b"\r\n")
    method, target, version = payload[:line_end].split(b" ")
    try:
        goal = urljoin(authority + target.decode("ascii"), location.strip())
        parts = urlsplit(goal)
        own = _origin(goal) == _origin(authority)
    except ValueError:
        raise RedirectError(f"redirected to {_shown(location)}, which is no address") from None
    if not own:
        raise RedirectError(
            f"redirected off the service, to {_shown(goal)}: it is recorded and not followed"
        )
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    head, _, body = payload[line_end + 2 :].partition(b"\r\n\r\n")
    if (status == 303 and method != b"HEAD") or (status in {301, 302} and method == b"POST"):
        method, body = b"GET", b""
        lines = head.split(b"\r\n")
        head = b"\r\n".join([x for x in lines if not x.lower().startswith(_ABOUT_THE_BODY)])
    # The header was read as Latin-1, so that its bytes come out as they came in.
    target = quote(path, safe=TARGET_SAFE, encoding="latin-1", errors="replace").encode("ascii")
    return b"%b %b %b\r\n%b\r\n\r\n%b" % (method, target, version, head, body)


def too_many(location: str, limit: int) -> RedirectError:
    """For a redirect after as many as may be followed."""
    return RedirectError(f"more than {limit} redirects in a row, the next to {_shown(location)}")


def target_of(payload: bytes) -> str:
    """The path and query that a request asks for."""
    return payload[: payload.index(b"\r\n")].split(b" ")[1].decode("ascii")


def method_of(payload: bytes) -> str:
    """The method of a request."""
    return payload[: payload.index(b" ")].decode("ascii")


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname, port


def _shown(url: str) -> str:
    return redact_urls(url)[:200]
