"""Stored counters made anew from what they count: after COUNTERS=counted, and for a seed."""

from __future__ import annotations

from typing import Any

__all__ = ["DRIFT", "recount"]

_ACCOUNTS = """
SELECT a.id AS of,
       (SELECT count(*) FROM status WHERE account_id = a.id AND visibility < 3) AS statuses,
       (SELECT count(*) FROM follow WHERE target_id = a.id) AS followers,
       (SELECT count(*) FROM follow WHERE account_id = a.id) AS following
FROM account AS a"""
_STATUSES = """
SELECT s.id AS of,
       (SELECT count(*) FROM status WHERE in_reply_to_id = s.id AND visibility < 3) AS replies,
       (SELECT count(*) FROM status WHERE reblog_of_id = s.id) AS reblogs,
       (SELECT count(*) FROM favourite WHERE status_id = s.id) AS favourites
FROM status AS s"""

DRIFT = f"""
SELECT 'account' AS what, of FROM ({_ACCOUNTS}) AS x
WHERE (statuses, followers, following) <> (
    SELECT coalesce(sum(c.statuses), 0), coalesce(sum(c.followers), 0),
           coalesce(sum(c.following), 0)
    FROM account_counter AS c WHERE c.account_id = of)
UNION ALL
SELECT 'status', of FROM ({_STATUSES}) AS x
WHERE (replies, reblogs, favourites) <> (
    SELECT coalesce(sum(c.replies), 0), coalesce(sum(c.reblogs), 0), coalesce(sum(c.favourites), 0)
    FROM status_counter AS c WHERE c.status_id = of)"""
"""What of the stored counters is not what a recount gives: no row, or something is wrong."""


async def recount(connection: Any) -> None:
    """Replace every stored counter; the service must not write meanwhile."""
    async with connection.transaction():
        await connection.execute("LOCK TABLE account_counter, status_counter IN EXCLUSIVE MODE")
        await connection.execute("DELETE FROM account_counter")
        await connection.execute("DELETE FROM status_counter")
        await connection.execute(
            f"""INSERT INTO account_counter (account_id, slot, statuses, followers, following)
                SELECT of, 0, statuses, followers, following FROM ({_ACCOUNTS}) AS x
                WHERE statuses + followers + following > 0"""
        )
        await connection.execute(
            f"""INSERT INTO status_counter (status_id, slot, replies, reblogs, favourites)
                SELECT of, 0, replies, reblogs, favourites FROM ({_STATUSES}) AS x
                WHERE replies + reblogs + favourites > 0"""
        )
