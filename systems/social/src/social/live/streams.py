"""The streams there are: how clients name them, what is shown in each, which scope they take."""

from __future__ import annotations

import msgspec

from social.errors import ApiError
from social.text import hashtags_of
from social.tokens import Token, allows

__all__ = ["STATUS_KINDS", "Stream", "check_scope", "kinds_of", "stream_of"]

STATUS_KINDS = frozenset(["update", "status.update", "delete"])
"""What happens to statuses of timelines."""

_PUBLIC = {
    f"public{place}{media}" for place in ("", ":local", ":remote") for media in ("", ":media")
}
_TAGGED = {"hashtag", "hashtag:local"}
_NAMES = {"user", "user:notification", "direct", "list", *_TAGGED, *_PUBLIC}
_KINDS = {
    "user": STATUS_KINDS | {"notification", "filters_changed"},
    "user:notification": frozenset(["notification"]),
    "direct": frozenset(["conversation", "direct.delete"]),
}


class Stream(msgspec.Struct, frozen=True):
    """One stream as a client asked for it. Of `tag` and `list_id` at most one is there."""

    name: str
    tag: str = ""
    list_id: int = 0

    @property
    def labels(self) -> list[str]:
        """How events name the stream they belong to."""
        if self.tag:
            return [self.name, self.tag]
        return [self.name, str(self.list_id)] if self.list_id else [self.name]

    @property
    def is_public(self) -> bool:
        """Whether it is the public timeline, or a part of it."""
        return self.name in _PUBLIC

    @property
    def is_empty(self) -> bool:
        """Whether nothing can ever be in it: there are no other servers."""
        return "remote" in self.name

    @property
    def has_media(self) -> bool:
        """Whether only statuses with media are in it."""
        return self.name.endswith(":media")


def stream_of(name: str, *, tag: str = "", list_id: str = "") -> Stream:
    """The stream that a client names. Raises a 400 when there is none."""
    if name not in _NAMES:
        raise ApiError(400, "Unknown stream type")
    if name in _TAGGED:
        found = hashtags_of(f"#{tag.lstrip('#')}")
        if not found:
            raise ApiError(400, "Missing tag name parameter")
        return Stream(name, tag=found[0])
    if name == "list":
        if not list_id.isdecimal() or not list_id.isascii() or len(list_id) > 18:
            raise ApiError(400, "Missing list name parameter")
        return Stream(name, list_id=int(list_id))
    return Stream(name)


def check_scope(stream: Stream, token: Token) -> None:
    """Raises a 403 when the token is not for that stream."""
    needed = "read:notifications" if stream.name == "user:notification" else "read:statuses"
    if not allows(token.scopes, needed):
        raise ApiError(403, "This action is outside the authorized scopes")


def kinds_of(stream: Stream, token: Token) -> frozenset[str]:
    """What is told in it to who has this token."""
    kinds = _KINDS.get(stream.name, STATUS_KINDS)
    if stream.name == "user" and not allows(token.scopes, "read:notifications"):
        return kinds - {"notification"}
    return kinds
