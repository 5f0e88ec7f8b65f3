"""Plain text as people write it, into HTML that is safe to show: escaped, with links made of web
addresses, mentions and hashtags. No HTML of a user is ever passed on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from urllib.parse import quote

__all__ = ["hashtags_of", "mentions_of", "rendered"]

_TOKEN = re.compile(
    r"(?P<url>https?://[^\s<>\"]+[^\s<>\".,;:!?'()\[\]])"
    r"|(?<![\w/@&])@(?P<name>[A-Za-z0-9_]{1,30})(?:@(?P<host>[\w.-]+(?::\d+)?[\w]))?(?![\w@])"
    r"|(?<![\w/&#])[#＃](?P<tag>\w*[^\W\d_]\w*)"
)
_TAG_MAX = 100
_SHOWN_MAX = 30


def mentions_of(text: str, host: str) -> list[str]:
    """The names mentioned, lower case, each once, in order; `@name@host` too if it is ours."""
    names = (
        match["name"].lower()
        for match in _TOKEN.finditer(text)
        if match["name"] and match["host"] in (None, host)
    )
    return list(dict.fromkeys(names))


def hashtags_of(text: str) -> list[str]:
    """The hashtags, lower case, each once, in order."""
    tags = (match["tag"].lower() for match in _TOKEN.finditer(text) if match["tag"])
    return [tag for tag in dict.fromkeys(tags) if len(tag) <= _TAG_MAX]


def rendered(text: str, mentioned: Mapping[str, str], *, base_url: str, host: str) -> str:
    """The text as HTML. `mentioned` maps names in lower case to names; others are no links."""

    def link(match: re.Match[str]) -> str:
        if url := match["url"]:
            shown = url.partition("://")[2].removeprefix("www.")
            more = "" if len(shown) <= _SHOWN_MAX else "…"
            return (
                f'<a href="{escape(url)}" target="_blank" rel="nofollow noopener noreferrer">'
                f"{escape(shown[:_SHOWN_MAX])}{more}</a>"
            )
        if tag := match["tag"]:
            return (
                f'<a href="{base_url}/tags/{quote(tag.lower())}" class="mention hashtag"'
                f' rel="tag">#<span>{escape(tag)}</span></a>'
            )
        name = mentioned.get(match["name"].lower()) if match["host"] in (None, host) else None
        if name is None:
            return escape(match[0])
        return (
            f'<span class="h-card"><a href="{base_url}/@{name}" class="u-url mention">'
            f"@<span>{name}</span></a></span>"
        )

    parts: list[str] = []
    end = 0
    for match in _TOKEN.finditer(text):
        parts += (escape(text[end : match.start()]), link(match))
        end = match.end()
    parts.append(escape(text[end:]))
    html = "".join(parts).replace("\r\n", "\n").strip("\n")
    paragraphs = [part.replace("\n", "<br />") for part in re.split(r"\n{2,}", html) if part]
    return "".join(f"<p>{part}</p>" for part in paragraphs)
