"""Statuses written, edited, shared and deleted. Each is one transaction, counters and notices
included; what they lead to in homes is handed over afterwards (fanout.py).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
from systems_common.contention import tried_again
from systems_common.database import Database, transaction
from systems_common.ids import IdGenerator, time_of_id_s

from social.errors import invalid, not_found
from social.live.telling import TOLD_COLUMNS, Notice, Teller
from social.media import MediaEdit, attach, new_version
from social.polls import NewPoll, ask, ask_anew
from social.text import hashtags_of, mentions_of

__all__ = ["TEXT_MAX", "Draft", "Posting", "Written"]

TEXT_MAX = 5_000

# $14 whether counters are stored, $15 whether homes are kept. Functions that count and tell are in
# the final SELECT, because a WITH that only selects is not run when nobody reads it.
_INSERT = """
WITH made AS (
    INSERT INTO status (id, account_id, in_reply_to_id, in_reply_to_account_id, visibility, text,
                        spoiler, sensitive, language, mentioned, mentioned_names, tags, app_id,
                        idempotency_key)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $16)
    ON CONFLICT (account_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
    RETURNING id, account_id),
mentions AS (
    INSERT INTO mention (status_id, account_id) SELECT id, unnest($10::bigint[]) FROM made),
tagged AS (
    INSERT INTO status_tag (name, status_id) SELECT unnest($12::text[]), id FROM made
    WHERE $5 < 2),
queued AS (
    INSERT INTO fanout (status_id) SELECT id FROM made WHERE $15 AND $5 < 3)
SELECT a.version,
       CASE WHEN $14 AND $5 < 3 THEN count_account($2, 1, 0, 0) END,
       CASE WHEN $14 AND $3 IS NOT NULL AND $5 < 3 THEN count_status($3, 1, 0, 0) END,
       (SELECT array_agg(ARRAY[of, notify_account(of, $2, 0::smallint, made.id)])
        FROM unnest($17::bigint[]) AS of) AS mentioned,
       (SELECT array_agg(ARRAY[f.account_id,
                               notify_account(f.account_id, $2, 5::smallint, made.id)])
        FROM follow AS f WHERE f.target_id = $2 AND f.notify AND $5 < 3) AS subscribed,
       CASE WHEN $5 = 3 THEN converse(made.id, $2, $10::bigint[], $10::bigint[] || $2, $3)
       END AS conversations
FROM made JOIN account AS a ON a.id = made.account_id"""


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A status that is to be written."""

    text: str
    spoiler: str
    sensitive: bool
    visibility: int
    language: str | None
    in_reply_to: tuple[int, int] | None = None
    """The status and who wrote it; both were read for the author."""
    app_id: int | None = None
    idempotency_key: str | None = None
    media: tuple[int, ...] = ()
    media_edits: dict[int, MediaEdit] = {}
    poll: NewPoll | None = None


class Written(msgspec.Struct, frozen=True):
    """What became of a draft; not `fresh`: it had been written before."""

    id: int
    fresh: bool


