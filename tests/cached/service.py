"""Pages whose caching is wrong in one way each, or right: `TRAPS` in the environment says which.

python service.py PORT    TRAPS=yes: planted; else their clean twins.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import sys
import time
from urllib.parse import parse_qsl

import uvicorn

PLANTED = os.environ.get("TRAPS") == "yes"
PUBLIC = "public, max-age=60"
PRIVATE = "private, max-age=60"
SPIN = 300

_reads = itertools.count()
_asked = itertools.count()
_notes: dict[str, int] = {}


def work() -> None:
    """What a page costs."""
    for turn in range(SPIN):
        hashlib.sha256(b"%d" % turn).digest()


def account(who: str, cookie: str, query: dict[str, str]) -> tuple[int, str, dict[str, str]]:
    """Personalised by a cookie: `Vary` has to say so."""
    vary = {} if PLANTED else {"vary": "Cookie"}
    return 200, f"the basket of {cookie}", {"cache-control": PUBLIC, **vary}


def invoices(who: str, cookie: str, query: dict[str, str]) -> tuple[int, str, dict[str, str]]:
    """Private data, for whoever is authorized."""
    if not who:
        return 401, "who are you?", {"cache-control": "no-store"}
    return 200, f"invoices of {who}", {"cache-control": PUBLIC if PLANTED else PRIVATE}


def counter(who: str, cookie: str, query: dict[str, str]) -> tuple[int, str, dict[str, str]]:
    """Changes at every read, or with nothing."""
    return 200, f"read {next(_reads) if PLANTED else 0} times", {"cache-control": PUBLIC}


def shaky(who: str, cookie: str, query: dict[str, str]) -> tuple[int, str, dict[str, str]]:
    """Fails now and then."""
    if next(_asked) % 8 == 3:
        return 503, "try again", {"cache-control": PUBLIC if PLANTED else "no-store"}
    return 200, "all is well", {"cache-control": PUBLIC}


def search(who: str, cookie: str, query: dict[str, str]) -> tuple[int, str, dict[str, str]]:
    """Depends on `q`, and not on where the visitor came from."""
    left_out = '("q" "utm_source")' if PLANTED else '("utm_source")'
    found = f"results for {query.get('q', 'nothing')}"
    return 200, found, {"cache-control": PUBLIC, "no-vary-search": f"params={left_out}"}


def theme(who: str, cookie: str, query: dict[str, str]) -> tuple[int, str, dict[str, str]]:
    """Depends on a cookie, for those who are authorized too."""
    chosen = ("light", "dark")[hashlib.sha256(cookie.encode()).digest()[0] % 2]
    vary = {"vary": "Authorization" if PLANTED else "Authorization, Cookie"}
    return 200, f"{chosen if cookie else 'plain'} for {who}", {"cache-control": PUBLIC, **vary}


def page(who: str, cookie: str, query: dict[str, str]) -> tuple[int, str, dict[str, str]]:
    """Worth keeping: dear, and changed by a write alone."""
    work()
    number = query.get("n", "0")
    return 200, f"page {number}, version {_notes.get(number, 0)}", {"cache-control": PUBLIC}


def edit(who: str, cookie: str, query: dict[str, str]) -> tuple[int, str, dict[str, str]]:
    """Changes a page."""
    number = query.get("n", "0")
    _notes[number] = _notes.get(number, 0) + 1
    return 200, "edited", {"cache-control": "no-store"}


ROUTES = {
    f"/{function.__name__}": function
    for function in (account, invoices, counter, shaky, search, theme, page, edit)
}


async def app(scope, receive, send) -> None:  # type: ignore[no-untyped-def]
    """ASGI."""
    if scope["type"] != "http":
        return
    given = {name.decode(): value.decode() for name, value in scope["headers"]}
    answer = ROUTES.get(scope["path"])
    status, body, headers = 200, "ready", {}
    if answer is not None:
        query = dict(parse_qsl(scope["query_string"].decode()))
        who, cookie = given.get("authorization", ""), given.get("cookie", "")
        status, body, headers = answer(who, cookie, query)
    headers = {"content-type": "text/plain", "x-request-id": str(time.monotonic_ns()), **headers}
    lines = [(name.encode(), value.encode()) for name, value in headers.items()]
    content = body.encode()
    lines.append((b"content-length", b"%d" % len(content)))
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": content})


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), log_level="warning")
