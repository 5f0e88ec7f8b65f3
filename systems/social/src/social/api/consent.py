"""The consent page: plain HTML, nothing is loaded, nothing runs."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from social.web.routing import Answer

__all__ = ["code_page", "consent_page"]

_HTML = "text/html; charset=utf-8"
_HEADERS = (
    (b"cache-control", b"no-store"),
    # No form-action: browsers apply it to the redirect as well, which leads to the app.
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
)


def _page(title: str, body: str, status: int) -> Answer:
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title></head><body><main><h1>{escape(title)}</h1>{body}"
        "</main></body></html>"
    )
    return Answer(text.encode(), status, _HTML, _HEADERS)


def consent_page(
    app: str, scopes: str, hidden: Mapping[str, str], *, problem: str = "", status: int = 200
) -> Answer:
    """Name, password and the decision. It asks each time: nobody stays signed in here."""
    fields = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in hidden.items()
    )
    wanted = "".join(f"<li>{escape(scope)}</li>" for scope in scopes.split())
    said = f'<p role="alert">{escape(problem)}</p>' if problem else ""
    return _page(
        "Authorization required",
        f"<p><strong>{escape(app)}</strong> asks to act for you:</p><ul>{wanted}</ul>{said}"
        f'<form method="post" action="/oauth/authorize">{fields}'
        '<p><label>Name or e-mail <input name="username" autocomplete="username"></label></p>'
        '<p><label>Password <input name="password" type="password"'
        ' autocomplete="current-password"></label></p>'
        '<p><button name="decision" value="allow">Allow</button> '
        '<button name="decision" value="deny">Deny</button></p></form>',
        status,
    )


def code_page(code: str) -> Answer:
    """The code, for an app that cannot be redirected to."""
    return _page(
        "Authorization code",
        f"<p>Copy this code into the app:</p><p><code>{escape(code)}</code></p>",
        200,
    )
