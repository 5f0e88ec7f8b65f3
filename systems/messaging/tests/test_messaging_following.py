"""What follows the events takes them in the order of their transactions."""

from __future__ import annotations

from typing import Any

from messaging.push_queue import EVENTS
from systems_common.testing import EmbeddedServer, on_database


def test_a_chunk_goes_by_the_number_of_a_transaction_not_by_its_text(
    postgres: EmbeddedServer,
) -> None:
    """Else what a full chunk ends with would not be its last event, and some were skipped."""

    async def taken(connection: Any) -> list[Any]:
        # In its session it stands before the real one.
        await connection.execute(
            """CREATE TEMP TABLE event (xid xid8, room_no bigint, seq bigint, sender text,
                                        type text, state_key text, content bytea)"""
        )
        await connection.execute(
            """INSERT INTO event SELECT x::text::xid8, 1, x, '@a:b', 'm', NULL, '{}'
               FROM unnest(ARRAY[1000, 999, 1001, 99]) AS x"""
        )
        found: list[Any] = await connection.fetch(EVENTS, "1:1:", "2000:2000:", "99", 1, 99)
        return found

    events = on_database(postgres.url, taken)
    assert [event["xid"] for event in events] == ["999", "1000", "1001"]
