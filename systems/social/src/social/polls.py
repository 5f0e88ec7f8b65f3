"""Polls: asked with a status, voted in once by each, and told of when they end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from systems_common.contention import tried_again
from systems_common.database import Database, transaction

from social.entities import Poll, PollOption, encode, timestamp
from social.errors import invalid, not_found
from social.live.telling import Teller
from social.planning import any_of

__all__ = [
    "EXPIRES_IN_MAX_S",
    "EXPIRES_IN_MIN_S",
    "OPTIONS_MAX",
    "OPTION_MAX",
    "RECOUNT",
    "NewPoll",
    "Polls",
    "ask",
    "ask_anew",
    "check_poll",
]

OPTIONS_MAX = 4
OPTION_MAX = 50
EXPIRES_IN_MIN_S = 300
EXPIRES_IN_MAX_S = 2_629_746
_TELL_S = 1.0
_TOLD_AT_ONCE = 2_000

_READ = f"""
SELECT p.status_id, s.account_id, p.options, p.multiple, p.hide_totals,
       extract(epoch FROM p.expires_at)::float8 AS expires_s, p.expires_at <= now() AS expired,
       (SELECT sum(voters) FROM poll_counter WHERE status_id = p.status_id) AS voters,
       ARRAY(SELECT sum(v.number) FROM poll_counter AS c,
                    unnest(c.votes) WITH ORDINALITY AS v (number, place)
             WHERE c.status_id = p.status_id GROUP BY v.place ORDER BY v.place) AS votes,
       (SELECT choices FROM ballot WHERE status_id = p.status_id AND account_id = $1) AS mine
FROM poll AS p JOIN status AS s ON s.id = p.status_id WHERE p.status_id = {any_of("$2")}"""

RECOUNT = """
SELECT p.status_id FROM poll AS p
WHERE (SELECT coalesce(sum(voters), 0) FROM poll_counter AS c WHERE c.status_id = p.status_id)
      <> (SELECT count(*) FROM ballot AS b WHERE b.status_id = p.status_id)
   OR EXISTS (
      SELECT FROM generate_series(1, cardinality(p.options)) AS n
      WHERE (SELECT coalesce(sum(c.votes[n]), 0) FROM poll_counter AS c
             WHERE c.status_id = p.status_id)
            <> (SELECT count(*) FROM ballot AS b
                WHERE b.status_id = p.status_id AND n - 1 = ANY(b.choices)))"""
"""Polls whose counters are not what counting their ballots gives: there must be none."""


class NewPoll(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked, and for how many seconds."""

    options: list[str] = []
    expires_in: int = 0
    multiple: bool = False
    hide_totals: bool = False


def check_poll(poll: NewPoll) -> None:
    """Raises a 422 that says what is wrong with it."""
    if len(poll.options) < 2:
        raise invalid("Poll must have at least two options")
    if len(poll.options) > OPTIONS_MAX:
        raise invalid(f"Poll can't contain more than {OPTIONS_MAX} options")
    if not all(one.strip() for one in poll.options):
        raise invalid("Poll options can't be blank")
    if any(len(one) > OPTION_MAX for one in poll.options):
        raise invalid(f"Poll options can't be longer than {OPTION_MAX} characters each")
    if len(set(poll.options)) != len(poll.options):
        raise invalid("Poll contains duplicate options")
    if poll.expires_in < EXPIRES_IN_MIN_S:
        raise invalid(f"Poll must be open for at least {EXPIRES_IN_MIN_S} seconds")
    if poll.expires_in > EXPIRES_IN_MAX_S:
        raise invalid(f"Poll must be open for at most {EXPIRES_IN_MAX_S} seconds")


async def ask(connection: Any, status: int, poll: NewPoll) -> None:
    """Give a status its poll, within the transaction that writes it."""
    await connection.execute(
        """INSERT INTO poll (status_id, options, multiple, hide_totals, expires_at)
           VALUES ($1, $2, $3, $4, $5)""",
        status,
        poll.options,
        poll.multiple,
        poll.hide_totals,
        _end_of(poll),
    )
    await connection.execute("UPDATE status SET has_poll = true WHERE id = $1", status)


async def ask_anew(connection: Any, status: int, version: int, poll: NewPoll | None) -> None:
    """Change or take away the poll of an edited status; the version before keeps its options.

    Who voted has voted, unless something else is asked.
    """
    before = await connection.fetchrow(
        "SELECT options, multiple FROM poll WHERE status_id = $1 FOR UPDATE", status
    )
    if before is not None:
        await connection.execute(
            "UPDATE status_edit SET poll = $3 WHERE status_id = $1 AND version = $2",
            status,
            version,
            before["options"],
        )
    if poll is None:
        await connection.execute("DELETE FROM poll WHERE status_id = $1", status)
        await connection.execute("UPDATE status SET has_poll = false WHERE id = $1", status)
    elif before is None:
        await ask(connection, status, poll)
    elif (before["options"], before["multiple"]) == (poll.options, poll.multiple):
        await connection.execute(
            """UPDATE poll SET hide_totals = $2, expires_at = $3, told = false
               WHERE status_id = $1""",
            status,
            poll.hide_totals,
            _end_of(poll),
        )
    else:
        await connection.execute("DELETE FROM poll WHERE status_id = $1", status)
        await ask(connection, status, poll)


