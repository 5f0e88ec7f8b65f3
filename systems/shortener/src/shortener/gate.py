"""Links that do not simply lead on: those with a password, and those to a banned host.

A target says with one flag, `guarded`, that it has to pass here; all others never come near.
"""

from __future__ import annotations

import base64
import hashlib
import html
import math
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

from systems_common.database import Database

from shortener import problems
from shortener.guard import LEADS_TO_BANNED
from shortener.passwords import Passwords
from shortener.throttle import Throttle

__all__ = ["Gate", "GuardedError", "read_body"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

_BODY_BYTES_MAX = 4_096
_SELECT = f"""
SELECT password_digest, ({LEADS_TO_BANNED}) AS is_banned FROM link WHERE id = $1"""

_STYLE = """
:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}
body{margin:0;min-height:100vh;display:grid;place-items:center;background:Canvas;color:CanvasText}
main{width:min(22rem,100vw - 3rem)}
h1{font-size:1.35rem;margin:0 0 .25rem}
p{margin:0 0 1.25rem}
label{display:block;font-weight:600;margin-bottom:.35rem}
input,button{box-sizing:border-box;width:100%;font:inherit;padding:.65rem .75rem;
border-radius:.5rem}
input{border:1px solid GrayText;background:Field;color:FieldText}
button{margin-top:.75rem;border:0;background:#1d5fd1;color:#fff;font-weight:600;cursor:pointer}
button:hover{background:#174eac}
:focus-visible{outline:3px solid #6ea0f5;outline-offset:2px}
.wrong{color:#b3261e;font-weight:600}
@media(prefers-color-scheme:dark){.wrong{color:#ff9d94}}
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="robots" content="noindex"><title>Password needed</title>
<style>{style}</style></head>
<body><main><h1>This link has a password</h1>
<p>Whoever gave you the link can tell you.</p>{message}
<form method="post"><label for="password">Password</label>
<input id="password" name="password" type="password" maxlength="256" required autofocus
 autocomplete="off"{described}><button>Go on</button></form></main></body></html>
"""
# No form-action: browsers apply it to the redirect that follows a form as well.
_CSP = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; frame-ancestors 'none'"
)


class GuardedError(Exception):
    """The link must not lead on before `Gate.admits` says so."""

    def __init__(self, link_id: int) -> None:
        super().__init__(link_id)
        self.link_id = link_id


class Gate:
    """Asks for passwords, and stops at banned hosts."""

    def __init__(self, database: Database, passwords: Passwords, throttle: Throttle) -> None:
        self._database = database
        self._passwords = passwords
        self._throttle = throttle

    async def admits(self, scope: Scope, receive: Receive, send: Send, link_id: int) -> bool:
        """Whether the request may follow the link; False: it has been answered.

        Raises the problem of a link whose host is banned or that is gone.
        """
        row = await self._database.fetchrow(_SELECT, link_id)
        if row is None:
            raise problems.link_not_found(scope["path"][1:])
        if row["is_banned"]:
            raise problems.link_banned()
        kept = row["password_digest"]
        if kept is None:
            return True
        if scope["method"] != "POST":
            await _ask(send, 200, head=scope["method"] == "HEAD")
            return False
        given = _password_in(await read_body(receive, _BODY_BYTES_MAX))
        verdict = await self._throttle.try_password(scope, link_id)
        if not verdict.allowed:
            wait_s = max(1, math.ceil(verdict.retry_s))
            text = f"Too many tries. Wait {wait_s} s, then try again."
            await _ask(send, 429, text, headers=[(b"retry-after", b"%d" % wait_s)])
            return False
        if given and await self._passwords.match(given, kept):
            return True
        await _ask(send, 403, "That is not the password.")
        return False


def _password_in(body: bytes | None) -> str:
    if body is None:
        return ""
    found = parse_qs(body.decode("utf-8", "replace"), max_num_fields=10, encoding="utf-8")
    return found.get("password", [""])[0]


async def read_body(receive: Receive, bytes_max: int) -> bytes | None:
    """The body of a request; None when it is longer than that or the client went away."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if len(body) > bytes_max:
            return None
        if not message.get("more_body", False):
            return bytes(body)


async def _ask(
    send: Send,
    status: int,
    message: str = "",
    *,
    head: bool = False,
    headers: list[tuple[bytes, bytes]] | None = None,
) -> None:
    said = f'<p class="wrong" id="said" role="alert">{html.escape(message)}</p>' if message else ""
    described = ' aria-describedby="said" aria-invalid="true"' if message else ""
    body = _PAGE.format(style=_STYLE, message=said, described=described).encode()
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-type", b"text/html; charset=utf-8"),
                (b"content-length", str(len(body)).encode()),
                (b"cache-control", b"no-store"),
                (b"content-security-policy", _CSP.encode()),
                (b"referrer-policy", b"no-referrer"),
                (b"x-content-type-options", b"nosniff"),
                *(headers or []),
            ],
        }
    )
    await send({"type": "http.response.body", "body": b"" if head else body})
