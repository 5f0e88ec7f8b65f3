"""Statuses as the API shows them: who may see which, and their JSON, put together in batches.

One statement says for every status of a page whether this viewer may see it and what is theirs in
it. What changes only by an edit is remembered as encoded JSON under the version that the statement
brings along, so it is never out of date and needs no word from other processes.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from systems_common.database import Database

from social.accounts import Accounts
from social.entities import Application, Mention, StaticStatus, Tag, encode, time_of, timestamp
from social.filters import RuleBook
from social.matching import NOTHING, Rules
from social.media import attachment
from social.planning import BY_KEY, any_of
from social.polls import Polls
from social.text import rendered
from social.visibility import NAMES, READABLE, WANTED

__all__ = ["AT", "COLUMNS", "Reader", "Shown", "pages_sql", "rows_sql", "static_status"]

_ENTRIES_MAX = 10_000

_COUNTS = {
    "stored": """LEFT JOIN LATERAL (
        SELECT sum(replies) AS replies, sum(reblogs) AS reblogs, sum(favourites) AS favourites
        FROM status_counter WHERE status_id = s.id) AS c ON true""",
    "counted": """LEFT JOIN LATERAL (
        SELECT (SELECT count(*) FROM status WHERE in_reply_to_id = s.id) AS replies,
               (SELECT count(*) FROM status WHERE reblog_of_id = s.id) AS reblogs,
               (SELECT count(*) FROM favourite WHERE status_id = s.id) AS favourites) AS c
        ON true""",
}
COLUMNS = "s.id, s.account_id, s.version, s.reblog_of_id, s.visibility"
"""What a statement that chooses the statuses of a page brings of each, so that none is looked up
twice."""

# `chosen` are the statuses of the page; what they share is looked at by the same rule.
_ROWS = f"""
WITH chosen AS MATERIALIZED ({{chosen}}),
looked_at AS (
    SELECT *, true AS listed FROM chosen
    UNION ALL
    SELECT {COLUMNS}, false
    FROM (SELECT DISTINCT reblog_of_id AS id FROM chosen WHERE reblog_of_id IS NOT NULL) AS shared
    JOIN status AS s USING (id) WHERE id NOT IN (SELECT id FROM chosen))
"""
_LOOK = f"""
SELECT s.id, s.listed, s.account_id, s.version,
       (SELECT version FROM account WHERE id = s.account_id), s.reblog_of_id,
       {{readable}}, {{wanted}}, c.replies, c.reblogs, c.favourites,
       EXISTS (SELECT FROM favourite WHERE account_id = $1 AND status_id = s.id {BY_KEY}),
       EXISTS (SELECT FROM status AS r
               WHERE r.account_id = $1 AND r.reblog_of_id = s.id {BY_KEY}),
       EXISTS (SELECT FROM bookmark WHERE account_id = $1 AND status_id = s.id {BY_KEY}),
       EXISTS (SELECT FROM pin WHERE account_id = $1 AND status_id = s.id {BY_KEY}),
       s.visibility, {{filters_version}}
FROM looked_at AS s {{counts}}"""

# The same for several pages at once: `at` says to which a row belongs, and stands behind all else.
_PAGES = f"""
WITH chosen AS MATERIALIZED ({{chosen}}),
looked_at AS (
    SELECT *, true AS listed FROM chosen
    UNION ALL
    SELECT shared.at, shared.viewer, shared.filters_version, {COLUMNS}, false
    FROM (SELECT DISTINCT at, viewer, filters_version, reblog_of_id AS id FROM chosen
          WHERE reblog_of_id IS NOT NULL) AS shared
    JOIN status AS s USING (id) WHERE (at, id) NOT IN (SELECT at, id FROM chosen))
"""
AT = 17
"""Where `at` stands in a row of several pages."""

# Each viewer's are one page.
_PAIRS = f"""
SELECT x.viewer AS at, x.viewer,
       (SELECT filters_version FROM account WHERE id = x.viewer) AS filters_version, {COLUMNS}