def _end_of(poll: NewPoll) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=poll.expires_in)


class Polls:
    """Polls as viewers see them, and their votes. A poll has the id of its status."""

    def __init__(self, database: Database, teller: Teller) -> None:
        self._database = database
        self._teller = teller

    async def read(self, viewer: int | None, statuses: Sequence[int]) -> dict[int, bytes]:
        """Encoded polls by the ids of their statuses, which were read for the viewer."""
        if not statuses:
            return {}
        rows = await self._database.fetch(_READ, viewer, statuses)
        return {row["status_id"]: encode(_shown(row, viewer)) for row in rows}

    @tried_again
    async def vote(self, account: int, status: int, choices: Sequence[int]) -> None:
        """Vote in the poll of a status that was read for the account. Raises a 404 or a 422."""
        chosen = sorted(set(choices))
        async with transaction(self._database) as connection:
            # It is not changed until this is done.
            poll = await connection.fetchrow(
                """SELECT cardinality(p.options) AS options, p.multiple, s.account_id,
                          p.expires_at <= now() AS expired
                   FROM poll AS p JOIN status AS s ON s.id = p.status_id
                   WHERE p.status_id = $1 FOR KEY SHARE OF p""",
                status,
            )
            if poll is None:
                raise not_found()
            if poll["account_id"] == account:
                raise invalid("You can't vote in your own polls")
            if poll["expired"]:
                raise invalid("The poll has already ended")
            if not chosen:
                raise invalid("Choices can't be blank")
            if len(chosen) > 1 and not poll["multiple"]:
                raise invalid("You can choose one option of this poll")
            if chosen[0] < 0 or chosen[-1] >= poll["options"]:
                raise invalid("The chosen vote option does not exist")
            done = await connection.fetchval(
                """INSERT INTO ballot (status_id, account_id, choices) VALUES ($1, $2, $3)
                   ON CONFLICT DO NOTHING RETURNING 1""",
                status,
                account,
                chosen,
            )
            if done is None:
                raise invalid("You have already voted on this poll")

    async def tell(self) -> None:
        """Tell who voted, and who asked, of polls that have ended; until cancelled."""
        while True:
            await asyncio.sleep(_TELL_S)
            for row in await self._database.fetch(
                """SELECT p.status_id, s.account_id FROM poll AS p
                   JOIN status AS s ON s.id = p.status_id
                   WHERE NOT p.told AND p.expires_at <= now() ORDER BY p.expires_at LIMIT 100"""
            ):
                await self._tell_of(row[0], row[1])

    async def _tell_of(self, status: int, author: int) -> None:
        # Told twice is told once (notification_once), so this may be done by several at a time and
        # may end anywhere.
        last: int | None = -1
        while last is not None:
            rows = await self._database.fetch(
                """SELECT account_id, notify_account(account_id, $2, 6::smallint, $1)
                   FROM (SELECT account_id FROM ballot WHERE status_id = $1 AND account_id > $3
                         ORDER BY account_id LIMIT $4) AS voter""",
                status,
                author,
                last,
                _TOLD_AT_ONCE,
            )
            self._teller.notices((row[0], row[1]) for row in rows if row[1] is not None)
            last = max((row[0] for row in rows), default=None)
        async with transaction(self._database) as connection:
            # notify_account tells nobody of what they did themselves, but this they did not do.
            notice = await connection.fetchval(
                """INSERT INTO notification (id, account_id, sender_id, kind, status_id)
                   SELECT id_now(), $2, $2, 6, status_id
                   FROM poll WHERE status_id = $1 AND NOT told ON CONFLICT DO NOTHING
                   RETURNING id""",
                status,
                author,
            )
            await connection.execute(
                "UPDATE poll SET told = true WHERE status_id = $1 AND expires_at <= now()", status
            )
        if notice is not None:
            self._teller.notices([(author, notice)])


def _shown(row: Any, viewer: int | None) -> Poll:
    mine = row["mine"]
    totals = row["votes"] or [0] * len(row["options"])
    hidden = row["hide_totals"] and not row["expired"]
    return Poll(
        id=str(row["status_id"]),
        expires_at=timestamp(row["expires_s"]),
        expired=row["expired"],
        multiple=row["multiple"],
        votes_count=int(sum(totals)),
        voters_count=int(row["voters"] or 0),
        options=[
            PollOption(title, None if hidden else int(votes))
            for title, votes in zip(row["options"], totals, strict=True)
        ],
        # Who asked cannot vote; clients show them the results.
        voted=msgspec.UNSET if viewer is None else mine is not None or viewer == row["account_id"],
        own_votes=msgspec.UNSET if viewer is None else list(mine or ()),
    )
