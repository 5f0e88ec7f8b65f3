"""The consent page: plain HTML with a style sheet; nothing runs."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from social.web.routing import Answer
from social.web.site import framed

__all__ = ["code_page", "consent_page"]

_HEADERS = (
    (b"cache-control", b"no-store"),
    # No form-action: browsers apply it to the redirect as well, which leads to the app.
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'self'; img-src 'self'; frame-ancestors 'none';"
        b" base-uri 'none'",
    ),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
)


def _page(title: str, body: str, status: int) -> Answer:
    main = f'<main class="narrow"><div class="card"><h1>{escape(title)}</h1>{body}</div></main>'
    return framed(title, main, status=status, headers=_HEADERS)


def consent_page(
    app: str, scopes: str, hidden: Mapping[str, str], *, problem: str = "", status: int = 200
) -> Answer:
    """Name, password and the decision. It asks each time: nobody stays signed in here."""
    fields = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in hidden.items()
    )
    wanted = "".join(f'<li class="mark">{escape(scope)}</li>' for scope in scopes.split())
    said = f'<p class="notice bad" role="alert">{escape(problem)}</p>' if problem else ""
    return _page(
        "Authorization required",
        f'<p><strong>{escape(app)}</strong> asks to act for you:</p><ul class="scopes">{wanted}'
        f'</ul>{said}<form method="post" action="/oauth/authorize">{fields}'
        '<label for="username">Name or e-mail</label>'
        '<input id="username" name="username" autocomplete="username" autocapitalize="none">'
        '<label for="password">Password</label>'
        '<input id="password" name="password" type="password" autocomplete="current-password">'
        '<p class="decision"><button name="decision" value="allow">Allow</button> '
        '<button class="plain" name="decision" value="deny">Deny</button></p></form>',
        status,
    )


def code_page(code: str) -> Answer:
    """The code, for an app that cannot be redirected to."""
    return _page(
        "Authorization code",
        f"<p>Copy this code into the app:</p><p><code>{escape(code)}</code></p>",
        200,
    )
