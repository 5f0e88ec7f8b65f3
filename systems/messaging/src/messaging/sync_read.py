"""What /sync answers, read from the database in one snapshot: initial, or since a token."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from systems_common.database import Database

from messaging.account_data import READ_DATA
from messaging.device_keys import CHANGED_SINCE, KEY_COUNTS
from messaging.events import Event, event_json
from messaging.filters import Filter, passes
from messaging.push_evaluation import OwnRules, own_rules
from messaging.push_rules import DATA_TYPE, rules_json
from messaging.receipts import receipts_content
from messaging.rooms import decoded, stretches_of
from messaging.sessions import Session
from messaging.snapshots import NOTHING, Position, Snapshot, snapshot_of
from messaging.sync_parts import STRIPPED as STRIPPED_TYPES
from messaging.sync_parts import summary_of
from messaging.sync_sql import (
    ACCOUNT_DATA,
    EVENTS,
    HEROES,
    INVITED,
    MEMBERS,
    RECEIPTS,
    ROOMS,
    STATE,
    STRIPPED,
    TIMELINES,
    TO_DEVICE,
    TURNS,
    WAS_IN,
)
from messaging.unread import Unread
from messaging.visibility import Stretch

__all__ = ["Batch", "SyncReader"]

TO_DEVICE_MAX = 100
_LAST = 2**62


class Batch(msgspec.Struct):
    """An answer of /sync, all but its next_batch, and the rooms that the user is in: of each its
    id, the number of its last event, and how many count. `members`: how many are in each; `fresh`:
    those that were entered since; `came`: who else entered one."""

    rooms: dict[str, dict[str, Any]]
    account_data: list[Any]
    to_device: list[Any]
    snapshot: Snapshot
    last_to_device: int
    joined: dict[int, tuple[str, int, int]]
    key_counts: dict[str, int]
    fallback_keys: list[str]
    changed_devices: list[str]
    members: dict[int, int]
    fresh: set[int]
    came: set[str]
    rules: OwnRules | None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to tell."""
        told = (self.account_data, self.to_device, self.changed_devices, *self.rooms.values())
        return not any(told)


