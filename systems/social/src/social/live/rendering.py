"""What happened, as each viewer may see it: read from the database when it is shown.

So a block, a mute or an unfollow counts at once, and a status is in a stream what it is in the
timeline that the stream belongs to.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from systems_common.database import Database

from social.conversations import Conversations
from social.entities import encode
from social.home_sql import LISTED_REPLIES
from social.live.connections import Watch
from social.live.streams import Stream
from social.live.telling import Told
from social.notices import Notices
from social.statuses import Reader
from social.visibility import AT_HOME, IN_PUBLIC

__all__ = ["BELONGING", "Asked", "Rendering"]

_AT_HOME, _IN_LIST, _IN_PUBLIC, _IN_PUBLIC_WITH_MEDIA, _TAGGED = range(5)

BELONGING: Final = f"""
SELECT v.at::integer - 1
FROM unnest($1::bigint[], $2::bigint[], $3::integer[], $4::bigint[], $5::text[])
    WITH ORDINALITY AS v (viewer, status, rule, list, tag, at)
JOIN status AS s ON s.id = v.status
LEFT JOIN follow AS f ON f.account_id = v.viewer AND f.target_id = s.account_id
WHERE CASE v.rule
    WHEN {_AT_HOME} THEN s.visibility < 3
        AND (s.account_id = v.viewer OR f.account_id IS NOT NULL AND {AT_HOME})
    WHEN {_IN_LIST} THEN f.account_id IS NOT NULL AND {AT_HOME}
        AND {LISTED_REPLIES.replace("$5", "v.list").replace("$1", "v.viewer")}
        AND EXISTS (SELECT FROM list_member AS m WHERE m.list_id = v.list
                        AND m.account_id = v.viewer AND m.target_id = s.account_id)
    WHEN {_IN_PUBLIC} THEN {IN_PUBLIC}
    WHEN {_IN_PUBLIC_WITH_MEDIA} THEN {IN_PUBLIC} AND s.has_media
    ELSE s.visibility = 0 AND v.tag = ANY(s.tags)
END"""
"""Which of these pairs of a viewer and a status belong to the stream that stands beside them, by
the same rules as its timeline."""


class Asked(msgspec.Struct, frozen=True):
    """Something that happened, to be shown in one stream of one connection."""

    watch: Watch
    told: Told

    @property
    def viewer(self) -> int:
        """Who would see it."""
        return self.watch.connection.account


class Rendering:
    """Reads what was told of, for those who are to see it."""

    def __init__(
        self,
        database: Database,
        reader: Reader,
        notices: Notices,
        conversations: Conversations,
    ) -> None:
        self._database = database
        self._reader = reader
        self._notices = notices
        self._conversations = conversations

    async def payloads(self, asked: Sequence[Asked]) -> list[bytes | None]:
        """The JSON of each, empty where the event has none; None when it is not to be shown.

        Raises `DatabaseUnavailableError`.
        """
        payloads = [await self._alone(one) for one in asked]
        statuses = [
            at for at, one in enumerate(asked) if one.told.kind in ("update", "status.update")
        ]
        if statuses:
            belonging = await self._belonging([asked[at] for at in statuses])
            shown = await self._reader.by_pairs(
                {(asked[statuses[n]].viewer, asked[statuses[n]].told.id) for n in belonging}
            )
            for n in belonging:
                one = asked[statuses[n]]
                found = shown.get((one.viewer, one.told.id))
                if found is not None and found.wanted:
                    payloads[statuses[n]] = found.body
        return payloads

    async def _alone(self, one: Asked) -> bytes | None:
        kind, identifier = one.told.kind, one.told.id
        if kind in ("delete", "direct.delete"):
            # Nothing is left to be looked at, and an id says nothing.
            return b"%d" % identifier
        if kind == "filters_changed":
            return b""
        if kind == "notification":
            notice = await self._notices.one(one.viewer, identifier)
            return None if notice is None else encode(notice)
        if kind == "conversation":
            conversation = await self._conversations.one(one.viewer, identifier)
            return None if conversation is None else encode(conversation)
        return None

    async def _belonging(self, asked: Sequence[Asked]) -> list[int]:
        streams = [one.watch.stream for one in asked]
        rows = await self._database.fetch(
            BELONGING,
            [one.viewer for one in asked],
            [one.told.id for one in asked],
            [_rule(stream) for stream in streams],
            [stream.list_id for stream in streams],
            [stream.tag for stream in streams],
        )
        return [row[0] for row in rows]


def _rule(stream: Stream) -> int:
    if stream.is_public:
        return _IN_PUBLIC_WITH_MEDIA if stream.has_media else _IN_PUBLIC
    if stream.tag:
        return _TAGGED
    return _IN_LIST if stream.list_id else _AT_HOME