class Posting:
    """Writes to statuses. `stored`: counters are stored; `kept`: homes are kept in Valkey."""

    def __init__(
        self,
        database: Database,
        ids: IdGenerator,
        teller: Teller,
        *,
        host: str,
        stored: bool,
        kept: bool,
    ) -> None:
        self._database = database
        self._ids = ids
        self._teller = teller
        self._host = host
        self._stored = stored
        self._kept = kept

    async def write(self, author: int, draft: Draft) -> Written:
        """Write a status. Written before under the same key, it is not written again."""
        names, accounts = await self._named(draft.text)
        tags = hashtags_of(draft.text)
        reply, reply_account = draft.in_reply_to or (None, None)
        told = [one for one in accounts if one != author]
        if reply_account is not None and reply_account != author and reply_account not in told:
            told.append(reply_account)
            # Who is answered may read the answer, named or not.
            if draft.visibility >= 2:
                owner = await self._database.fetchval(
                    "SELECT username FROM account WHERE id = $1", reply_account
                )
                accounts, names = [*accounts, reply_account], [*names, owner]
        identifier = self._ids.next()
        arguments = (
            identifier,
            author,
            reply,
            reply_account,
            draft.visibility,
            draft.text,
            draft.spoiler,
            draft.sensitive,
            draft.language,
            accounts,
            names,
            tags,
            draft.app_id,
            self._stored,
            self._kept,
            draft.idempotency_key,
            told,
        )
        made = await self._insert(arguments, draft)
        if made is not None:
            self._teller.notices(_notices(made["mentioned"]))
            self._teller.notices(_notices(made["subscribed"]))
            self._teller.conversations(made["conversations"] or ())
            return Written(identifier, fresh=True)
        before = await self._database.fetchval(
            "SELECT id FROM status WHERE account_id = $1 AND idempotency_key = $2",
            author,
            draft.idempotency_key,
        )
        if before is None:
            # Deleted between the two statements.
            raise not_found()
        return Written(before, fresh=False)

    @tried_again
    async def _insert(self, arguments: tuple[Any, ...], draft: Draft) -> Any:
        if not draft.media and draft.poll is None:
            return await self._database.fetchrow(_INSERT, *arguments)
        identifier, author = arguments[:2]
        async with transaction(self._database) as connection:
            made = await connection.fetchrow(_INSERT, *arguments)
            if made is None:
                return None
            await attach(connection, author, identifier, draft.media)
            if draft.poll is not None:
                await ask(connection, identifier, draft.poll)
        return made

    async def _named(self, text: str) -> tuple[list[str], list[int]]:
        """Names and ids of the accounts that a text mentions."""
        names = mentions_of(text, self._host) if "@" in text else []
        if not names:
            return [], []
        rows = await self._database.fetch(
            "SELECT id, username FROM account WHERE lower(username) = ANY($1::text[])", names[:50]
        )
        return [row["username"] for row in rows], [row["id"] for row in rows]

    async def edit(self, author: int, status: int, draft: Draft) -> None:
        """Replace the text of a status and keep the one before. Raises a 404."""
        notices, conversations = await self._edit(author, status, draft)
        self._teller.notices(notices)
        self._teller.conversations(conversations)
        await self._teller.read_and_tell("status.update", [status])

    @tried_again
    async def _edit(
        self, author: int, status: int, draft: Draft
    ) -> tuple[list[Notice], list[Notice]]:
        names, accounts = await self._named(draft.text)
        tags = hashtags_of(draft.text)
        async with transaction(self._database) as connection:
            before = await connection.fetchrow(
                """SELECT * FROM status WHERE id = $1 AND account_id = $2
                   AND reblog_of_id IS NULL FOR UPDATE""",
                status,
                author,
            )
            if before is None:
                raise not_found()
            await connection.execute(
                """INSERT INTO status_edit (status_id, version, text, spoiler, sensitive, mentioned,
                                            mentioned_names, tags, written_at)
                   SELECT id, version, text, spoiler, sensitive, mentioned, mentioned_names, tags,
                          coalesce(edited_at, $2::timestamptz) FROM status WHERE id = $1""",
                status,
                draft_time(status),
            )
            # Whoever could read it because it named them still can.
            kept = [
                (account, name)
                for account, name in zip(
                    before["mentioned"], before["mentioned_names"], strict=True
                )
                if account not in accounts and before["visibility"] >= 2
            ]
            accounts += [account for account, _ in kept]
            names += [name for _, name in kept]
            await connection.execute(
                """UPDATE status SET text = $2, spoiler = $3, sensitive = $4, language = $5,
                       mentioned = $6, mentioned_names = $7, tags = $8, version = version + 1,
                       edited_at = now() WHERE id = $1""",
                status,
                draft.text,
                draft.spoiler,
                draft.sensitive,
                draft.language,
                accounts,
                names,
                tags,
            )
            if before["has_poll"] or draft.poll is not None:
                await ask_anew(connection, status, before["version"], draft.poll)
            if before["has_media"] or draft.media:
                await new_version(
                    connection, author, status, before["version"], draft.media, draft.media_edits
                )
            await connection.execute(
                "DELETE FROM mention WHERE status_id = $1 AND account_id <> ALL($2::bigint[])",
                status,
                accounts,
            )
            await connection.execute(
                """INSERT INTO mention (status_id, account_id) SELECT $1, unnest($2::bigint[])
                   ON CONFLICT DO NOTHING""",
                status,
                accounts,
            )
            await connection.execute("DELETE FROM status_tag WHERE status_id = $1", status)
            if before["visibility"] < 2:
                await connection.execute(
                    "INSERT INTO status_tag (name, status_id) SELECT unnest($2::text[]), $1",
                    status,
                    tags,
                )
            told = [one for one in accounts if one != author and one not in before["mentioned"]]
            found = await connection.fetchval(
                """SELECT array_agg(ARRAY[of, notify_account(of, $2, 0::smallint, $3)])
                   FROM unnest($1::bigint[]) AS of""",
                told,
                author,
                status,
            )
            conversations = None
            if before["visibility"] == 3 and told:
                conversations = await connection.fetchval(
                    "SELECT converse($1, $2, $3::bigint[], $4::bigint[], $5)",
                    *(status, author, accounts, told, before["in_reply_to_id"]),
                )
        return _notices(found), conversations or []

    async def delete(self, author: int, status: int) -> None:
        """Delete a status with all that refers to it. Raises a 404 when it is not the author's."""
        gone, people = await self._delete(author, status)
        self._teller.statuses("delete", gone)
        for person in people:
            self._teller.account(person, "direct.delete", status)

    @tried_again
    async def _delete(self, author: int, status: int) -> tuple[list[Any], set[int]]:
        async with transaction(self._database) as connection:
            row = await connection.fetchrow(
                """SELECT in_reply_to_id, reblog_of_id, visibility, mentioned FROM status
                   WHERE id = $1 AND account_id = $2 FOR UPDATE""",
                status,
                author,
            )
            if row is None:
                raise not_found()
            # Those who shared it have one status less each.
            sharers = await connection.fetch(
                "SELECT account_id FROM status WHERE reblog_of_id = $1 FOR UPDATE", status
            )
            gone: list[Any] = await connection.fetch(
                f"""SELECT {TOLD_COLUMNS} FROM status AS s
                    WHERE (s.id = $1 OR s.reblog_of_id = $1) AND s.visibility < 3""",
                status,
            )
            people = {author, *row["mentioned"]} if row["visibility"] == 3 else set()
            await connection.execute("DELETE FROM status WHERE id = $1", status)
            if not self._stored:
                return gone, people
            for sharer in sharers:
                await connection.execute("SELECT count_account($1, -1, 0, 0)", sharer[0])
            if row["visibility"] < 3:
                await connection.execute("SELECT count_account($1, -1, 0, 0)", author)
                if row["in_reply_to_id"] is not None:
                    await connection.execute(
                        "SELECT count_status($1, -1, 0, 0)", row["in_reply_to_id"]
                    )
            if row["reblog_of_id"] is not None:
                await connection.execute("SELECT count_status($1, 0, -1, 0)", row["reblog_of_id"])
        return gone, people

    async def reblog(self, author: int, status: int, owner: int, visibility: int) -> Written:
        """Share a status, which was read for the author; a second time is the first one."""
        written, notice = await self._reblog(author, status, owner, visibility)
        if notice is not None:
            self._teller.notices([(owner, notice)])
        return written

    @tried_again
    async def _reblog(
        self, author: int, status: int, owner: int, visibility: int
    ) -> tuple[Written, int | None]:
        async with transaction(self._database) as connection:
            identifier = self._ids.next()
            made = await connection.fetchval(
                """INSERT INTO status (id, account_id, reblog_of_id, visibility)
                   VALUES ($1, $2, $3, $4)
                   ON CONFLICT (account_id, reblog_of_id) WHERE reblog_of_id IS NOT NULL
                   DO NOTHING RETURNING id""",
                identifier,
                author,
                status,
                visibility,
            )
            if made is None:
                before = await connection.fetchval(
                    "SELECT id FROM status WHERE account_id = $1 AND reblog_of_id = $2",
                    author,
                    status,
                )
                if before is None:
                    raise not_found()
                return Written(before, fresh=False), None
            if self._stored:
                await connection.execute(
                    "SELECT count_account($1, 1, 0, 0), count_status($2, 0, 1, 0)", author, status
                )
            if self._kept:
                await connection.execute("INSERT INTO fanout (status_id) VALUES ($1)", identifier)
            notice = await connection.fetchval(
                "SELECT notify_account($1, $2, 1::smallint, $3)",
                owner,
                author,
                status,
            )
        return Written(identifier, fresh=True), notice

    async def reblog_of(self, author: int, status: int) -> int | None:
        """The share of a status by this account."""
        found: int | None = await self._database.fetchval(
            "SELECT id FROM status WHERE account_id = $1 AND reblog_of_id = $2", author, status
        )
        return found

    def check(self, text: str, spoiler: str, *, alone: bool = True) -> None:
        """Raises a 422 for a text that is too long, or empty where it stands alone."""
        if alone and not text.strip():
            raise invalid("Text can't be blank")
        if len(text) + len(spoiler) > TEXT_MAX:
            raise invalid(f"Text character limit of {TEXT_MAX} exceeded")


def _notices(pairs: list[list[int | None]] | None) -> list[Notice]:
    return [(of, notice) for of, notice in pairs or () if of is not None and notice is not None]


def draft_time(status: int) -> Any:
    """When a status was first written, for the database."""
    return datetime.fromtimestamp(time_of_id_s(status), UTC)
