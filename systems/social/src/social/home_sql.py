"""Home timelines out of PostgreSQL: the newest statuses of all whom somebody follows.

The statuses of one account are read off an index, newest first, so the difficulty is how many to
read of each of thousands. First a few of each: the lowest of the newest `limit` among them is a
bound below which nothing can stand on the page. Then, of each, all above that bound. So the work is
about two look-ups for each account followed, and no row is read that an index did not point at.
"""

from __future__ import annotations

from typing import Final

from social.planning import BY_KEY, any_of
from social.statuses import COLUMNS
from social.visibility import AT_HOME

__all__ = [
    "FOLLOWED",
    "LISTED",
    "LISTED_REPLIES",
    "home_ids_sql",
    "home_page_sql",
    "home_pages_sql",
    "merged_ids_sql",
    "page_of_ids_sql",
]

FOLLOWED: Final = """
    SELECT account_id, target_id, show_reblogs FROM follow WHERE account_id = $1
    UNION ALL SELECT $1::bigint, $1::bigint, true"""
"""All whose statuses stand at home: those followed, and oneself."""

_PULLED: Final = """
    SELECT account_id, target_id, show_reblogs FROM follow WHERE account_id = $1 AND pulled
    UNION ALL SELECT $1::bigint, $1::bigint, true"""
"""Those whose statuses no fan-out brings: accounts with very many followers, and oneself, so that
one's own post is at home at once."""


LISTED: Final = """
    SELECT f.account_id, f.target_id, f.show_reblogs FROM follow AS f
    JOIN list_member AS m ON m.account_id = f.account_id AND m.target_id = f.target_id
    WHERE m.list_id = $5 AND m.account_id = $1"""
"""Those in the list $5 of the viewer."""

LISTED_REPLIES: Final = """(
    s.in_reply_to_account_id IS NULL
    OR s.in_reply_to_account_id = s.account_id
    OR EXISTS (SELECT FROM list AS l WHERE l.id = $5 AND (l.replies = 2 OR l.replies = 1
        AND (s.in_reply_to_account_id = $1 OR EXISTS (
            SELECT FROM list_member WHERE list_id = l.id
                AND target_id = s.in_reply_to_account_id))))
)"""
"""Which replies of those in the list stand in it."""


_OF_ONE = f"""
    SELECT s.id FROM status AS s
    WHERE s.account_id = f.target_id AND s.id < $2 AND s.id > $3 {{more}}
      AND {AT_HOME} AND {{rule}}
    ORDER BY s.id {{order}} LIMIT {{limit}}"""


def home_ids_sql(followed: str, *, rising: bool = False, rule: str = "true") -> str:
    """SQL for ids of one page. $1 viewer, $2 upper, $3 lower (both exclusive), $4 limit.

    `rule` is asked of each status `s` besides what is asked of every one at home.
    """
    order, beyond, edge, extreme = (
        ("ASC", "<=", "$2 - 1", "max") if rising else ("DESC", ">=", "$3 + 1", "min")
    )
    one = _OF_ONE.replace("{order}", order).replace("{rule}", rule)
    few = one.format(more="", limit="(SELECT 5 + $4::bigint / greatest(count(*), 1) FROM followed)")
    all_of = one.format(more=f"AND s.id {beyond} bound.id", limit="$4")
    return f"""
WITH followed AS MATERIALIZED ({followed}),
newest AS (
    SELECT x.id FROM followed AS f CROSS JOIN LATERAL ({few}) AS x
    ORDER BY x.id {order} LIMIT $4),
bound AS MATERIALIZED (
    SELECT CASE WHEN count(*) = $4 THEN {extreme}(id) ELSE {edge} END AS id FROM newest)
SELECT x.id FROM followed AS f CROSS JOIN bound CROSS JOIN LATERAL ({all_of}) AS x
ORDER BY x.id {order} LIMIT $4"""


def merged_ids_sql(*, rising: bool = False) -> str:
    """SQL for the ids that are merged into a page of a home whose other ids are known already.

    The same parameters. The page's bounds lie close together then, so little is read of each
    account, and a first look at a few of each would cost more than it spares.
    """
    order = "ASC" if rising else "DESC"
    of_one = _OF_ONE.format(more="", rule="true", order=order, limit="$4")
    return f"""
SELECT x.id FROM ({_PULLED}) AS f CROSS JOIN LATERAL ({of_one}) AS x
ORDER BY x.id {order} LIMIT $4"""


def home_page_sql(*, rising: bool = False) -> str:
    """SQL for the statuses of one page, all of it from PostgreSQL; parameters as above."""
    return _page_sql(f"ARRAY({home_ids_sql(FOLLOWED, rising=rising)})", rising=rising)


def home_pages_sql(*, rising: bool = False) -> str:
    """SQL for pages of several homes whose ids Valkey gave, for `statuses.pages_sql`.

    $1 viewers, $2 upper, $3 lower, $4 limits; $5 the ids of all of them, one after the other, and
    $6 and $7 where those of each begin and end in it, from 1. `at` is the place in these arrays.
    """
    merged = merged_ids_sql(rising=rising)
    page = _page_sql(f"(($5::bigint[])[v.first:v.last] || ARRAY({merged}))", rising=rising)
    columns = ("v.viewer", "v.upper", "v.lower", "v.most")
    for number, column in enumerate(columns, start=1):
        page = page.replace(f"${number}", column)
    # How long the arrays are is not seen through subselects, so this is planned for any of them.
    return f"""
SELECT v.at, v.viewer, v.filters_version, s.*
FROM (
    SELECT x.*, (SELECT filters_version FROM account WHERE id = x.viewer) AS filters_version
    FROM unnest((SELECT $1::bigint[]), (SELECT $2::bigint[]), (SELECT $3::bigint[]),
                (SELECT $4::bigint[]), (SELECT $6::integer[]), (SELECT $7::integer[]))
        WITH ORDINALITY AS x (viewer, upper, lower, most, first, last, at) {BY_KEY}) AS v
CROSS JOIN LATERAL ({page}) AS s"""


def _page_sql(ids: str, *, rising: bool) -> str:
    order = "ASC" if rising else "DESC"
    # Joined with these ids in the order of the page, PostgreSQL would rather read all statuses that
    # are newer than the page, whoever wrote them.
    return f"""
SELECT {COLUMNS} FROM status AS s
LEFT JOIN LATERAL (
    SELECT * FROM follow WHERE account_id = $1 AND target_id = s.account_id {BY_KEY}) AS f ON true
WHERE s.id = {any_of(ids)}
  AND s.visibility < 3 AND (s.account_id = $1 OR f.account_id IS NOT NULL AND {AT_HOME})
ORDER BY s.id {order} LIMIT $4"""


def page_of_ids_sql(ids: str) -> str:
    """SQL for the statuses whose ids `ids` selects."""
    return f"SELECT {COLUMNS} FROM status AS s WHERE s.id = ANY(ARRAY({ids}))"