FROM unnest((SELECT $1::bigint[]), (SELECT $2::bigint[])) AS x (viewer, id)
JOIN status AS s USING (id)"""

BY_IDS = f"SELECT {COLUMNS} FROM status AS s WHERE s.id = {any_of('$2')}"

_STATICS = f"""
SELECT s.id, s.version, s.account_id, a.username, s.in_reply_to_id, s.in_reply_to_account_id,
       s.visibility, s.text, s.spoiler, s.sensitive, s.language, s.mentioned, s.mentioned_names,
       s.tags, extract(epoch FROM s.edited_at)::float8 AS edited_s, p.name AS app_name,
       p.website AS app_website,
       CASE WHEN s.has_media THEN (
           SELECT jsonb_agg(to_jsonb(m) ORDER BY m.place) FROM media AS m
           WHERE m.status_id = s.id AND m.place IS NOT NULL) END AS media,
       s.has_poll,
       CASE WHEN s.has_poll THEN (SELECT options FROM poll WHERE status_id = s.id) END AS options
FROM status AS s JOIN account AS a ON a.id = s.account_id LEFT JOIN app AS p ON p.id = s.app_id
WHERE s.id = {any_of("$1")}"""

_BOOL = (b"false", b"true")
_decode = msgspec.json.Decoder(list[dict[str, Any]]).decode


def rows_sql(chosen: str, *, counters: str) -> str:
    """The statement for the statuses whose `COLUMNS` `chosen` selects; $1 is the viewer."""
    return (_ROWS + _LOOK).format(
        chosen=chosen,
        readable=READABLE,
        wanted=WANTED,
        counts=_COUNTS[counters],
        filters_version="(SELECT filters_version FROM account WHERE id = $1)",
    )


def pages_sql(chosen: str, *, counters: str) -> str:
    """The statement for several pages at once, which may be of several viewers.

    `chosen` selects a number `at` for each page, `viewer`, that account's `filters_version` and
    the `COLUMNS` of the statuses. The rows are those of `rows_sql`, and `at` behind them.
    """
    look = _LOOK.format(
        readable=READABLE,
        wanted=WANTED,
        counts=_COUNTS[counters],
        filters_version="s.filters_version, s.at",
    )
    return _PAGES.format(chosen=chosen) + look.replace("$1", "s.viewer")


class Shown(msgspec.Struct, frozen=True):
    """A status as one viewer may see it. `wanted`: no author of it is blocked or muted."""

    id: int
    account_id: int
    body: bytes
    wanted: bool
    visibility: int
    original: tuple[int, int, bool]
    """What it shares, or itself: the status, its author, and whether that is wanted."""

    def is_wanted(self, regardless_of: int | None = None) -> bool:
        """Whether it belongs in a list, regardless of what is thought of one account."""
        if self.account_id == regardless_of:
            return self.original[2] or self.original[1] == regardless_of
        return self.wanted


class _Static:
    """The unchanging part of a status, encoded, and joined with what its author was last."""

    __slots__ = ("_account", "_body", "_joined", "has_poll", "status", "text", "version")

    def __init__(self, version: int, status: StaticStatus, text: str, *, has_poll: bool) -> None:
        self.version = version
        self.has_poll = has_poll
        self.status = status
        # What keywords of filters are looked for in.
        self.text = text
        self._body = encode(status)[:-1]
        self._account = b""
        self._joined = b""

    def with_account(self, account: bytes, poll: bytes | None = None) -> bytes:
        """Both, encoded; joined anew only if the account is another object than the last time, or
        there is a poll."""
        if poll is not None:
            return b'%s,"account":%s,"poll":%s' % (self._body, account, poll)
        if self._account is not account:
            self._account = account
            self._joined = b'%s,"account":%s,"poll":null' % (self._body, account)
        return self._joined


class Reader:
    """Reads statuses for a viewer; everything that shows a status asks it."""

    def __init__(
        self,
        database: Database,
        accounts: Accounts,
        polls: Polls,
        *,
        base_url: str,
        media_url: str,
        host: str,
        counters: str,
    ) -> None:
        self._database = database
        self._accounts = accounts
        self._polls = polls
        self._base_url = base_url
        self._media_url = media_url
        self._host = host
        self._counters = counters
        self._by_ids = self.rows_sql(BY_IDS)
        self._by_pairs = self.pages_sql(_PAIRS)
        self._rule_book = RuleBook(database)
        self._known: OrderedDict[int, _Static] = OrderedDict()

    def rows_sql(self, chosen: str) -> str:
        """The statement for the statuses that `chosen` selects, as `rows_sql` says."""
        return rows_sql(chosen, counters=self._counters)

    def pages_sql(self, chosen: str) -> str:
        """The statement for several pages, as `pages_sql` says."""
        return pages_sql(chosen, counters=self._counters)

    async def by_ids(self, viewer: int | None, ids: Sequence[int]) -> dict[int, Shown]:
        """Those of these statuses that the viewer may see, wanted in lists or not."""
        if not ids:
            return {}
        rows = await self._database.fetch(self._by_ids, viewer, ids)
        return await self.shown(rows, viewer)

    async def one(self, viewer: int | None, identifier: int) -> Shown | None:
        """One status; None when it is not there for this viewer."""
        return (await self.by_ids(viewer, [identifier])).get(identifier)

    async def by_pairs(self, pairs: Iterable[tuple[int, int]]) -> dict[tuple[int, int], Shown]:
        """Of each viewer and status the status, where that viewer may see it."""
        asked = list(pairs)
        rows = await self._database.fetch(
            self._by_pairs, [viewer for viewer, _ in asked], [status for _, status in asked]
        )
        of_viewers: dict[int, list[Any]] = {}
        for row in rows:
            of_viewers.setdefault(row[AT], []).append(row)
        return {
            (viewer, identifier): shown
            for viewer, mine in of_viewers.items()
            for identifier, shown in (await self.shown(mine, viewer)).items()
        }

    async def shown(self, rows: Sequence[Any], viewer: int | None) -> dict[int, Shown]:
        """What a statement brought for one page, as the viewer may see it; only what was chosen.

        A share of what the viewer may not see, or does not want, is not there either.
        """
        readable = [row for row in rows if row[6]]
        accounts = await self._accounts.entities({row[2]: row[4] for row in readable})
        known = self._known
        rules: Rules | None = None
        if viewer is not None and readable and readable[0][16]:
            rules = await self._rule_book.of(viewer, readable[0][16])
        now_s = time.time()

        def filtered(static: _Static, *ids: int) -> bytes:
            if rules is None:
                return NOTHING
            return rules.results(static.version, static.text, ids, now_s)

        stale = []
        for row in readable:
            if row[5] is None:
                static = known.get(row[0])
                if static is None or static.version != row[3]:
                    stale.append(row[0])
        if stale:
            await self._read_statics(stale)
        asking = [
            row[0]
            for row in readable
            if (static := known.get(row[0])) is not None and static.has_poll
        ]
        polls = await self._polls.read(viewer, asking)
        found: dict[int, Shown] = {}
        originals: dict[int, tuple[Any, bytes]] = {}
        shares = []
        for row in readable:
            identifier, listed, author, shared, wanted = row[0], row[1], row[2], row[5], row[7]
            if shared is not None:
                if listed:
                    shares.append(row)
                continue
            static, account = known.get(identifier), accounts.get(author)
            if static is None or account is None:
                # Deleted since the statement that found it.
                continue
            body = _whole(
                static.with_account(account, polls.get(identifier)),
                row[8:15],
                viewer,
                filtered(static, identifier),
                b"null",
            )
            originals[identifier] = (row, body)
            if listed:
                found[identifier] = Shown(
                    identifier, author, body, wanted, row[15], (identifier, author, wanted)
                )
        for row in shares:
            identifier, _, author, _, _, shared, _, wanted, *_ = row
            account = accounts.get(author)
            if shared not in originals or account is None:
                continue
            original, inner = originals[shared]
            joined = b'%s,"account":%s,"poll":null' % (
                self._shared(identifier, known[shared].status),
                account,
            )
            found[identifier] = Shown(
                identifier,
                author,
                _whole(
                    joined,
                    original[8:15],
                    viewer,
                    filtered(known[shared], identifier, shared),
                    inner,
                ),
                wanted and original[7],
                original[15],
                (shared, original[2], original[7]),
            )
        return found

    async def static(self, identifier: int) -> StaticStatus | None:
        """The unchanging part of a status, read now."""
        await self._read_statics([identifier])
        found = self._known.get(identifier)
        return None if found is None else found.status

    def _shared(self, identifier: int, original: StaticStatus) -> bytes:
        url = f"{original.url}/reblogs/{identifier}"
        return encode(
            msgspec.structs.replace(
                original, id=str(identifier), created_at=time_of(identifier), uri=url, url=url
            )
        )[:-1]

    async def _read_statics(self, ids: Iterable[int]) -> None:
        for row in await self._database.fetch(_STATICS, list(ids)):
            self.remember(row)
        while len(self._known) > _ENTRIES_MAX:
            self._known.popitem(last=False)

    def remember(self, row: Any) -> None:
        """Render a row with the columns of `_STATICS` and keep it."""
        status = static_status(
            row, base_url=self._base_url, media_url=self._media_url, host=self._host
        )
        described = (one.description for one in status.media_attachments if one.description)
        text = "\n\n".join([row["spoiler"], row["text"], *described, *(row["options"] or ())])
        self._known[row["id"]] = _Static(row["version"], status, text, has_poll=row["has_poll"])
        self._known.move_to_end(row["id"])


def static_status(row: Any, *, base_url: str, media_url: str, host: str) -> StaticStatus:
    """The unchanging part of a status from its row."""
    identifier = str(row["id"])
    names = {name.lower(): name for name in row["mentioned_names"]}
    edited_s = row["edited_s"]
    reply, reply_account = row["in_reply_to_id"], row["in_reply_to_account_id"]
    return StaticStatus(
        id=identifier,
        created_at=time_of(row["id"]),
        in_reply_to_id=None if reply is None else str(reply),
        in_reply_to_account_id=None if reply_account is None else str(reply_account),
        sensitive=row["sensitive"],
        spoiler_text=row["spoiler"],
        visibility=NAMES[row["visibility"]],
        language=row["language"],
        uri=f"{base_url}/users/{row['username']}/statuses/{identifier}",
        url=f"{base_url}/@{row['username']}/{identifier}",
        content=rendered(row["text"], names, base_url=base_url, host=host),
        edited_at=None if edited_s is None else timestamp(edited_s),
        application=Application(row["app_name"], row["app_website"]) if row["app_name"] else None,
        mentions=[
            Mention(str(account), name, name, f"{base_url}/@{name}")
            for account, name in zip(row["mentioned"], row["mentioned_names"], strict=True)
        ],
        media_attachments=[attachment(one, media_url) for one in _decode(row["media"] or "[]")],
        tags=[Tag(tag, f"{base_url}/tags/{tag}") for tag in row["tags"]],
    )


def _whole(
    static: bytes, mine: Sequence[Any], viewer: int | None, filtered: bytes, reblog: bytes
) -> bytes:
    """A status in full. `mine` are its three counts and what of it is the viewer's."""
    replies, reblogs, favourites, favourited, reblogged, bookmarked, pinned = mine
    # Sums over no rows are NULL.
    counts = (
        static,
        replies if replies and replies > 0 else 0,
        reblogs if reblogs and reblogs > 0 else 0,
        favourites if favourites and favourites > 0 else 0,
    )
    if viewer is None:
        return (
            b'%s,"replies_count":%d,"reblogs_count":%d,"favourites_count":%d,"reblog":%s}'
            % (*counts, reblog)
        )  # fmt: skip
    return (
        b'%s,"replies_count":%d,"reblogs_count":%d,"favourites_count":%d,"favourited":%s,'
        b'"reblogged":%s,"bookmarked":%s,"pinned":%s,"muted":false,"filtered":%s,"reblog":%s}'
        % (
            *counts,
            _BOOL[favourited],
            _BOOL[reblogged],
            _BOOL[bookmarked],
            _BOOL[pinned],
            filtered,
            reblog,
        )
    )