class SyncReader:
    """Reads what is new since a position."""

    def __init__(self, database: Database, unread: Unread) -> None:
        self._database = database
        self._unread = unread

    async def read(
        self, session: Session, since: Position | None, wanted: Filter, *, full_state: bool
    ) -> Batch:
        """What is new since then; everything when `since` is None."""
        # One snapshot for all the statements, and the token is that snapshot.
        async with (
            self._database.connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            text = await connection.fetchval("SELECT pg_current_snapshot()::text")
            read = _Read(connection, session, since, wanted, full_state, self._unread)
            return await read.run(snapshot_of(text))


class _Read:
    """One read; its parts share what the first ones found."""

    def __init__(
        self,
        connection: Any,
        session: Session,
        since: Position | None,
        wanted: Filter,
        full_state: bool,
        unread: Unread,
    ) -> None:
        self._connection = connection
        self._session = session
        self._since = since.snapshot if since is not None else NOTHING
        self._to_device = since.to_device if since is not None else 0
        self._is_initial = since is None
        self._wanted = wanted
        self._full_state = full_state
        self._unread = unread
        self._changed_rules: bytes | None = None
        self._rules: OwnRules | None = None
        self._lazy = wanted.room.state.lazy_load_members
        self._came: set[str] = set()
        self._gaps: set[int] = set()
        self._fresh: set[int] = set()

    async def run(self, snapshot: Snapshot) -> Batch:
        session, fetch = self._session, self._connection.fetch
        self._changed_rules = await self._connection.fetchval(
            READ_DATA, session.user_no, 0, DATA_TYPE
        )
        self._rules = own_rules(session.user_id, self._changed_rules)
        rows = await fetch(ROOMS, self._session.user_id)
        takes = self._wanted.room.takes
        wanted = [row for row in rows if takes(row["room_id"])]
        joined = [row for row in wanted if row["membership"] == "join"]
        sections: dict[str, dict[str, Any]] = {
            "join": await self._joined(joined),
            **{
                name: await self._outside(name, [r for r in wanted if r["membership"] == name])
                for name in ("invite", "knock")
            },
            "leave": await self._left([r for r in wanted if r["membership"] in ("leave", "ban")]),
        }
        account_data = await self._account_data(sections["join"], joined)
        device_no = self._session.device_no
        to_device = await fetch(TO_DEVICE, device_no, self._to_device, TO_DEVICE_MAX)
        keys = await fetch(KEY_COUNTS, device_no)
        return Batch(
            sections,
            account_data,
            [
                {"sender": r["sender"], "type": r["type"], "content": msgspec.Raw(r["content"])}
                for r in to_device
            ],
            snapshot,
            to_device[-1]["no"] if to_device else self._to_device,
            {
                row["room_no"]: (row["room_id"], row["seq"], row["counted"])
                for row in rows
                if row["membership"] == "join"
            },
            # Clients take an algorithm that is not listed for one that has not changed.
            {
                "signed_curve25519": 0,
                **{row["algorithm"]: row["n"] for row in keys if row["n"] > 0},
            },
            [row["algorithm"] for row in keys if row["n"] < 0],
            await self._changed_devices(),
            {row["room_no"]: row["joined"] for row in rows},
            self._fresh,
            self._came,
            self._rules,
        )

    async def _changed_devices(self) -> list[str]:
        """The users whose devices changed, or who came into a room that the user is in."""
        if self._is_initial:
            return []
        since = self._since
        rows = await self._connection.fetch(
            CHANGED_SINCE, self._session.user_id, str(since.xmin), since.text
        )
        return sorted({row["user_id"] for row in rows} | self._came)

    async def _account_data(
        self, shown: dict[str, Any], joined: Sequence[Any]
    ) -> list[dict[str, Any]]:
        rows = await self._connection.fetch(ACCOUNT_DATA, self._session.user_no, self._since.text)
        room_ids = {row["room_no"]: row["room_id"] for row in joined}
        found = []
        for row in rows:
            data = {"type": row["type"], "content": msgspec.Raw(row["content"])}
            if row["type"] == DATA_TYPE:
                data["content"] = rules_json(self._session.user_id, row["content"])
            own = self._wanted.room.account_data if row["room_no"] else self._wanted.account_data
            if not passes(own, kind=row["type"], sender=""):
                continue
            if not row["room_no"]:
                found.append(data)
            elif (room_id := room_ids.get(row["room_no"])) is not None:
                room = shown.setdefault(room_id, {})
                room.setdefault("account_data", {"events": []})["events"].append(data)
        own = self._wanted.account_data
        if (
            self._is_initial
            and self._changed_rules is None
            and passes(own, kind=DATA_TYPE, sender="")
        ):
            found.append({"type": DATA_TYPE, "content": rules_json(self._session.user_id, None)})
        return found

    async def _joined(self, rows: Sequence[Any]) -> dict[str, Any]:
        since = self._since
        self._fresh = fresh = await self._newly_joined(rows)
        moved = [
            r for r in rows if self._full_state or r["room_no"] in fresh or not since.sees(r["xid"])
        ]
        timelines = await self._timelines(moved, fresh)
        states = await self._states(moved, fresh, timelines)
        self._came = {
            event.state_key
            for no, (events, _) in timelines.items()
            for event in (*events, *states.get(no, ()))
            if event.type == "m.room.member"
            and event.state_key not in (None, self._session.user_id)
            and decoded(event.content).get("membership") == "join"
        }
        receipts = await self._receipts([row["room_no"] for row in rows])
        told = [
            row for row in rows if row["room_no"] in {r["room_no"] for r in moved} | set(receipts)
        ]
        counts = await self._unread.read(
            self._connection,
            [row["room_no"] for row in told],
            self._session.user_id,
            self._rules,
        )
        summaries = await self._summaries(moved, fresh, timelines, states)
        shown = {}
        for row in told:
            no, room_id = row["room_no"], row["room_id"]
            room: dict[str, Any] = {}
            events, limited = timelines.get(no, ([], False))
            first = events[0].seq if events else row["seq"] + 1
            room["timeline"] = {
                "events": self._shown(events, room_id, self._wanted.room.timeline),
                "limited": limited or no in self._gaps,
                "prev_batch": f"t{first - 1}",
            }
            state = states.get(no, [])
            room["state"] = {"events": self._shown(state, room_id, self._wanted.room.state)}
            if no in receipts and passes(
                self._wanted.room.ephemeral, kind="m.receipt", sender="", room_id=room_id
            ):
                content = receipts_content(room_id, receipts[no])
                room["ephemeral"] = {"events": [{"type": "m.receipt", "content": content}]}
            unread, highlights = counts[no]
            room["unread_notifications"] = {
                "notification_count": unread,
                "highlight_count": highlights,
            }
            if no in summaries:
                room["summary"] = summaries[no]
            shown[room_id] = room
        return shown

    async def _newly_joined(self, rows: Sequence[Any]) -> set[int]:
        if self._is_initial:
            return {row["room_no"] for row in rows}
        changed = [row["room_no"] for row in rows if not self._since.sees(row["member_xid"])]
        if not changed:
            return set()
        found = await self._connection.fetch(
            WAS_IN, changed, self._session.user_id, self._since.text
        )
        fresh = {
            row["no"]
            for row in found
            if row["content"] is None or decoded(row["content"]).get("membership") != "join"
        }
        # Who left and came back in between may have missed what is not theirs to see. They are told
        # as if they had only just come, with a gap behind it.
        turns = await self._turns([no for no in changed if no not in fresh])
        self._gaps = {
            no for no, rows in turns.items() if self._went(rows) and len(stretches_of(rows)) > 1
        }
        return fresh | self._gaps

    def _went(self, turns: Iterable[Any]) -> bool:
        """Whether the user was out of the room for a time since then."""
        return any(
            row["type"] == "m.room.member"
            and not self._since.sees(row["xid"])
            and decoded(row["content"]).get("membership") != "join"
            for row in turns
        )

    async def _timelines(
        self, rows: Sequence[Any], fresh: set[int]
    ) -> dict[int, tuple[list[Event], bool]]:
        if not rows:
            return {}
        limit = self._wanted.room.timeline.bounded_limit
        allowed = await self._allowed([r["room_no"] for r in rows if r["room_no"] in fresh])
        # Who has just come sees the newest stretch of those they may see, up to now.
        firsts = {no: found[-1][0] if found else _LAST for no, found in allowed.items()}
        bounds = [(row["room_no"], firsts.get(row["room_no"], 0), _LAST) for row in rows]
        return await self._latest(bounds, fresh, limit)

    async def _latest(
        self, bounds: Sequence[tuple[int, int, int]], fresh: set[int], limit: int
    ) -> dict[int, tuple[list[Event], bool]]:
        numbers, firsts, lasts = (list(part) for part in zip(*bounds, strict=True))
        found = await self._connection.fetch(TIMELINES, numbers, firsts, lasts, limit + 1)
        by_room: dict[int, list[Event]] = defaultdict(list)
        for row in found:
            event = Event(*row)
            if event.room_no in fresh or not self._since.sees(event.xid):
                by_room[event.room_no].append(event)
        return {no: (by_room[no][:limit][::-1], len(by_room[no]) > limit) for no in set(numbers)}

    async def _allowed(self, room_nos: list[int]) -> dict[int, tuple[Stretch, ...]]:
        """The events of each that the user may see."""
        turns = await self._turns(room_nos)
        return {no: stretches_of(rows) for no, rows in turns.items()}

    async def _turns(self, room_nos: list[int]) -> dict[int, list[Any]]:
        """The state events of each that decide what the user may see."""
        turns: dict[int, list[Any]] = {no: [] for no in room_nos}
        if room_nos:
            for row in await self._connection.fetch(TURNS, room_nos, self._session.user_id):
                turns[row["room_no"]].append(row)
        return turns

    async def _states(
        self,
        rows: Sequence[Any],
        fresh: set[int],
        timelines: dict[int, tuple[list[Event], bool]],
    ) -> dict[int, list[Event]]:
        """The state before each timeline: all of it, or what changed in the gap."""
        since = self._since
        whole = {r["room_no"] for r in rows if self._full_state or r["room_no"] in fresh}
        asked = [no for no in timelines if no in whole or timelines[no][1]]
        states: dict[int, list[Event]] = defaultdict(list)
        older: list[tuple[int, int]] = []
        wanted: list[tuple[int, str]] = []
        for no, (events, _) in timelines.items():
            seen = set()
            for event in events:
                if event.state_key is not None and (event.type, event.state_key) not in seen:
                    seen.add((event.type, event.state_key))
                    if event.replaces is not None and no in asked:
                        older.append((no, event.replaces))
            if self._lazy:
                senders = {event.sender for event in events}
                own = {self._session.user_id} if no in whole else set()
                wanted += [(no, user) for user in sorted(senders | own)]
        if asked:
            for row in await self._connection.fetch(STATE, asked, self._lazy):
                states[row["room_no"]].append(Event(*row))
        if older:
            numbers, seqs = (list(part) for part in zip(*older, strict=True))
            for row in await self._connection.fetch(EVENTS, numbers, seqs):
                states[row["room_no"]].append(Event(*row))
        if wanted:
            numbers, users = (list(part) for part in zip(*wanted, strict=True))
            for row in await self._connection.fetch(MEMBERS, numbers, users):
                states[row["room_no"]].append(Event(*row))
        found: dict[int, list[Event]] = {}
        for no, events in states.items():
            timeline, _ = timelines[no]
            first = timeline[0].seq if timeline else _LAST
            kept = {
                event.seq: event
                for event in events
                if event.seq < first
                and (no in whole or not since.sees(event.xid) or self._is_lazy_member(event))
            }
            found[no] = [kept[seq] for seq in sorted(kept)]
        return found

    def _is_lazy_member(self, event: Event) -> bool:
        return self._lazy and event.type == "m.room.member"

    async def _receipts(self, room_nos: list[int]) -> dict[int, list[Any]]:
        if not room_nos:
            return {}
        found: dict[int, list[Any]] = defaultdict(list)
        since = self._since
        rows = await self._connection.fetch(RECEIPTS, room_nos, str(since.xmin), since.text)
        for row in rows:
            if row["type"] != "m.read.private" or row["user_id"] == self._session.user_id:
                found[row["room_no"]].append(row)
        return dict(found)

    async def _summaries(
        self,
        rows: Sequence[Any],
        fresh: set[int],
        timelines: dict[int, tuple[list[Event], bool]],
        states: dict[int, list[Event]],
    ) -> dict[int, dict[str, Any]]:
        def has_member(events: Iterable[Event]) -> bool:
            return any(event.type == "m.room.member" for event in events)

        changed = [
            row
            for row in rows
            if row["room_no"] in fresh
            or timelines[row["room_no"]][1]
            or has_member(timelines[row["room_no"]][0])
            or has_member(states.get(row["room_no"], ()))
        ]
        if not changed:
            return {}
        numbers = [row["room_no"] for row in changed]
        invited = {
            row["room_no"]: row["n"] for row in await self._connection.fetch(INVITED, numbers)
        }
        heroes: dict[int, list[str]] = defaultdict(list)
        for row in await self._connection.fetch(HEROES, numbers, self._session.user_id):
            heroes[row["no"]].append(row["user_id"])
        return {
            row["room_no"]: summary_of(
                row["joined"], invited.get(row["room_no"], 0), heroes[row["room_no"]]
            )
            for row in changed
        }

    async def _outside(self, name: str, rows: Sequence[Any]) -> dict[str, Any]:
        new = {
            row["room_no"]: row["room_id"]
            for row in rows
            if self._full_state or not self._since.sees(row["member_xid"])
        }
        if not new:
            return {}
        found = await self._connection.fetch(
            STRIPPED, list(new), list(STRIPPED_TYPES), self._session.user_id
        )
        shown: dict[str, Any] = {room: {f"{name}_state": {"events": []}} for room in new.values()}
        for row in found:
            event = Event(*row)
            shown[new[event.room_no]][f"{name}_state"]["events"].append(
                {
                    "type": event.type,
                    "state_key": event.state_key,
                    "sender": event.sender,
                    "content": msgspec.Raw(event.content),
                }
            )
        return shown

    async def _left(self, rows: Sequence[Any]) -> dict[str, Any]:
        """Rooms that were left since then, with what happened until then."""
        if self._is_initial and not self._wanted.room.include_leave:
            return {}
        new = [row for row in rows if not self._since.sees(row["member_xid"])]
        if not new:
            return {}
        # Only up to the event that ended it, and only from rooms that the user was in: perhaps
        # several times, if somebody was put out, invited again and declined.
        allowed = await self._allowed([row["room_no"] for row in new])
        bounds = [
            (row["room_no"], first, min(last, row["member_seq"]))
            for row in new
            for first, last in allowed[row["room_no"]] or ((_LAST, _LAST),)
        ]
        limit = self._wanted.room.timeline.bounded_limit
        fresh = {row["room_no"] for row in new} if self._is_initial else set()
        timelines = await self._latest(bounds, fresh, limit)
        shown = {}
        for row in new:
            events, limited = timelines[row["room_no"]]
            first = events[0].seq if events else row["member_seq"]
            room_id = row["room_id"]
            shown[room_id] = {
                "timeline": {
                    "events": self._shown(events, room_id, self._wanted.room.timeline),
                    "limited": limited,
                    "prev_batch": f"t{first - 1}",
                },
                "state": {"events": []},
            }
        return shown

    def _shown(self, events: Iterable[Event], room_id: str, wanted: Any) -> list[msgspec.Raw]:
        device_no = self._session.device_no
        return [
            msgspec.Raw(event_json(e, room_id, txn=e.device_no == device_no))
            for e in events
            if wanted.takes_all
            or passes(
                wanted,
                kind=e.type,
                sender=e.sender,
                room_id=room_id,
                has_url=b'"url"' in e.content,
            )
        ]
